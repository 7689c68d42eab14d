"""Every method of a transaction refuses every wrong argument when it is called, and nothing is sent (DI3)."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from common.dynamo import DAO, Change, Database, Transaction
from common.dynamo.requests import Constant, Path, PutItem, Update, UpdateItem
from common.dynamo.testing import spend
from common.dynamo.testing.examples import CARD, NOTE, Card
from common.dynamo.testing.wrong_arguments import (
    ANYTHING,
    CALLBACK,
    FLAG,
    MAPPING,
    MODEL,
    OBJECT,
    TEXT_KEY,
    VERSION,
    Case,
    Rows,
    assert_refused,
    cases,
    undescribed,
    wrong_values,
)
from common.exceptions import CommonError, ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

NAME = wrong_values(ConfigurationError, None_=None, an_int=7, bytes_=b"x")
ROWS: Rows = {
    "create": {"dao": OBJECT, "model": MODEL},
    "put": {"dao": OBJECT, "model": MODEL, "replace": FLAG, "unlocked": FLAG, "old": MODEL[1:]},
    "update": {
        "dao": OBJECT,
        "target": TEXT_KEY,
        "change": CALLBACK,
        "where": CALLBACK,
        "known": MAPPING,
        "expect": VERSION,
        "unlocked": FLAG,
    },
    "delete": {
        "dao": OBJECT,
        "target": TEXT_KEY,
        "where": CALLBACK,
        "must_exist": FLAG,
        "expect": VERSION,
        "unlocked": FLAG,
    },
    "check": {"dao": OBJECT, "key": TEXT_KEY, "where": CALLBACK, "absent": FLAG},
    "part": {"part": OBJECT, "operation": NAME},
    "emit": {"event": wrong_values(CommonError, None_=None, an_int=7, a_dict={}, a_class=Card)},
    "result_as": {"kind": ANYTHING},  # without a request id it is refused whatever is given
    "request": {},
}


def rename(change: Change[Card], it: Card) -> None:
    change.set(it.text, "new")


def transact(database: Database, *operations: Callable[[Transaction], object]) -> None:
    """Run a block of *operations*."""
    with database.transaction() as tx:
        for operation in operations:
            operation(tx)


def leave(tx: Transaction) -> None:
    """Leave a block without sending it."""
    raise ZeroDivisionError


PART = PutItem(table="app", item={"pk": {"S": "X"}, "sk": {"S": "X"}})


def right(cards: DAO[Card]) -> Mapping[str, Mapping[str, Any]]:
    """Return arguments of each method that it takes."""
    return {
        "create": {"dao": cards, "model": Card(id="a")},
        "put": {"dao": cards, "model": Card(id="b")},
        "update": {"dao": cards, "target": "c", "change": rename, "expect": 1},
        "delete": {"dao": cards, "target": "d", "expect": 1},
        "check": {"dao": cards, "key": "e"},
        "part": {"part": PART},
        "emit": {},
        "request": {},
    }


def test_every_public_method_is_in_the_table() -> None:
    """A new method, or a new parameter, needs a row before it is done."""
    assert [] == undescribed(Transaction, ROWS)


@pytest.mark.parametrize("case", cases(ROWS))
def test_a_wrong_argument_is_refused_when_it_is_given_and_nothing_is_sent(
    cards: DAO[Card], database: Database, case: Case
) -> None:
    """By the error of the single call, in the line that is wrong, not when the block ends."""
    named = {"key": "id", "target": "id", "event": "vent"}.get(case.parameter)

    def call(wrong: Any) -> None:
        with database.transaction() as tx:
            tx.create(cards, Card(id="also"))
            getattr(tx, case.method)(**{**right(cards)[case.method], case.parameter: wrong})

    assert_refused(case, call, named=named)
    assert cards.get("also") is None


def test_the_right_arguments_of_the_table_are_right(cards: DAO[Card], database: Database) -> None:
    """Else a refusal in the table would prove nothing."""
    for method, arguments in right(cards).items():
        if method != "emit":
            with pytest.raises(ZeroDivisionError):
                transact(database, lambda tx, method=method, given=arguments: getattr(tx, method)(**given), leave)  # type: ignore[misc]


def test_a_dao_of_another_database_is_refused(cards: DAO[Card], database: Database) -> None:
    """Its writes would go to tables of this one."""
    with Database.embedded(entity_types=[CARD]) as other:
        foreign = other.dao(CARD)
        operations: list[Callable[[Transaction], object]] = [
            lambda tx: tx.create(foreign, Card(id="x")),
            lambda tx: tx.put(foreign, Card(id="x")),
            lambda tx: tx.update(foreign, "x", rename, expect=1),
            lambda tx: tx.delete(foreign, "x", expect=1),
            lambda tx: tx.check(foreign, "x"),
        ]
        for operation in operations:
            with spend(trips=0), pytest.raises(ConfigurationError, match="dao belongs to another database"):
                transact(database, operation)


def test_a_model_of_another_entity_is_refused(cards: DAO[Card], database: Database) -> None:
    """The type of the DAO decides what it stores."""
    with spend(trips=0), pytest.raises(InvalidInput, match="note stores Note, not Card"), database.transaction() as tx:
        tx.create(database.dao(NOTE), Card(id="x"))  # type: ignore[arg-type]


def test_operations_outside_of_the_block_are_refused(cards: DAO[Card], database: Database) -> None:
    """Before it and after it: nothing would send them."""
    tx = database.transaction()
    with pytest.raises(ConfigurationError, match="inside the block"):
        tx.create(cards, Card(id="x"))
    with tx:
        pass
    with spend(trips=0), pytest.raises(ConfigurationError, match="inside the block"):
        tx.create(cards, Card(id="x"))


@pytest.mark.parametrize("parts", [101, 11])
def test_what_no_transaction_can_hold_is_refused_before_it_is_sent(
    cards: DAO[Card], database: Database, parts: int
) -> None:
    """More than 100 actions, or more than 4 MB, whole models and changes alike."""
    line = "x" * (390_000 if parts == 11 else 1)

    def creation(number: int) -> Callable[[Transaction], object]:
        return lambda tx: tx.create(cards, Card(id=str(number), lines=[line]))

    def addition(number: int) -> Callable[[Transaction], object]:
        return lambda tx: tx.update(
            cards, str(number), lambda change, it: change.append(it.lines, [line]), unlocked=True
        )

    for operation in (creation, addition):
        with spend(trips=0), pytest.raises(InvalidInput, match="at most"):
            transact(database, *map(operation, range(parts)))


def test_two_operations_on_one_item_are_refused_whatever_makes_them(cards: DAO[Card], database: Database) -> None:
    """Methods and ready-made parts alike."""
    key = CARD.item_key("stored")
    part = UpdateItem(
        table=database.table_of(CARD), key=key, update=Update(set=((Path(("text",)), Constant({"S": "x"})),))
    )

    with spend(trips=0), pytest.raises(InvalidInput, match="touch one item"):
        transact(database, lambda tx: tx.part(part), lambda tx: tx.check(cards, "stored"))
