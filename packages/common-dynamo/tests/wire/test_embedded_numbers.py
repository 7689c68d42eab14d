"""Numbers, keys and items in the embedded engine: pure properties of what is stored."""

from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dynamo.wire.embedded import number
from common.dynamo.wire.embedded.conditions import equal
from common.dynamo.wire.embedded.keys import successor
from common.dynamo.wire.embedded.packing import pack, unpack
from common.dynamo.wire.embedded.refusal import Refused
from common.dynamo.wire.embedded.values import canonical_item, item_size

WIDE = Context(prec=300)


def build(sign: int, digits: int, exponent: int) -> Decimal:
    return Decimal((sign, tuple(map(int, str(digits))), exponent))


numbers = st.builds(build, st.integers(0, 1), st.integers(0, 10**38 - 1), st.integers(-130, 88)).filter(
    lambda value: not value or -130 <= value.adjusted() <= 125
)


@given(st.lists(numbers, min_size=2, max_size=20))
def test_bytes_sort_as_the_numbers_do(values: list[Decimal]) -> None:
    """Sign, magnitude and digits decide; equal numbers have equal bytes."""
    ordered = sorted(values)

    for low, high in pairwise(ordered):
        one, two = (number.sort_bytes(number.plain(value)) for value in (low, high))
        assert (one == two) if low == high else (one < two)


@given(numbers)
def test_canonical_form_is_plain_and_keeps_the_value(value: Decimal) -> None:
    """No exponent, no needless zero, and the canonical form of itself."""
    text = number.canonical(str(value))

    assert Decimal(text) == value
    assert number.canonical(text) == text == number.plain(value)
    assert "e" not in text.lower()
    assert not (text.startswith("0") and text not in ("0",) and not text.startswith("0."))


@given(numbers, numbers)
def test_sums_are_exact_or_refused(left: Decimal, right: Decimal) -> None:
    """A sum that needs more than 38 digits, or leaves the range, is refused rather than rounded."""
    exact = WIDE.add(left, right)
    one, two = number.plain(left), number.plain(right)
    try:
        total = number.add(one, two)
    except Refused:
        digits = len(str(exact).replace("-", "").replace(".", "").partition("E")[0].strip("0"))
        assert digits > 38 or not -130 <= exact.adjusted() <= 125
    else:
        assert Decimal(total) == exact
        assert number.subtract(one, number.plain(right.copy_negate())) == total


@given(st.lists(st.binary(max_size=4), max_size=30), st.binary(max_size=3))
def test_a_prefix_ends_where_its_successor_begins(contents: list[bytes], prefix: bytes) -> None:
    """What begins with a prefix is exactly what lies between it and its successor."""
    end = successor(prefix)

    for content in contents:
        assert content.startswith(prefix) == (content >= prefix and (end is None or content < end))


scalars: Any = st.one_of(
    st.text(max_size=8).map(lambda text: {"S": text}),
    st.integers(-999, 999).map(lambda whole: {"N": str(whole)}),
    st.binary(max_size=8).map(lambda content: {"B": content}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=3, unique=True).map(
        lambda members: {"BS": members}
    ),
)
values: Any = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), values, max_size=5))
def test_an_item_survives_storage(item: dict[str, Any]) -> None:
    """Packed and unpacked it is the same item, of the same size, binary values wherever they are."""
    stored, size = canonical_item(item)

    again = unpack(pack(stored))

    assert equal({"M": stored}, {"M": again})
    assert size == item_size(again)


@pytest.mark.parametrize(
    "wrong", [{}, {"S": "a", "N": "1"}, {"X": "a"}, "a", {"S": 1}, {"N": 1}, {"L": "abc"}, {"M": []}, {"BOOL": 1}]
)
def test_what_is_no_attribute_value_is_refused(wrong: Any) -> None:
    """It is a validation error, never another exception."""
    with pytest.raises(Refused):
        canonical_item({"a": wrong})


def test_a_lone_surrogate_is_refused() -> None:
    """It is no Unicode text, and cannot be sent to any engine."""
    with pytest.raises(Refused):
        canonical_item({"a": {"S": "\ud800"}})
