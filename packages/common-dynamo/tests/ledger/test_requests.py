"""What the ledger sends, as values: compared without an engine."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.utils import first_ulid
from common.dynamo.dao.input_hash import HashedValue, input_hash
from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.postings import Posting, account_update
from common.dynamo.dao.recent_requests import (
    REMEMBERED,
    first_request,
    input_of,
    is_new_request,
    remember,
)
from common.dynamo.dao.submission import claim, transaction
from common.dynamo.requests import (
    And,
    BeginsWith,
    Compare,
    Constant,
    IfNotExists,
    Not,
    NotExists,
    Path,
    PutItem,
    Update,
    UpdateItem,
)
from common.exceptions import InvalidInput

KEY = {"pk": {"S": "U#alice"}, "sk": {"S": "ACCT"}}


def test_a_withdrawal_is_one_conditional_update() -> None:
    """ADD of the amount, a counter and a name; only where the account is active and holds as much."""
    update = account_update("app", KEY, Posting.of([("cash", Decimal("-5.00"))]), last="01J")

    assert update == UpdateItem(
        table="app",
        key=KEY,
        update=Update(
            set=((Path(("lst",)), Constant({"S": "01J"})),),
            add=((Path(("cash",)), Constant({"N": "-5"})), (Path(("seq",)), Constant({"N": "1"}))),
        ),
        condition=And(
            (
                Compare("=", Path(("st",)), Constant({"S": "active"})),
                Compare(">=", Path(("cash",)), Constant({"N": "5"})),
            )
        ),
    )


def test_a_claim_holds_only_where_nothing_stands() -> None:
    """The put of a key is the uniqueness of that key."""
    assert claim("app", {**KEY, "h": {"S": "x"}}) == PutItem(
        table="app", item={**KEY, "h": {"S": "x"}}, condition=NotExists(Path(("pk",)))
    )


def test_the_token_of_a_transaction_is_that_of_its_bytes() -> None:
    """Equal parts have one token, others another; it has the 36 characters that the engine takes."""
    one, same, other = (
        transaction(account_update("app", KEY, Posting.of([("cash", Decimal(amount))]), last="01J"))
        for amount in ("5", "5", "6")
    )

    assert one == same
    assert one.token != other.token
    assert len(one.token or "") == 36


# Input hashes ---------------------------------------------------------------------------------------------------------

VALUES = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.integers(-99, 99),
        st.decimals(-99, 99, places=2),
        st.none(),
        st.datetimes(timezones=st.just(UTC)),
    ),
    max_size=4,
)


def _canonical(values: list[HashedValue]) -> list[object]:
    """What two lists must share to be one input: numbers by value, everything else by text."""
    return [str(Decimal(value).normalize() + 0) if isinstance(value, int | Decimal) else value for value in values]


@given(VALUES, VALUES)
def test_two_inputs_share_a_hash_exactly_when_they_are_equal(one: list[HashedValue], other: list[HashedValue]) -> None:
    """No two different lists run together; texts that look like numbers are the numbers, as on the wire."""
    texts = ([str(each) for each in _canonical(one)], [str(each) for each in _canonical(other)])
    if _canonical(one) == _canonical(other):
        assert input_hash(*one) == input_hash(*other)
    elif texts[0] != texts[1]:
        assert input_hash(*one) != input_hash(*other)


def test_numbers_and_times_count_in_canonical_form() -> None:
    """Trailing zeros and time zones make no other request; a missing value is not the text of it."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert input_hash(Decimal("5.00")) == input_hash(Decimal(5)) == input_hash(5)
    assert input_hash(noon) == input_hash(noon.astimezone(timezone(timedelta(hours=2))))
    assert input_hash(None) != input_hash("none")
    assert input_hash("a", "b") != input_hash("ab")
    assert len(input_hash("deposit")) == 22


def test_hashes_of_today_are_those_of_stored_items() -> None:
    """A change of this function would refuse every repeat of an earlier request: these two never change."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert input_hash("deposit", Decimal("5.00")) == "0laNopa7rglx7YmQXZLWyg"
    assert input_hash("LIMIT_BUY", "BTC", Decimal("0.50"), Decimal("45000.00"), None, noon) == "yUZKvEmSfh7b_zO8OqAB7g"


# Instructions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "is_fresh"), [(0, True), (-23, True), (23, True), (-25, False), (25, False)])
def test_an_id_is_fresh_within_a_day_of_the_clock(hours: int, is_fresh: bool) -> None:
    """Either way; what is outside is looked up before anything is sent."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    instruction = Instruction.of("Alice", first_ulid(made), made + timedelta(hours=hours), "deposit", 5)

    assert instruction.is_fresh is is_fresh
    assert instruction.user == "alice"


@pytest.mark.parametrize("user", ["al", "no spaces", "x" * 31, "аlice", ""])
def test_a_name_that_is_none_is_refused(user: str) -> None:
    """Too short, with a space, too long, with a Cyrillic letter, empty."""
    with pytest.raises(InvalidInput):
        Instruction.of(user, "01J0B3V1MMEEDTX9CPDGKFHBCH", datetime.now(UTC), "deposit")


# Recent requests ------------------------------------------------------------------------------------------------------


def _shifted(item: dict[str, dict[str, str]], request: str) -> dict[str, dict[str, str]]:
    """Apply the SET actions of *remember* as the engine does: every right-hand side means the item as it was."""
    after = dict(item)
    for path, value in remember(request, f"hash-of-{request}"):
        if isinstance(value, Constant):
            after[str(path.parts[0])] = dict(value.value)
        elif isinstance(value, IfNotExists) and isinstance(value.default, Constant):
            after[str(path.parts[0])] = item.get(str(value.path.parts[0]), dict(value.default.value))
    return after


def test_an_item_remembers_its_last_eight_requests() -> None:
    """The newest in front, the ninth forgotten; each with the hash of its input."""
    item = {name: dict(value) for name, value in first_request("R0", "hash-of-R0").items()}
    for number in range(1, 10):
        item = _shifted(item, f"R{number}")

    assert [input_of(f"R{number}", item) for number in range(10)] == [
        None,
        None,
        *(f"hash-of-R{n}" for n in range(2, 10)),
    ]
    assert input_of("R", item) is None
    assert input_of("-", item) is None


def test_a_remembered_request_fails_the_condition() -> None:
    """One test per slot, by the id alone, so that other input under the same id is noticed too."""
    condition = is_new_request("R1")

    assert isinstance(condition, And)
    assert condition.parts == tuple(
        Not(BeginsWith(Path((f"r{slot}",)), Constant({"S": "R1#"}))) for slot in range(REMEMBERED)
    )
