"""Key templates (D8, D9): injective, ordered like their values, and strict about what they are made of."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dynamo.keys import BoundTemplate, Key, Template, templates_overlap
from common.exceptions import ConfigurationError, InvalidInput


class Side(StrEnum):
    BUY = "buy"


KINDS: dict[str, type] = {
    "a": str,
    "b": str,
    "n": int,
    "price": Decimal,
    "at": datetime,
    "day": date,
    "flag": bool,
    "uuid": UUID,
    "side": Side,
}


def bound(text: str) -> BoundTemplate:
    return BoundTemplate.bind(text, KINDS)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
EARLIEST, LATEST = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 - hypothesis adds the time zone
instants = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))
numbers = st.integers(-(10**10) + 1, 10**10 - 1)
prices = st.decimals(-(10**6), 10**6, places=2, allow_nan=False)


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("X#{a}#{b}", st.tuples(texts, texts)),
        ("X#{a}#{n:10}", st.tuples(texts, numbers)),
        ("{n:10}#{a}", st.tuples(numbers, texts)),
        ("{n:10}{a}", st.tuples(numbers, texts)),
        ("{price:8.2}#{a}", st.tuples(prices, texts)),
        ("{at}#{a}", st.tuples(instants, texts)),
        ("{day}#{flag}", st.tuples(st.dates(), st.booleans())),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_keys_compare_as_the_tuples_they_are_made_of(template: str, values: st.SearchStrategy[tuple[Any, ...]]) -> None:
    """The byte order of two keys is the order of their values, so equal keys mean equal values."""
    make = bound(template).build

    @given(values, values)
    def compare(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
        left, right = make(one).encode(), make(other).encode()
        assert (one < other, one == other) == (left < right, left == right)

    compare()


def test_a_separator_in_a_value_cannot_move_the_border() -> None:
    """("x#y", "z") and ("x", "y#z") have different keys."""
    make = bound("{a}#{b}").build

    assert make(("x#y", "z")) != make(("x", "y#z"))


def test_ten_sorts_after_two() -> None:
    """Numbers are padded to their width."""
    make = bound("N#{n:4}").build

    assert make((2,)) < make((10,))
    assert make((-10,)) < make((-2,)) < make((0,))


def test_case_is_kept() -> None:
    """Two values that differ in case alone are two keys."""
    make = bound("U#{a}").build

    assert make(("Ada",)) != make(("ada",))


def test_the_year_999_and_time_zones_keep_their_order() -> None:
    """Instants are written in UTC at fixed width."""
    make = bound("{at}").build
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert make((datetime(999, 12, 31, tzinfo=UTC),)) < make((datetime(1000, 1, 1, tzinfo=UTC),))
    assert make((noon,)) == make((noon.astimezone(timezone(timedelta(hours=5))),))


def test_every_kind_of_component_has_one_form() -> None:
    """The table in the module's documentation."""
    key = bound("{side}#{uuid}#{flag}#{day}#{price:4.2}#{n:3}")
    values = (Side.BUY, UUID(int=1), True, date(2026, 11, 24), Decimal("-1.5"), 7)

    assert "buy#00000000-0000-0000-0000-000000000001#1#2026-11-24#0999849#1007" == key.build(values)


