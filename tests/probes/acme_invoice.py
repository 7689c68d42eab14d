"""Do everything with Acme's invoices that a service does with a type of its own, through the DAO that the type gets; report
as JSON."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from acme_plugin.invoice import Invoice, InvoiceState
from acme_plugin.storage import BY_STATE, INVOICE
from common.core import Plugins, Settings
from common.dynamo import DAO, Change, Database, metered
from common.dynamo.entity_access import uses
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.table_templates import cloudformation_template
from common.exceptions import CommonError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pay(change: Change[Invoice], invoice: Invoice) -> None:
    """Mark *invoice* as paid."""
    change.set(invoice.state, InvoiceState.PAID)


def invoice(number: int, **changes: Any) -> Invoice:
    """Return an invoice that is not stored yet."""
    content = {
        "tenant": "acme",
        "number": number,
        "reference": f"PO-{number}",
        "email": "a@example.org",
        "total": "12.50",
    }
    return Invoice.model_validate(content | {"issued_at": NOW} | changes)


def refused(call: Any) -> str:
    """Return the class of what *call* raises."""
    try:
        call()
    except CommonError as error:
        return next(kind.__name__ for kind in type(error).__mro__ if not kind.__name__.startswith("_"))
    return ""


def write(database: Database, invoices: DAO[Invoice]) -> dict[str, object]:
    """Use every verb, and meet every refusal."""
    first = invoices.create(invoice(1))
    paid = invoices.update(first, pay)
    put = invoices.put(invoice(2, delete_after=NOW + timedelta(days=1)))
    upserted = invoices.upsert(("acme", 3), pay, default=invoice(3), unlocked=True)
    refusals = {
        "again": refused(lambda: invoices.create(invoice(1))),
        "unique": refused(lambda: invoices.create(invoice(4, reference="PO-1"))),
        "stale": refused(lambda: invoices.update(first, pay)),
    }
    with database.transaction() as transaction:
        transaction.update(invoices, upserted, pay)
        transaction.create(invoices, invoice(5))
    invoices.delete(invoices.require(("acme", 5)))
    return {
        "total": str(paid.total),
        "versions": [first.version, paid.version, put.version, upserted.version],
        "refusals": refusals,
        "gone": invoices.get(("acme", 5)) is None,
    }


def read(invoices: DAO[Invoice], clock: list[datetime]) -> dict[str, object]:
    """Read by key, by index, by pages, and after the time of one is over."""
    query = invoices.query(BY_STATE, tenant="acme", state=InvoiceState.PAID)
    page = query.page(1)
    following = query.page(1, after=page.next)
    with metered() as meter:
        found = invoices.require(("acme", 1))
    before = [each.number for each in invoices.query(tenant="acme").all()]
    clock[0] = NOW + timedelta(days=2)
    return {
        "state": found.state.value,
        "cost": [meter.cost.rcu, meter.cost.trips],
        "pages": [[each.number for each in one.items] for one in (page, following)],
        "before": before,
        "after": [each.number for each in invoices.query(tenant="acme").all()],
    }


def tell(database: Database) -> dict[str, object]:
    """Tell what the layer makes of the type: tables, permissions, changes of a stream."""
    table = database.table_of(INVOICE)
    [definition] = [each for each in database.table_definitions() if each.name == table]
    arns = Arns(region="eu-central-1", account="123456789012")
    granted = iam_policy(uses(INVOICE, "get", "create"), arns, table_of=database.table_of)
    changes = [database.decode_stream(record) for record in database.changes().records]
    typed = [change.of(INVOICE) for change in changes if change is not None]
    return {
        "indexes": [index.name for index in definition.indexes],
        "exported": table in json.dumps(cloudformation_template(database.table_definitions())),
        "policy": "ACMEINV#" in json.dumps(granted),
        "streamed": [change.new.number for change in typed if change.new is not None and change.old is None],
    }


def report() -> dict[str, object]:
    """Use the plugin's entity type as a service would that never heard of it before."""
    plugins = Plugins()
    plugins.load(Settings.from_environment())
    clock = [NOW]
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with Database.embedded(
        plugins=plugins, stream=True, tracer_provider=provider, clock=lambda: clock[0].timestamp()
    ) as database:
        invoices = database.dao(INVOICE)
        written, told = write(database, invoices), tell(database)
        done = {"written": written, "told": told, "read": read(invoices, clock)}
    return done | {"spans": sorted({span.name for span in exporter.get_finished_spans()})}


if __name__ == "__main__":
    print(json.dumps(report()))
