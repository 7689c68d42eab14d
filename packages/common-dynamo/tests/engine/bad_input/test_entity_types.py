"""Entity types and their helpers: a wrong declaration is a fault that is told, a wrong argument is refused (DI5)."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Index, Key, Unique, View
from common.dynamo.exceptions import InvalidItem
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.examples import CARD, COUNTER, Card
from common.dynamo.testing.wrong_arguments import (
    ANYTHING,
    MODEL,
    OBJECT,
    TEXT_KEY,
    Case,
    Rows,
    assert_refused,
    cases,
    undescribed,
    wrong_values,
)
from common.exceptions import CommonError, ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

FIELD = wrong_values(ConfigurationError, None_=None, an_int=7, empty="", another="colour", a_list=[CANARY])
NO_ITEM = wrong_values(ConfigurationError, None_=None, an_int=7, a_text=CANARY, a_list=[CANARY])
FOREIGN = wrong_values(
    InvalidItem,
    empty={},
    a_number_for_the_type={"_t": {"N": "1"}},
    another_type={"_t": {"S": "other"}},
    no_value={"_t": CANARY},
    an_int={"_t": 7},
    nothing_but_the_type={"_t": {"S": "card"}, "_s": {"N": "1"}},
    an_empty_value={"_t": {"S": "card"}, "_s": {"N": "1"}, "id": {}},
    an_int_for_a_value={"_t": {"S": "card"}, "_s": {"N": "1"}, "id": 7},
    a_wrong_member={"_t": {"S": "card"}, "_s": {"N": "1"}, "id": {"S": "1"}, "anything": {"L": [7]}},
    a_number_that_is_none={"_t": {"S": "card"}, "_s": {"N": "1"}, "id": {"S": "1"}, "count": {"N": CANARY}},
)
ROWS: Rows = {
    "item_key": {"values": ANYTHING, "fields": ANYTHING},  # see below
    "encode": {"model": MODEL},
    "decode": {"item": NO_ITEM},
    "index_keys": {"model": MODEL},
    "path": {"field": FIELD, "rest": ANYTHING},  # see below
    "constant": {"field": FIELD, "value": wrong_values(InvalidInput, an_int=7, bytes_=b"x", a_surrogate="\ud800")},
    "faults": {},
}
RIGHT: Mapping[str, Mapping[str, Any]] = {
    "encode": {"model": Card(id="1")},
    "decode": {"item": CARD.encode(Card(id="1"))},
    "index_keys": {"model": Card(id="1")},
    "path": {"field": "text"},
    "constant": {"field": "text", "value": "x"},
}
NAMES = {"value": "text"}
TEXT_OF_CARD = View("text", of=CARD, read=lambda card: card.text)


def test_every_public_method_is_in_the_table() -> None:
    """A new method, or a new parameter, needs a row before it is done."""
    assert [] == [*undescribed(EntityType, ROWS), *undescribed(View, {"decode": {"item": NO_ITEM}})]


@pytest.mark.parametrize("case", cases(ROWS))
def test_a_wrong_argument_of_a_helper_is_refused(case: Case) -> None:
    """By the error that says whose mistake it is, naming the parameter or the type and repeating no value."""
    method, right = getattr(CARD, case.method), RIGHT[case.method]

    method(**right)
    assert_refused(case, lambda wrong: method(**{**right, case.parameter: wrong}), named=NAMES.get(case.parameter))


def test_an_item_that_is_no_card_is_an_invalid_item() -> None:
    """Of another type, or with what no writer of this layer has stored; read as a card and as a view of one."""
    for decode in (CARD.decode, TEXT_OF_CARD.decode):
        assert_refused(Case("decode", "item", NO_ITEM), decode)
        assert_refused(Case("decode", "item", FOREIGN), decode, named="card")


def test_a_key_of_wrong_values_is_refused() -> None:
    """By position and by name."""
    values = tuple(wrong for wrong in TEXT_KEY if not isinstance(wrong.value, tuple | dict))
    assert_refused(Case("item_key", "values", values), CARD.item_key, named="id")
    assert_refused(Case("item_key", "fields", values), lambda wrong: CARD.item_key(id=wrong), named="id")
    for call in (
        CARD.item_key,
        lambda: CARD.item_key("1", "2"),
        lambda: CARD.item_key("1", id="1"),
        lambda: CARD.item_key(x="1"),
    ):
        with pytest.raises(InvalidInput, match="key of card"):
            call()


def test_a_path_into_nothing_is_refused() -> None:
    """Members of a path are texts and positions."""
    for rest in ([None], [1.5], [True], [-1], [b"x"], ["\ud800"]):
        with pytest.raises(CommonError):
            CARD.path("more", *rest)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="name one of its keys"):
        COUNTER.path("amounts")


class Plain(BaseModel):
    id: str
    at: int = 0


KEY = Key("P#{id}", "P")
DECLARATIONS: dict[str, tuple[Callable[[], EntityType[Any]], str]] = {
    "no model": (lambda: EntityType(None, "p", key=KEY), "model"),  # type: ignore[type-var]
    "a class that is no model": (lambda: EntityType(dict, "p", key=KEY), "model"),  # type: ignore[type-var]
    "a model's object": (lambda: EntityType(Plain(id="1"), "p", key=KEY), "model"),  # type: ignore[arg-type]
    "no name": (lambda: EntityType(Plain, None, key=KEY), "name"),  # type: ignore[arg-type]
    "a number for a name": (lambda: EntityType(Plain, 7, key=KEY), "name"),  # type: ignore[arg-type]
    "a text for a key": (lambda: EntityType(Plain, "p", key="P#{id}"), "key"),  # type: ignore[arg-type]
    "a text for indexes": (lambda: EntityType(Plain, "p", key=KEY, indexes="GSI1"), "indexes"),  # type: ignore[arg-type]
    "one index": (lambda: EntityType(Plain, "p", key=KEY, indexes=Index("GSI1", KEY)), "indexes"),  # type: ignore[arg-type]
    "texts for indexes": (lambda: EntityType(Plain, "p", key=KEY, indexes=["GSI1"]), "indexes"),  # type: ignore[list-item]
    "texts for unique": (lambda: EntityType(Plain, "p", key=KEY, unique=["id"]), "unique"),  # type: ignore[list-item]
    "a number for unique": (lambda: EntityType(Plain, "p", key=KEY, unique=7), "unique"),  # type: ignore[arg-type]
    "a bool for a version": (lambda: EntityType(Plain, "p", key=KEY, version=True), "version"),  # type: ignore[arg-type]
    "a number for a ttl": (lambda: EntityType(Plain, "p", key=KEY, ttl=7), "ttl"),  # type: ignore[arg-type]
    "a list for scales": (lambda: EntityType(Plain, "p", key=KEY, scales=["at"]), "scales"),  # type: ignore[arg-type]
    "a text for a schema": (lambda: EntityType(Plain, "p", key=KEY, schema="2"), "schema"),  # type: ignore[arg-type]
    "a list for upcast": (lambda: EntityType(Plain, "p", key=KEY, upcast=[1]), "upcast"),  # type: ignore[arg-type]
    "a text for a step": (lambda: EntityType(Plain, "p", key=KEY, schema=2, upcast={1: "x"}), "upcast"),  # type: ignore[dict-item]
    "a number for a group": (lambda: EntityType(Plain, "p", key=KEY, group=7), "group"),  # type: ignore[arg-type]
    "a list for attributes": (lambda: EntityType(Plain, "p", key=KEY, attributes=["at"]), "attributes"),  # type: ignore[arg-type]
    "a number for an attribute": (lambda: EntityType(Plain, "p", key=KEY, attributes={"at": 7}), "attributes"),  # type: ignore[dict-item]
    "an empty attribute": (lambda: EntityType(Plain, "p", key=KEY, attributes={"at": ""}), "attributes"),
    "a text for spread": (lambda: EntityType(Plain, "p", key=KEY, spread="at"), "spread"),  # type: ignore[arg-type]
    "a key that is text": (lambda: EntityType(Plain, "p", key=KEY, indexes=[Index("GSI1", "P")]), "GSI1"),  # type: ignore[arg-type]
    "an index without a name": (lambda: EntityType(Plain, "p", key=KEY, indexes=[Index(None, KEY)]), "index"),  # type: ignore[arg-type]
    "a projection that is none": (
        lambda: EntityType(Plain, "p", key=KEY, indexes=[Index("GSI1", KEY, "SOME")]),  # type: ignore[arg-type]
        "projection",
    ),
    "a unique field that is none": (lambda: EntityType(Plain, "p", key=KEY, unique=[Unique(7)]), "unique"),  # type: ignore[arg-type]
    "a rule that cannot be called": (
        lambda: EntityType(Plain, "p", key=KEY, unique=[Unique("id", normalise="lower")]),  # type: ignore[arg-type]
        "normalise",
    ),
}


@pytest.mark.parametrize("mistake", DECLARATIONS)
def test_a_wrong_declaration_is_told_by_name_when_a_database_is_opened(mistake: str) -> None:
    """At the latest: neither the declaration nor the database raises anything else."""
    make, told = DECLARATIONS[mistake]

    with pytest.raises(ConfigurationError, match=told):
        Database.embedded(entity_types=[make()])


KEYS: dict[str, Callable[[], Key]] = {
    "None": lambda: Key(None, "X"),  # type: ignore[arg-type]
    "a number": lambda: Key("X", 7),  # type: ignore[arg-type]
    "bytes": lambda: Key(b"X", "X"),  # type: ignore[arg-type]
    "empty": lambda: Key("", "X"),
    "an open brace": lambda: Key("X{", "X"),
    "no name": lambda: Key("{}", "X"),
    "an expression": lambda: Key("{a.b}", "X"),
    "a conversion": lambda: Key("{a!r}", "X"),
    "no width": lambda: Key("{a:x}", "X"),
    "a surrogate": lambda: Key("\ud800", "X"),
}


@pytest.mark.parametrize("mistake", KEYS)
def test_a_template_that_cannot_be_read_is_refused_when_it_is_written(mistake: str) -> None:
    """Where it stands, not where it is used."""
    with pytest.raises(ConfigurationError, match="template"):
        KEYS[mistake]()


def test_nothing_of_a_database_is_no_entity_type() -> None:
    """What is registered later is checked in the same way."""
    with Database.embedded() as database:
        assert_refused(Case("dao", "entity", OBJECT), database.dao, named="EntityType")
