"""Acme's invoices: an entity type from outside the family gets a full DAO, on the embedded engine."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from acme_plugin.invoice import Invoice, InvoiceState

pytest.importorskip("common.dynamo", reason="invoices need common-dynamo")

import acme_plugin.plugin
from acme_plugin.metering import PatternMeter
from acme_plugin.storage import BY_STATE, INVOICE
from common.core import Plugins, Settings
from common.dynamo import DAO, Change, Database
from common.dynamo.exceptions import AlreadyExists, UniqueViolation, VersionConflict


def invoice(number: int = 1, **changes: object) -> Invoice:
    """Return an open invoice of Acme with sane defaults."""
    content: dict[str, object] = {
        "tenant": "acme",
        "number": number,
        "reference": f"PO-{number}",
        "email": "Billing@Example.org",
        "total": "12.5",
        "issued_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Invoice.model_validate(content | changes)


@pytest.fixture
def plugins() -> Plugins:
    """Load the plugin with the hooks of core and dynamo, and nothing else."""
    import common.dynamo.hookspecs

    plugins = Plugins(hookspecs=[common.dynamo.hookspecs])
    plugins.register(acme_plugin.plugin, name="acme-plugin")
    plugins.load(Settings(), entry_points=False)
    return plugins


@pytest.fixture
def database(plugins: Plugins) -> Iterator[Database]:
    """Open an in-memory database of a service that has the plugin."""
    with Database.embedded(plugins=plugins) as database:
        yield database


@pytest.fixture
def invoices(database: Database) -> DAO[Invoice]:
    """Return the DAO that the entity type gets for free."""
    return database.dao(INVOICE)


def pay(change: Change[Invoice], it: Invoice) -> None:
    """Mark an invoice as paid."""
    change.set(it.state, InvoiceState.PAID)


def test_the_hooks_bring_the_entity_type_and_the_meter(plugins: Plugins) -> None:
    """With common-dynamo's hooks known, the optional implementations are called too."""
    assert [INVOICE] == [each.value for each in plugins.contributions("common_entity_types")]
    assert [PatternMeter] == [type(each.value) for each in plugins.contributions("common_dynamo_interceptors")]


def test_an_invoice_is_exact() -> None:
    """The total has two places, from text alone; the address is canonical and not shown."""
    made = invoice()

    assert ("12.50", "billing@example.org") == (str(made.total), made.email)
    assert "example.org" not in repr(made)
    for total in (12.5, "12.505", "0", "1e2"):
        with pytest.raises(ValidationError):
            invoice(total=total)


def test_an_invoice_comes_back_as_it_was(invoices: DAO[Invoice]) -> None:
    """Stored and read, the model is equal but for the version that the store counts."""
    created = invoices.create(invoice())

    assert created == invoices.require(("acme", 1))
    assert invoice().model_copy(update={"version": 1}) == created
    assert "12.50" == str(created.total)


def test_a_number_is_given_once(invoices: DAO[Invoice]) -> None:
    """A second invoice with the number of another does not replace it."""
    invoices.create(invoice())
    with pytest.raises(AlreadyExists):
        invoices.create(invoice(reference="PO-other"))


def test_a_reference_is_unique_within_its_tenant(invoices: DAO[Invoice]) -> None:
    """One order of a customer is billed once; another tenant may have the same number of an order."""
    invoices.create(invoice(1, reference="PO-7"))
    invoices.create(invoice(1, reference="PO-7", tenant="umbrella"))
    with pytest.raises(UniqueViolation):
        invoices.create(invoice(2, reference="PO-7"))


def test_paying_twice_loses_nothing(invoices: DAO[Invoice]) -> None:
    """Who pays by a version that is no longer there is told so."""
    invoices.create(invoice())
    paid = invoices.update(("acme", 1), pay, expect=1)
    with pytest.raises(VersionConflict):
        invoices.update(("acme", 1), pay, expect=1)

    assert (InvoiceState.PAID, 2) == (paid.state, paid.version)


def test_open_invoices_are_listed_by_number(invoices: DAO[Invoice]) -> None:
    """The index follows the state at once, and holds no other tenant's invoices."""
    for number in (10, 2):
        invoices.create(invoice(number))
    invoices.create(invoice(3, tenant="umbrella"))
    invoices.update(invoices.create(invoice(9)), pay)
    page = invoices.query(BY_STATE, tenant="acme", state=InvoiceState.OPEN).page(10)

    assert [2, 10] == [found.number for found in page.items]


def test_what_patterns_cost_is_metered(plugins: Plugins, invoices: DAO[Invoice]) -> None:
    """The interceptor of the plugin saw the calls, by name, with their units."""
    invoices.create(invoice())
    invoices.get(("acme", 1))
    [meter] = [each.value for each in plugins.contributions("common_dynamo_interceptors")]
    reads = [cost for cost in meter.costs.values() if cost.rcu]

    assert [1.0] == [cost.rcu for cost in reads]
    assert sum(cost.wcu for cost in meter.costs.values()) > 0


def test_totals_stay_exact_beyond_binary_fractions(invoices: DAO[Invoice]) -> None:
    """A total of 27 digits comes back digit for digit."""
    large = Decimal("1234567890123456789012345.67")
    invoices.create(invoice(total=large))

    assert large == invoices.require(("acme", 1)).total
