"""User names, asset ids, emails and request ids: what passes, what is refused, and what the error tells."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.utils.clock import FrozenClock
from common.core.utils.identifiers import UlidGenerator, Uuid7Generator
from common.core.validation import (
    EMAIL_PATTERN,
    USER_NAME_PATTERN,
    canonical_email,
    normalise_user_name,
    request_id_is_fresh,
    request_id_time,
    require_asset_id,
    require_request_id,
    sortable_request_id,
)
from common.exceptions import FieldError, InvalidInput

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("bob", "bob"), ("Alice.B", "alice.b"), ("x_1-2.3", "x_1-2.3"), ("A" * 30, "a" * 30), ("...", "...")],
)
def test_a_user_name_has_one_stored_form(typed: str, stored: str) -> None:
    """ASCII capitals become small letters, and normalising again changes nothing."""
    assert stored == normalise_user_name(typed)
    assert stored == normalise_user_name(stored)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ab",
        "a" * 31,
        " bob",
        "bob ",
        "bob\n",
        "b b",
        "a#b",
        "a/b",
        "a\0b",
        "аlice",
        "\u212aelvin",
        "ﬁnn",
        "bo\u0308b",
    ],
)
def test_look_alikes_and_other_names_are_refused(typed: str) -> None:
    """Nothing is trimmed or folded into a name: a Kelvin sign is no k, a Cyrillic а is no a."""
    with pytest.raises(InvalidInput) as caught:
        normalise_user_name(typed, pointer="/username")

    [error] = caught.value.errors
    assert ("/username", "user_name") == (error.pointer, error.code)
    assert not typed or typed not in str(caught.value)


@given(st.text(max_size=40))
def test_a_name_is_normal_or_refused(typed: str) -> None:
    """Whatever comes in, only the grammar of names comes out, and it is the input in lower case."""
    try:
        stored = normalise_user_name(typed)
    except InvalidInput:
        return

    assert USER_NAME_PATTERN.fullmatch(stored)
    assert typed.isascii()
    assert typed.lower() == stored


@pytest.mark.parametrize("asset", ["BTC", "USD", "A1", "ABCDEFGHIJ"])
def test_an_asset_id_passes_unchanged(asset: str) -> None:
    """An asset id is 2 to 10 capitals and digits, a letter first."""
    assert asset == require_asset_id(asset)


@pytest.mark.parametrize("asset", ["", "B", "btc", "1BTC", "ABCDEFGHIJK", "BTC\n", "B_C", "ВТС", "B#C", "BT٣"])
def test_other_asset_ids_are_refused(asset: str) -> None:
    """No case folding, no digits of other scripts, nothing that could end a key component."""
    with pytest.raises(InvalidInput, match="A-Z"):
        require_asset_id(asset)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a@x.org", "a@x.org"),
        ("A.B+Tag@Example.COM", "a.b+tag@example.com"),
        ("o'neil@sub.xn--bcher-kva.example", "o'neil@sub.xn--bcher-kva.example"),
        ("{}|~!#$%&*/=?^_`@x.co", "{}|~!#$%&*/=?^_`@x.co"),
        ("a@1.2.example", "a@1.2.example"),
        ("l" * 64 + "@x.org", "l" * 64 + "@x.org"),
    ],
)
def test_an_email_has_one_canonical_form(typed: str, stored: str) -> None:
    """An address in any case has one stored text, and canonicalising it again changes nothing."""
    assert stored == canonical_email(typed)
    assert stored == canonical_email(stored)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "a@",
        "@x.org",
        "a@localhost",
        "a@x.123",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "a@@x.org",
        "a@b@x.org",
        ".a@x.org",
        "a.@x.org",
        "a..b@x.org",
        '"a b"@x.org',
        "a b@x.org",
        " a@x.org",
        "a@x.org\n",
        "a@-x.org",
        "a@x-.org",
        "a@x..org",
        "a@x.org.",
        "a@x_y.org",
        "a@" + "l" * 64 + ".org",
        "l" * 65 + "@x.org",
        "a@" + "x." * 125 + "org",
        "müller@x.org",
        "a@bücher.example",
        "a@x.org\u212a",
        "a(comment)@x.org",
    ],
)
def test_addresses_outside_the_narrow_rule_are_refused(typed: str) -> None:
    """What the rule does not cover is refused with advice, and the address is not repeated."""
    with pytest.raises(InvalidInput, match=r"name@example\.org") as caught:
        canonical_email(typed)

    assert len(typed) < 2 or typed not in str(caught.value)


@given(st.text(alphabet=st.sampled_from("ab.@-_+A0 \n"), max_size=20))
def test_an_address_is_canonical_or_refused(typed: str) -> None:
    """Only addresses of the grammar come out, with one at-sign and a dot in the domain."""
    try:
        stored = canonical_email(typed)
    except InvalidInput:
        return

    assert EMAIL_PATTERN.fullmatch(stored)
    assert 1 == stored.count("@")
    assert "." in stored.partition("@")[2]


def test_a_long_hostile_address_is_refused_at_once() -> None:
    """The length is looked at before the grammar, so megabytes cost nothing."""
    with pytest.raises(InvalidInput):
        canonical_email("a." * 500_000 + "@" + "b-" * 500_000)


def test_request_ids_of_both_kinds_pass_unchanged() -> None:
    """A ULID and a UUIDv7 are keys as they are, and tell the time they were made."""
    clock = FrozenClock(NOON)
    for request_id in (UlidGenerator(clock=clock)(), Uuid7Generator(clock=clock)()):
        assert request_id == require_request_id(request_id)
        assert request_id_time(request_id) == NOON


@pytest.mark.parametrize("text", ["", "r-1", "01j0b3v1mmeedtx9cpdgkfhbch", "0190163D-8694-739B-AEA5-966C26F8AD91"])
def test_other_request_ids_are_refused(text: str) -> None:
    """A second spelling of the same id would be a second request."""
    with pytest.raises(InvalidInput) as caught:
        require_request_id(text, pointer="/request_id")

    assert ("/request_id", "request_id") == (caught.value.errors[0].pointer, caught.value.errors[0].code)


def test_an_id_beyond_the_calendar_is_refused() -> None:
    """A ULID of the year 10889 is not an overflow in the middle of a request."""
    with pytest.raises(InvalidInput):
        request_id_is_fresh("7" + "Z" * 25, NOON)


@pytest.mark.parametrize(
    ("age", "fresh"),
    [
        (timedelta(0), True),
        (timedelta(hours=24), True),
        (timedelta(hours=-24), True),
        (timedelta(hours=24, milliseconds=1), False),
        (timedelta(hours=-24, milliseconds=-1), False),
    ],
)
def test_an_id_is_fresh_within_a_day(age: timedelta, fresh: bool) -> None:
    """Up to 24 hours either way an id is fresh; the ends are included."""
    request_id = UlidGenerator(clock=FrozenClock(NOON))()

    assert fresh is request_id_is_fresh(request_id, NOON + age)


def test_a_naive_time_decides_nothing() -> None:
    """A service's time without an offset is a bug, and told as one."""
    with pytest.raises(TypeError):
        request_id_is_fresh(UlidGenerator()(), datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_tolerance_of_freshness_can_be_chosen() -> None:
    """A service with tighter rules says so."""
    request_id = UlidGenerator(clock=FrozenClock(NOON))()

    assert not request_id_is_fresh(request_id, NOON + timedelta(minutes=2), tolerance=timedelta(minutes=1))


def test_both_kinds_of_id_share_one_key_space() -> None:
    """The sortable form of a UUIDv7 is a ULID with the same time; that of a ULID is itself."""
    ulid, uuid7 = UlidGenerator(clock=FrozenClock(NOON))(), Uuid7Generator(clock=FrozenClock(NOON))()

    assert ulid == sortable_request_id(ulid)
    assert NOON == request_id_time(sortable_request_id(uuid7))


def test_refusals_carry_facts() -> None:
    """The error is one frozen entry that an HTTP answer can show."""
    with pytest.raises(InvalidInput) as caught:
        require_asset_id("btc", pointer="/asset")

    assert isinstance(caught.value.errors[0], FieldError)
    assert [{"pointer": "/asset", "code": "asset_id", "detail": caught.value.errors[0].message}] == (
        caught.value.extensions()["errors"]
    )