@pytest.mark.parametrize(
    ("template", "value", "told"),
    [
        ("{a}", "", "empty"),
        ("{a}", None, "missing"),
        ("{a}", "\ud800", "surrogate"),
        ("{a}", 7, "must be text, not int"),
        ("{n:3}", 1000, "wider than the 3 digits"),
        ("{n:3}", -1000, "wider than the 3 digits"),
        ("{n:3}", True, "must be an int, not bool"),
        ("{price:3.2}", Decimal(1000), "wider"),
        ("{price:3.2}", Decimal("1.005"), "does not fit 2 decimal places"),
        ("{at}", datetime(2026, 1, 1), "without a time zone"),  # noqa: DTZ001 - what is refused
        ("{day}", datetime(2026, 1, 1, tzinfo=UTC), "must be a date"),
        ("{side}", "buy", "must be a Side, not str"),
        ("{a}", "x" * 1025, "over 1024 bytes"),
        ("{a}", "ü" * 513, "over 1024 bytes"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_key_that_cannot_be_right_is_refused_when_it_is_built(template: str, value: Any, told: str) -> None:
    """The message names the field and never holds the value."""
    with pytest.raises(InvalidInput, match=told) as caught:
        bound(template).build((value,))

    assert caught.value.errors
    assert not isinstance(value, str) or not value or value not in str(caught.value)


def test_a_partition_key_may_be_twice_as_long() -> None:
    """2048 bytes against 1024 of a sort key."""
    partition = BoundTemplate.bind("{a}", KINDS, limit=2048)

    assert "x" * 2048 == partition.build(("x" * 2048,))
    with pytest.raises(InvalidInput, match="2048"):
        partition.build(("x" * 2049,))


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{n}", "needs a width"),
        ("{price:4}", "integer digits and decimals"),
        ("{a:4}", "a width belongs to numbers"),
        ("{a}{b}", "must be followed by '#'"),
        ("{a}-x", "must be followed by '#'"),
        ("{missing}", "no such field"),
    ],
)
def test_a_template_that_is_not_injective_is_refused(template: str, told: str) -> None:
    """So is one over unknown or unsuitable fields."""
    with pytest.raises(ConfigurationError, match=told):
        bound(template)


@pytest.mark.parametrize("text", ["", "{a", "{0}", "{a!r}", "{a:x}", "{a.b}"])
def test_a_template_that_cannot_be_read_is_refused(text: str) -> None:
    """The error names the template."""
    with pytest.raises(ConfigurationError, match="template"):
        Template(text)


def test_a_key_lists_its_fields_in_the_order_of_its_tuple() -> None:
    """Partition first, each once."""
    assert ("t", "s", "n") == Key("X#{t}#{s}", "{t}#{n:3}").fields


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("U#{a}", "U#{b}", True),
        ("PROFILE", "ACCT", False),
        ("T#{a}", "O#{a}", False),
        ("T#{a}", "T#{a}#X", False),
        ("{a}", "PROFILE", True),
        ("{a}", "T#{a}", False),
        ("A{n:3}", "AB", True),
        ("A{n:3}X", "AB", False),
        ("A{n:3}X", "BX", False),
        ("pre{n:2}", "p{n:4}", True),
        ("x{n:2}a", "x{n:2}b", False),
    ],
)
def test_templates_that_can_make_one_key_are_found(one: str, other: str, meet: bool) -> None:
    """Neither order of asking changes the answer."""
    assert (
        meet == templates_overlap(Template(one), Template(other)) == templates_overlap(Template(other), Template(one))
    )


@pytest.mark.parametrize(
    ("make", "inside", "outside"),
    [
        (lambda: bound("T#{a}").bounds([], "b", "d"), ["T#b", "T#c", "T#d"], ["T#a", "T#d1", "T#e"]),
        (lambda: bound("T#{a}#{b}").bounds([], "b", "d"), ["T#b#x", "T#d#z", "T#d#￿"], ["T#a#z", "T#d$20#x", "T#e#"]),
        (lambda: bound("T#{a}").bounds([], None, "d"), ["T#0", "T#d"], ["T#e", "S#z"]),
        (lambda: bound("T#{a}").bounds([], "b", None), ["T#b", "T#zzz", "T#￿"], ["T#a", "U#a"]),
        (lambda: bound("{a}#{n:2}#x").bounds(["k"], 1, 2), ["k#101#x", "k#102#x"], ["k#100#x", "k#103#x", "k"]),
    ],
    ids=["last component", "inner component", "open below", "open above", "second component"],
)
def test_bounds_hold_exactly_the_keys_between_them(
    make: Callable[[], tuple[str, str | None]], inside: list[str], outside: list[str]
) -> None:
    """Both ends are included, and what continues a longer value is not."""
    low, high = make()

    assert high is not None
    assert [True] * len(inside) == [low <= key <= high for key in inside]
    assert [False] * len(outside) == [low <= key <= high for key in outside]
