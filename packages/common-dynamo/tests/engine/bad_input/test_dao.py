"""Every method of a DAO, and of its plan, refuses every wrong argument before anything is sent (DI1)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo import DAO, Change, Database, Plan, View
from common.dynamo.testing import spend
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.examples import CARD, NOTE, Card, Note
from common.dynamo.testing.wrong_arguments import (
    ANYTHING,
    CALLBACK,
    DEADLINE,
    FLAG,
    LISTING,
    MAPPING,
    MODEL,
    OBJECT,
    TEXT,
    TEXT_KEY,
    VERSION,
    Case,
    Rows,
    assert_refused,
    cases,
    undescribed,
    wrong_values,
)
from common.exceptions import ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

SCAN_NAME = wrong_values(ConfigurationError, None_=None, an_int=7, empty="", bytes_=b"x", a_sentence="what is it")
SEGMENTS = wrong_values(ConfigurationError, None_=None, zero=0, many=101, a_bool=True, a_float=2.0, a_text=CANARY)
RATE = wrong_values(ConfigurationError, zero=0, below_zero=-1.0, NaN=float("nan"), a_bool=True, a_text=CANARY)
READ = {"key": TEXT_KEY, "consistent": FLAG, "deadline": DEADLINE}
ROWS: Rows = {
    "get": READ | {"include_expired": FLAG},
    "require": READ | {"include_expired": FLAG},
    "view": READ | {"view": OBJECT},
    "views": READ | {"one": OBJECT, "other": OBJECT},
    "batch_get": {"keys": LISTING, "consistent": FLAG, "include_expired": FLAG, "deadline": DEADLINE},
    "scan": {"name": SCAN_NAME, "consistent": FLAG, "segments": SEGMENTS, "units_per_second": RATE},
    "query": {"index": OBJECT[1:], "consistent": FLAG, "fields": ANYTHING},
    "create": {"model": MODEL, "deadline": DEADLINE},
    "put": {"model": MODEL, "replace": FLAG, "unlocked": FLAG, "deadline": DEADLINE},
    "update": {
        "target": TEXT_KEY,
        "change": CALLBACK,
        "where": CALLBACK,
        "known": MAPPING,
        "expect": VERSION,
        "unlocked": FLAG,
        "request_id": TEXT,
        "deadline": DEADLINE,
    },
    "upsert": {
        "key": TEXT_KEY,
        "change": CALLBACK,
        "default": MODEL,
        "where": CALLBACK,
        "unlocked": FLAG,
        "deadline": DEADLINE,
    },
    "delete": {
        "target": TEXT_KEY,
        "where": CALLBACK,
        "must_exist": FLAG,
        "expect": VERSION,
        "unlocked": FLAG,
        "deadline": DEADLINE,
    },
    "batch_write": {"writes": LISTING, "deadline": DEADLINE},
}
PLAN_ROWS: Rows = {
    "get": {"key": TEXT_KEY, "consistent": FLAG},
    "create": {"model": MODEL},
    "put": {"model": MODEL, "replace": FLAG, "unlocked": FLAG, "old": MODEL[1:]},
    "version_of": {"model": MODEL},
    "update": {
        "target": TEXT_KEY,
        "change": CALLBACK,
        "where": CALLBACK,
        "known": MAPPING,
        "expect": VERSION,
        "unlocked": FLAG,
        "old": MODEL[1:],
        "once": FLAG,
    },
    "delete": {
        "target": TEXT_KEY,
        "where": CALLBACK,
        "must_exist": FLAG,
        "expect": VERSION,
        "unlocked": FLAG,
        "old": MODEL[1:],
    },
    "check": {"key": TEXT_KEY, "where": CALLBACK, "absent": FLAG},
    "rewrite": {"item": MAPPING, "content": MODEL[1:]},
}
TEXT_OF_CARD = View("text", of=CARD, read=lambda card: card.text)
OTHERS = View("text", of=NOTE, read=lambda note: note.text)


def rename(change: Change[Card], it: Card) -> None:
    change.add(it.count, 1)


RIGHT: Mapping[str, Mapping[str, Any]] = {
    "get": {"key": "stored"},
    "require": {"key": "stored"},
    "view": {"key": "stored", "view": TEXT_OF_CARD},
    "views": {"key": "stored", "one": TEXT_OF_CARD, "other": TEXT_OF_CARD},
    "batch_get": {"keys": ["stored"]},
    "query": {"id": "stored"},
    "scan": {"name": "nightly"},
    "create": {"model": Card(id="new")},
    "put": {"model": Card(id="new")},
    "version_of": {"model": Card(id="new")},
    "update": {"target": "stored", "change": rename, "expect": 1, "known": {"text": "as it was"}},
    "upsert": {"key": "new", "change": rename, "default": Card(id="new"), "where": lambda it: it.count == 0},
    "delete": {"target": "stored", "expect": 1},
    "batch_write": {"writes": []},
    "check": {"key": "stored"},
    "rewrite": {"item": {}},
}


def test_every_public_method_is_in_the_table() -> None:
    """A new method, or a new parameter, needs a row before it is done."""
    assert [] == [*undescribed(DAO, ROWS), *undescribed(Plan, PLAN_ROWS)]


def named(case: Case) -> str | None:
    """Keys are named by their fields, which a caller knows; all else by the parameter."""
    return "id" if case.parameter in ("key", "target") else None


@pytest.mark.parametrize("case", cases(ROWS))
def test_a_wrong_argument_of_a_dao_is_refused_before_anything_is_sent(cards: DAO[Card], case: Case) -> None:
    """By the error that says whose mistake it is, naming the parameter and repeating no value."""
    method, right = getattr(cards, case.method), RIGHT[case.method]

    assert_refused(case, lambda wrong: method(**{**right, case.parameter: wrong}), named=named(case))


@pytest.mark.parametrize("case", cases(PLAN_ROWS))
def test_a_wrong_argument_of_a_plan_is_refused(cards: DAO[Card], case: Case) -> None:
    """The same, where a transaction or a batch builds its writes."""
    method, right = getattr(cards.plan, case.method), RIGHT[case.method]

    assert_refused(case, lambda wrong: method(**{**right, case.parameter: wrong}), named=named(case))


@pytest.mark.parametrize("method", ROWS)
def test_the_right_arguments_of_the_table_are_right(cards: DAO[Card], method: str) -> None:
    """Else a refusal in the table would prove nothing."""
    getattr(cards, method)(**RIGHT[method])


Misuse = Callable[[DAO[Card], Database], object]

MISUSES: dict[str, tuple[Misuse, type[Exception], str]] = {
    "a view of another type": (
        lambda cards, db: cards.view("stored", OTHERS),
        ConfigurationError,
        "view is made of 'note'",
    ),
    "another type's second view": (
        lambda cards, db: cards.views("stored", TEXT_OF_CARD, OTHERS),
        ConfigurationError,
        "other is made of 'note'",
    ),
    "a model of another type": (
        lambda cards, db: cards.create(Note(id="1", text="x")),  # type: ignore[arg-type]
        InvalidInput,
        "card stores Card, not Note",
    ),
    "a wrong key among right ones": (lambda cards, db: cards.batch_get(["a", None]), InvalidInput, "id is missing"),
    "a field that is no key": (lambda cards, db: cards.query(text="x"), ConfigurationError, "takes id"),
    "no field": (lambda cards, db: cards.query(), ConfigurationError, "takes id"),
    "a field of another type": (lambda cards, db: cards.query(id=7), InvalidInput, "id must be text"),
    "an unhashable index": (lambda cards, db: cards.query([], id="x"), ConfigurationError, "index= names"),  # type: ignore[arg-type]
    "another's write": (
        lambda cards, db: cards.batch_write([db.dao(NOTE).plan.create(Note(id="1", text="x"))]),  # type: ignore[list-item]
        ConfigurationError,
        "write of another DAO",
    ),
    "a check in a batch": (
        lambda cards, db: cards.batch_write([cards.plan.put(Card(id="1")), cards.plan.check("stored")]),
        ConfigurationError,
        "belongs into a transaction",
    ),
    "no write in a batch": (
        lambda cards, db: cards.batch_write([cards.plan.put(Card(id="1")), Card(id="2")]),  # type: ignore[list-item]
        ConfigurationError,
        r"Make it by the plan of this DAO",
    ),
    "a default for another key": (
        lambda cards, db: cards.upsert("a", rename, default=Card(id="b"), where=lambda it: it.count == 0),
        InvalidInput,
        "default is stored at another key",
    ),
    "a version where there is none": (
        lambda cards, db: db.dao(NOTE).delete("1", expect=1),
        ConfigurationError,
        "note has no version",
    ),
    "an absent item with a condition": (
        lambda cards, db: cards.plan.check("1", lambda it: it.count == 0, absent=True),
        ConfigurationError,
        "exclude each other",
    ),
    "an unknown field in known": (
        lambda cards, db: cards.update("stored", rename, known={"colour": "x"}, expect=1),
        ConfigurationError,
        "no stored field",
    ),
    "a version in known that is none": (
        lambda cards, db: cards.update("stored", rename, known={"version": "1"}),
        InvalidInput,
        "version must be an int",
    ),
    "a wrong value in known": (
        lambda cards, db: cards.update("stored", rename, known={"count": 1.5}, expect=1),
        InvalidInput,
        "count must be an int",
    ),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_arguments_that_do_not_go_together_are_refused_before_anything_is_sent(
    cards: DAO[Card], database: Database, misuse: str
) -> None:
    """Each is right by itself, and nobody means them together."""
    call, error, told = MISUSES[misuse]

    with spend(trips=0), pytest.raises(error, match=told):
        call(cards, database)


def damaged(**fields: Any) -> Card:
    """Return a card that pydantic did not check."""
    return Card.model_construct(**{"id": "new", **fields})


LOOP: list[Any] = []
LOOP.append(LOOP)


def nested(levels: int) -> Any:
    """Return a list of lists, so many deep."""
    return [] if levels <= 1 else [nested(levels - 1)]


DAMAGED: dict[str, tuple[Card, str]] = {
    "no key": (Card.model_construct(text="x"), "id is missing"),
    "an empty key": (damaged(id=""), "id is empty"),
    "bytes for text": (damaged(text=b"x"), "text must be text"),
    "a bool for an int": (damaged(count=True), "count must be an int"),
    "a float for an int": (damaged(count=1.5), "count must be an int"),
    "NaN in anything": (damaged(anything=Decimal("NaN")), "anything: not a finite number"),
    "infinity in anything": (damaged(anything=Decimal("-Infinity")), "anything: not a finite number"),
    "39 digits": (damaged(anything=10**39 + 1), "more than 38"),
    "a float in anything": (damaged(anything={"a": [1.5]}), "a float is refused"),
    "a time in anything": (damaged(anything=datetime(2026, 1, 1)), "anything must be"),  # noqa: DTZ001 - that is the point
    "an object in anything": (damaged(anything=object()), "anything must be"),
    "no text for a key of a dict": (damaged(more={1: "x"}), "more must be a dict whose keys are texts"),
    "a surrogate in a text": (damaged(lines=["\ud800"]), "lone surrogate"),
    "a surrogate in a key of a dict": (damaged(more={"\ud800": "x"}), "lone surrogate"),
    "a text for a list": (damaged(lines="x"), "lines must be a list"),
    "a list for a set": (damaged(tags=["x"]), "tags must be a frozenset"),
    "no set member": (damaged(tags=frozenset({None})), "tags must be text"),
    "an empty index key": (damaged(text=""), "text is empty"),
    "over 400 KB": (damaged(lines=["x" * 1000] * 500), "over 400 KB"),
    "a list in itself": (damaged(anything=LOOP), "32 levels"),
    "33 levels": (damaged(anything=nested(33)), "32 levels"),
}


@pytest.mark.parametrize("verb", ["create", "put"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_model_that_cannot_be_stored_is_refused_before_anything_is_sent(
    cards: DAO[Card], verb: str, damage: str
) -> None:
    """However it came by its values: the field is named, and no value."""
    model, told = DAMAGED[damage]

    with spend(trips=0), pytest.raises(InvalidInput, match=told):
        getattr(cards, verb)(model)


def test_a_version_that_is_none_is_refused(cards: DAO[Card]) -> None:
    """A creation sets the version, whatever the model says; every other write compares it."""
    for version in ("1", True, -1, None):
        with spend(trips=0), pytest.raises(InvalidInput, match="version must be"):
            cards.put(damaged(version=version))


def test_a_change_over_400_kilobytes_is_refused_before_it_is_sent(cards: DAO[Card]) -> None:
    """What it sets is too much for any item."""
    with spend(trips=0), pytest.raises(InvalidInput, match="over 400 KB"):
        cards.update("stored", lambda change, it: change.set(it.lines, ["x" * 1000] * 500), expect=1)
