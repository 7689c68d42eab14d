"""What one mutation does to an account: the one place that builds a write on ACCT items.

Pure. A posting is a map from account attribute to a signed amount. Whatever it takes away, it must find: the update's
condition asks for ``attribute >= amount`` wherever the amount is negative, so no attribute can fall below zero by any
route (ledger R4), without a lock and without reading first.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from common.dynamo.decimals import digits
from common.dynamo.requests import And, Compare, Condition, Constant, Item, ItemKey, Path, Update, UpdateItem
from common.dynamo.value_classes import dataclass
from common.entities import UserStatus

__all__ = [
    "CASH",
    "HELD",
    "Posting",
    "account_update",
    "amount_constant",
    "asset_attribute",
    "asset_of",
    "closing_update",
    "held_attribute",
    "is_held",
    "shortfall",
]

CASH: Final = "cash"
"""Account attribute of the cash that is free to use."""
HELD: Final = "held"
"""Account attribute of the cash that open buy orders hold."""

_ONE: Final = Constant({"N": "1"})
_STATUS: Final = Path(("st",))
_SEQUENCE: Final = Path(("seq",))
_LAST: Final = Path(("lst",))
_IS_ACTIVE: Final[Condition] = Compare("=", _STATUS, Constant({"S": UserStatus.ACTIVE.value}))


def asset_attribute(asset: str) -> str:
    """Return the account attribute of the free quantity of *asset*."""
    return f"a_{asset}"


def held_attribute(asset: str) -> str:
    """Return the account attribute of the quantity of *asset* that open sell orders hold."""
    return f"h_{asset}"


def asset_of(attribute: str) -> str | None:
    """Return the asset of an account attribute; ``None`` for cash."""
    return attribute[2:] if attribute.startswith(("a_", "h_")) else None


def is_held(attribute: str) -> bool:
    """Tell whether an account attribute counts what open orders hold."""
    return attribute == HELD or attribute.startswith("h_")


@dataclass(frozen=True, slots=True)
class Posting:
    """Signed changes of one account, all or none; amounts of zero are left out."""

    changes: Mapping[str, Decimal]
    """Account attribute to signed amount, exact, in units of the attribute's asset."""

    @classmethod
    def of(cls, changes: Iterable[tuple[str, Decimal]]) -> "Posting":
        """Build a posting; no attribute may come twice."""
        return cls(MappingProxyType({name: amount for name, amount in changes if amount}))

    @property
    def taken(self) -> Mapping[str, Decimal]:
        """What the account must have: attribute to amount above zero."""
        return {name: amount.copy_negate() for name, amount in self.changes.items() if amount < 0}


def account_update(table: str, key: ItemKey, posting: Posting, *, last: str) -> UpdateItem:
    """Return the update that applies *posting* to an active account.

    It also counts (``seq``) and names (``lst``) the mutation, so that the account item's stream is the ordered log of
    the account. A missing account fails the condition: no update ever creates one.

    Args:
        table: Table of the accounts.
        key: Primary key of the account item.
        posting: What changes.
        last: Id of the request, or of the journal entry, that stands for the change.
    """
    added = [(Path((name,)), amount_constant(amount)) for name, amount in posting.changes.items()]
    floors = [Compare(">=", Path((name,)), amount_constant(amount)) for name, amount in posting.taken.items()]
    return UpdateItem(
        table=table,
        key=key,
        update=Update(set=((_LAST, Constant({"S": last})),), add=(*added, (_SEQUENCE, _ONE))),
        condition=And((_IS_ACTIVE, *floors)) if floors else _IS_ACTIVE,
    )


def closing_update(table: str, key: ItemKey, *, sequence: int, last: str) -> UpdateItem:
    """Return the update that closes an active account which has not changed since it was read.

    Args:
        table: Table of the accounts.
        key: Primary key of the account item.
        sequence: How many changes it had when it was read.
        last: Id of the request that closes it.
    """
    closed = (_STATUS, Constant({"S": UserStatus.CLOSED.value}))
    return UpdateItem(
        table=table,
        key=key,
        update=Update(set=(closed, (_LAST, Constant({"S": last}))), add=((_SEQUENCE, _ONE),)),
        condition=And((_IS_ACTIVE, Compare("=", _SEQUENCE, Constant({"N": str(sequence)})))),
    )


def shortfall(posting: Posting, account: Item) -> tuple[str, Decimal] | None:
    """Return the first attribute that holds less than *posting* takes, and what it holds; ``None`` where all suffice."""
    for name, amount in posting.taken.items():
        held = Decimal(account.get(name, {}).get("N", "0"))
        if held < amount:
            return name, held
    return None


def amount_constant(amount: Decimal) -> Constant:
    """Return *amount* as it is stored: a number in plain digits, exact."""
    return Constant({"N": digits(amount)})
