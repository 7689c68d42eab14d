"""Updates do what they do in DynamoDB, on both engines."""

from typing import Any

import pytest

from common.dynamo.requests import IfNotExists, ListAppend, Minus, NotExists, Plus, Update
from common.dynamo.testing.values import B, N, S, const, path

ITEM: dict[str, Any] = {
    "n": N(5),
    "s": S("abc"),
    "l": {"L": [N(0), N(1), N(2), N(3)]},
    "m": {"M": {"k": S("v"), "d": {"M": {"x": N(1)}}}},
    "ss": {"SS": ["a", "b"]},
    "bs": {"BS": [b"a"]},
}
REFUSED = "ValidationException"


def sets(*pairs: tuple[Any, Any]) -> Update:
    return Update(set=pairs)


def numbers(*content: int) -> list[Any]:
    return [N(number) for number in content]


CHANGES: list[tuple[str, Update, dict[str, Any], str | None]] = [
    ("set", sets((path("x"), const(N("1.50")))), {"x": N("1.5")}, None),
    ("plus", sets((path("n"), Plus(path("n"), const(N("1.5"))))), {"n": N("6.5")}, None),
    ("minus", sets((path("n"), Minus(path("n"), const(N("7.25"))))), {"n": N("-2.25")}, None),
    ("a sum of constants", sets((path("n"), Plus(const(N(2)), const(N(1))))), {"n": N(3)}, None),
    (
        "operands are read as they were",
        sets((path("n"), path("s")), (path("s"), path("n"))),
        {"n": S("abc"), "s": N(5)},
        None,
    ),
    ("if_not_exists of a missing one", sets((path("q"), IfNotExists(path("q"), const(N(7))))), {"q": N(7)}, None),
    ("if_not_exists of an existing one", sets((path("q"), IfNotExists(path("n"), const(N(7))))), {"q": N(5)}, None),
    (
        "a counter that starts at zero",
        sets((path("q"), Plus(IfNotExists(path("q"), const(N(0))), const(N(1))))),
        {"q": N(1)},
        None,
    ),
    (
        "append to a list",
        sets((path("l"), ListAppend(path("l"), const({"L": [N(4)]})))),
        {"l": {"L": numbers(0, 1, 2, 3, 4)}},
        None,
    ),
    (
        "put in front of a list",
        sets((path("l"), ListAppend(const({"L": [N(-1)]}), path("l")))),
        {"l": {"L": numbers(-1, 0, 1, 2, 3)}},
        None,
    ),
    (
        "a member of a map",
        sets((path("m", "d", "y"), const(N(2)))),
        {"m": {"M": {"k": S("v"), "d": {"M": {"x": N(1), "y": N(2)}}}}},
        None,
    ),
    (
        "an element of a list",
        sets((path("l", 0), const(S("zero")))),
        {"l": {"L": [S("zero"), *numbers(1, 2, 3)]}},
        None,
    ),
    ("an element past the end", sets((path("l", 9), const(N(4)))), {"l": {"L": numbers(0, 1, 2, 3, 4)}}, "pads-lists"),
    (
        "two elements past the end, in order",
        sets((path("l", 60), const(N(5))), (path("l", 50), const(N(4)))),
        {"l": {"L": numbers(0, 1, 2, 3, 4, 5)}},
        "pads-lists",
    ),
    ("remove", Update(remove=(path("s"),)), {"s": None}, None),
    ("remove what is missing", Update(remove=(path("q"),)), {}, None),
    (
        "remove a member of a map",
        Update(remove=(path("m", "d", "x"),)),
        {"m": {"M": {"k": S("v"), "d": {"M": {}}}}},
        None,
    ),
    (
        "remove elements by their old positions",
        Update(remove=(path("l", 1), path("l", 2))),
        {"l": {"L": numbers(0, 3)}},
        None,
    ),
    ("remove past the end", Update(remove=(path("l", 9),)), {}, None),
    ("add to a number", Update(add=((path("n"), const(N("-0.005"))),)), {"n": N("4.995")}, None),
    ("add to a missing number", Update(add=((path("q"), const(N(3))),)), {"q": N(3)}, None),
    (
        "add to a number in a map",
        Update(add=((path("m", "d", "x"), const(N(1))),)),
        {"m": {"M": {"k": S("v"), "d": {"M": {"x": N(2)}}}}},
        None,
    ),
    ("add to a number in a list", Update(add=((path("l", 1), const(N(1))),)), {"l": {"L": numbers(0, 2, 2, 3)}}, None),
    ("add members", Update(add=((path("ss"), const({"SS": ["b", "c"]})),)), {"ss": {"SS": ["a", "b", "c"]}}, None),
    ("add members to a missing set", Update(add=((path("q"), const({"NS": ["1"]})),)), {"q": {"NS": ["1"]}}, None),
    ("delete members", Update(delete=((path("ss"), const({"SS": ["a", "z"]})),)), {"ss": {"SS": ["b"]}}, None),
    ("delete the last member", Update(delete=((path("bs"), const({"BS": [b"a"]})),)), {"bs": None}, None),
    ("delete from a missing set", Update(delete=((path("q"), const({"SS": ["a"]})),)), {}, None),
    (
        "all four clauses",
        Update(
            set=((path("s"), const(S("x"))),),
            remove=(path("m"),),
            add=((path("n"), const(N(1))),),
            delete=((path("ss"), const({"SS": ["a"]})),),
        ),
        {"s": S("x"), "m": None, "n": N(6), "ss": {"SS": ["b"]}},
        None,
    ),
    ("nothing at all", Update(), {}, None),
]


