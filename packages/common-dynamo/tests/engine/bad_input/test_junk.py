"""Whatever is given to whatever method: only errors of the family come out, and wrong input changes nothing (DI7)."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.dynamo import DAO, Database, Pattern, Transaction, View
from common.dynamo.exceptions import DynamoError
from common.dynamo.requests import Exists, Path, Scan, Update
from common.dynamo.testing.examples import BY_STATE, CARD, INVOICE, NOTE, Card, Invoice, Note, State, make_invoice
from common.dynamo.testing.wrong_arguments import public_methods
from common.exceptions import ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
PLAIN: list[Any] = [
    None, True, False, 0, 1, -1, 7, 10**40, 1.5, float("nan"), float("inf"), "", "stored", "t1", "\ud800", "x" * 3000,
    b"stored", Decimal("1.50"), Decimal("NaN"), Decimal("1E+200"), NAIVE, NAIVE.replace(tzinfo=UTC), date(2026, 1, 1),
    State.OPEN, object(), Card, type,
]  # fmt: skip
OBJECTS: list[Any] = [
    Card(id="stored", version=1), Card(id="new"), Note(id="stored", text="x"), make_invoice(),
    Card.model_construct(id=7), Invoice.model_construct(), CARD, NOTE, INVOICE, BY_STATE, View("text", of=CARD, read=str),
    Pattern("Junk.call", "GetItem"), Exists(Path(("pk",))), Update(remove=(Path(("text",)),)), Update(), ValueError("x"),
]  # fmt: skip
CALLBACKS: list[Callable[..., Any]] = [
    lambda *_: None,
    lambda *_: True,
    lambda *given: given[-1],
    lambda *given: getattr(given[-1], "count", given[-1]) == 0,
    lambda *given: given[-1].nothing_of_this_name,
    lambda *given: given[0].set(given[-1].text, "x") if len(given) == 2 else None,
]
JUNK = st.recursive(
    st.sampled_from([*PLAIN, *OBJECTS, *CALLBACKS])
    | st.text(max_size=5)
    | st.integers()
    | st.floats()
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.sampled_from(["id", "text", "number", "tenant", "count", "version", "x"]), inner, max_size=3
        )
    ),
    max_leaves=4,
)
UNCALLED = {"close", "shared", "run", "wants"}
"""The first ends the database; two call what they are given, and raise what it raises; the last is for what engines give."""


def subjects(database: Database) -> list[Any]:
    """Return objects of each class whose methods are called."""
    cards, invoices = database.dao(CARD), database.dao(INVOICE)
    return [
        database, cards, invoices, database.dao(NOTE), cards.plan, invoices.plan, CARD, INVOICE, cards.query(id="stored"),
        invoices.query(BY_STATE, tenant="t1", state=State.OPEN), database.transaction(),
    ]  # fmt: skip


def content(database: Database) -> list[Any]:
    """Return everything that is stored."""
    table = database.table_of(CARD)
    found = database.execute(Scan(table=table), Pattern("Junk.content", "Scan")).body["Items"]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def call(data: st.DataObject, subject: Any) -> None:
    """Call one method of *subject* with junk, and use what it returns as its caller would."""
    methods = sorted(public_methods(type(subject)).keys() - UNCALLED)
    name = data.draw(st.sampled_from(methods), label="method")
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    for parameter in inspect.signature(getattr(subject, name)).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            options.update(data.draw(st.dictionaries(st.sampled_from(["id", "text", "tenant"]), JUNK, max_size=2)))
        elif parameter.kind is parameter.VAR_POSITIONAL:
            arguments += data.draw(st.lists(JUNK, max_size=2))
        elif parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.default is parameter.empty or data.draw(st.booleans()):
                options[parameter.name] = data.draw(JUNK, label=parameter.name)
        else:
            arguments.append(data.draw(JUNK, label=parameter.name))
    if isinstance(subject, Transaction):
        with subject:
            getattr(subject, name)(*arguments, **options)
    else:
        getattr(subject, name)(*arguments, **options)


def fuzz(database: Database, data: st.DataObject) -> None:
    """Make one call, and hold what comes of it to the rule."""
    subject = data.draw(st.sampled_from(subjects(database)))
    before, is_wrong_input = content(database), False
    try:
        with suppress(DynamoError):  # the engine's or the data's no, such as a version conflict
            call(data, subject)
    except (InvalidInput, ConfigurationError):
        is_wrong_input = True

    assert not is_wrong_input or before == content(database)


@pytest.fixture
def entity_types() -> tuple[Any, ...]:
    """Types with and without rules."""
    return (CARD, NOTE, INVOICE)


SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_junk_is_refused_by_errors_of_the_family_alone(
    cards: DAO[Card], database: Database, data: st.DataObject
) -> None:
    """A hundred and fifty calls, of all methods of databases, DAOs, plans, types, queries and transactions."""
    fuzz(database, data)


@settings(max_examples=600, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_much_junk_is_refused_by_errors_of_the_family_alone(
    cards: DAO[Card], database: Database, data: st.DataObject
) -> None:
    """The same, thousands of times."""
    fuzz(database, data)