def without_order(item: Any) -> Any:
    """Return *item* with its sets as sets."""
    return {
        name: {k: frozenset(v) if k in ("SS", "NS", "BS") else v for k, v in value.items()}
        for name, value in item.items()
    }


@pytest.mark.parametrize(("update", "changed", "fault"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_an_update_changes_what_it_names(
    bench: Any, update: Update, changed: dict[str, Any], fault: str | None
) -> None:
    """The named attributes change, from the values they had before; all others stay."""
    bench.put(**ITEM)
    expected = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}

    answer = bench.update(update, returns="ALL_NEW")

    assert 200 == answer.status
    bench.check(without_order(expected), without_order(bench.get()), fault)


REFUSALS: list[tuple[str, Update, str | None]] = [
    ("the sum of a missing attribute", sets((path("n"), Plus(path("q"), const(N(1))))), None),
    ("the sum of a string", sets((path("n"), Plus(path("s"), const(N(1))))), None),
    ("the sum with a string", sets((path("n"), Plus(path("n"), const(S("1"))))), None),
    ("a missing attribute", sets((path("x"), path("q"))), None),
    ("a missing default", sets((path("x"), IfNotExists(path("q"), path("q2")))), None),
    ("append to a number", sets((path("l"), ListAppend(path("n"), const({"L": []})))), None),
    ("append to a missing list", sets((path("q"), ListAppend(path("q"), const({"L": []})))), None),
    ("append a number", sets((path("l"), ListAppend(path("l"), const(N(1))))), None),
    ("a member of a missing map", sets((path("q", "x"), const(N(1)))), None),
    ("a member of a number", sets((path("n", "x"), const(N(1)))), None),
    ("an element of a map", sets((path("m", 0), const(N(1)))), None),
    ("a member of a list", sets((path("l", "x"), const(N(1)))), None),
    ("remove below a missing map", Update(remove=(path("q", "x"),)), "removes-nowhere"),
    ("remove an element of a number", Update(remove=(path("n", 0),)), "removes-nowhere"),
    ("add to a string", Update(add=((path("s"), const(N(1))),)), None),
    ("add a string", Update(add=((path("n"), const(S("1"))),)), None),
    ("add a list", Update(add=((path("l"), const({"L": []})),)), None),
    ("add members of another type", Update(add=((path("ss"), const({"NS": ["1"]})),)), None),
    ("add below a missing map", Update(add=((path("q", "x"), const(N(1))),)), None),
    ("delete a string from a set", Update(delete=((path("ss"), const(S("a"))),)), None),
    ("delete members of another type", Update(delete=((path("ss"), const({"NS": ["1"]})),)), None),
    ("delete from a number", Update(delete=((path("n"), const({"NS": ["1"]})),)), None),
    ("an attribute twice", sets((path("n"), const(N(1))), (path("n"), const(N(2)))), None),
    ("an attribute in two clauses", Update(set=((path("n"), const(N(1))),), remove=(path("n"),)), None),
    ("a map and its member", sets((path("m"), const(N(1))), (path("m", "k"), const(N(1)))), None),
    ("a list and its element", Update(set=((path("l", 0), const(N(1))),), remove=(path("l"),)), None),
    ("the partition key", sets((path("pk"), const(S("b")))), None),
    ("removal of the sort key", Update(remove=(path("sk"),)), None),
    ("an index key of another type", sets((path("g1pk"), const(N(1)))), None),
    ("an empty index key", sets((path("g1pk"), const(S("")))), None),
    ("a sum of more than 38 digits", sets((path("n"), Plus(const(N("9" * 38)), const(N("0.1"))))), None),
    ("a sum out of range", sets((path("n"), Plus(const(N("9e125")), const(N("9e125"))))), None),
    ("over 400 KB", sets((path("x"), const(S("x" * 409_600)))), None),
    ("a number with 39 digits", sets((path("x"), const(N("1" * 39)))), None),
]


@pytest.mark.parametrize(("update", "fault"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_an_update_that_cannot_be_done_is_refused(bench: Any, update: Update, fault: str | None) -> None:
    """It is a validation error, and the item stays as it was."""
    bench.put(**ITEM)

    answer = bench.update(update)

    bench.check(REFUSED, answer.body.get("__type"), fault)
    if fault is None or not bench.is_dynoxide:
        assert without_order(ITEM) == without_order(bench.get())


RETURNS: list[tuple[str, Update, dict[str, Any] | None, str | None]] = [
    ("NONE", sets((path("n"), const(N(1)))), None, None),
    (
        "ALL_OLD",
        sets((path("n"), const(N(1)))),
        {"pk": S("a"), "sk": S("1"), "n": N(5), "m": {"M": {"k": S("v"), "j": N(1)}}},
        None,
    ),
    (
        "ALL_NEW",
        sets((path("n"), const(N(1)))),
        {"pk": S("a"), "sk": S("1"), "n": N(1), "m": {"M": {"k": S("v"), "j": N(1)}}},
        None,
    ),
    ("UPDATED_OLD", sets((path("n"), const(N(1))), (path("q"), const(N(2)))), {"n": N(5)}, None),
    ("UPDATED_NEW", sets((path("n"), const(N(1))), (path("q"), const(N(2)))), {"n": N(1), "q": N(2)}, None),
    ("UPDATED_OLD", sets((path("m", "k"), const(S("w")))), {"m": {"M": {"k": S("v")}}}, None),
    ("UPDATED_NEW", sets((path("m", "k"), const(S("w")))), {"m": {"M": {"k": S("w")}}}, None),
    ("UPDATED_NEW", Update(remove=(path("n"),)), None, None),
    ("UPDATED_OLD", Update(remove=(path("n"),)), {"n": N(5)}, None),
    ("UPDATED_NEW", Update(add=((path("n"), const(N(2))),)), {"n": N(7)}, None),
]


@pytest.mark.parametrize(
    ("returns", "update", "expected", "fault"),
    RETURNS,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(RETURNS)],
)
def test_return_values_show_what_was_asked_for(
    bench: Any, returns: str, update: Update, expected: dict[str, Any] | None, fault: str | None
) -> None:
    """ALL is the whole item, UPDATED what the update names, OLD before and NEW after it."""
    bench.put(n=N(5), m={"M": {"k": S("v"), "j": N(1)}})

    answer = bench.update(update, returns=returns)

    bench.check(expected, answer.body.get("Attributes"), fault)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [("UPDATED_OLD", [N(0), N(2)]), ("UPDATED_NEW", [S("o"), S("t")])],
)
def test_returned_elements_of_a_list_close_up(bench: Any, returns: str, expected: list[Any]) -> None:
    """Only the elements that the update names are returned."""
    bench.put(l={"L": numbers(0, 1, 2)})

    answer = bench.update(sets((path("l", 0), const(S("o"))), (path("l", 2), const(S("t")))), returns=returns)

    bench.check({"l": {"L": expected}}, answer.body["Attributes"], "whole-lists")


def test_an_update_of_a_missing_item_makes_it(bench: Any) -> None:
    """The new item has its key and what the update sets; there was nothing before."""
    answer = bench.update(sets((path("n"), const(N(1)))), returns="ALL_OLD")

    bench.check(None, answer.body.get("Attributes"), "old-of-nothing")
    assert {"n": N(1)} == bench.get()


@pytest.mark.parametrize("update", [Update(remove=(path("n"),)), Update(delete=((path("n"), const({"SS": ["a"]})),))])
def test_only_removing_from_a_missing_item_makes_none(bench: Any, update: Update) -> None:
    """There is nothing to remove from, so nothing appears."""
    bench.update(update)

    bench.check(None, bench.get(), "ghosts")


def test_a_delete_returns_what_was_there(bench: Any) -> None:
    """ALL_OLD of a delete is the item; of a second delete, nothing."""
    bench.put(n=N(1), b=B(b"\x00\xff"))

    first, second = bench.delete(returns="ALL_OLD"), bench.delete(returns="ALL_OLD")

    assert {"pk": S("a"), "sk": S("1"), "n": N(1), "b": B(b"\x00\xff")} == first.body["Attributes"]
    assert "Attributes" not in second.body


def test_a_put_replaces_the_whole_item(bench: Any) -> None:
    """Attributes that the new item does not have are gone."""
    bench.put(n=N(1), s=S("x"))
    bench.put(n=N(2))

    assert {"n": N(2)} == bench.get()


@pytest.mark.parametrize(("write", "returns"), [("delete", "ALL_NEW"), ("delete", "UPDATED_OLD")])
def test_a_delete_cannot_return_what_it_does_not_have(bench: Any, write: str, returns: str) -> None:
    """Only NONE and ALL_OLD make sense there."""
    bench.put(n=N(1))

    assert REFUSED == getattr(bench, write)(returns=returns).body["__type"]
    assert {"n": N(1)} == bench.get()


def test_an_item_is_made_only_once(bench: Any) -> None:
    """A put on the condition that there is none refuses the second."""
    assert 200 == bench.put(condition=NotExists(path("pk")), n=N(1)).status
    assert 400 == bench.put(condition=NotExists(path("pk")), n=N(2)).status
    assert {"n": N(1)} == bench.get()
