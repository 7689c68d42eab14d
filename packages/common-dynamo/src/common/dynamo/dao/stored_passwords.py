"""Password hashes beside the profiles: read to be compared, renewed when the hasher's settings have moved on.

A hash is in no entity. It leaves the table in a :class:`StoredPassword` alone, for whoever verifies passwords elsewhere, such
as the authenticator of common-auth.
"""

from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Final

from common.dynamo.dao.ledger_types import PROFILE
from common.dynamo.dao.records import Profile
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.execution import Operation
from common.dynamo.requests import Compare, Constant, Item, Path, Update, UpdateItem
from common.dynamo.scans import Stretch
from common.dynamo.segments import START
from common.dynamo.value_classes import dataclass
from common.entities import UserStatus

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["StoredPassword", "every_hash", "renew_hash"]

_HASH: Final = Path(("hash",))


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """What a user's password is compared with."""

    user: Profile
    hash: str | None = field(repr=False)
    """As the hasher made it; ``None`` for a user without a password."""

    @classmethod
    def in_item(cls, item: Item) -> "StoredPassword":
        """Return what the item of a profile says.

        Raises:
            InvalidItem: It does not fit the profile.
        """
        return cls(PROFILE.decode(item), item.get("hash", {}).get("S"))

    @property
    def is_active(self) -> bool:
        """Whether the user may sign in."""
        return self.user.status is UserStatus.ACTIVE


def renew_hash(op: Operation, table: str, username: str, *, old: str, new: str) -> bool:
    """Store *new* where *old* is stored, and tell whether *new* is stored now: 1 write unit, 1 round trip.

    The profile's version stays: nothing that its readers see has changed.
    """
    request = UpdateItem(
        table=table,
        key=PROFILE.item_key(username),
        update=Update(set=((_HASH, Constant({"S": new})),)),
        condition=Compare("=", _HASH, Constant({"S": old})),
    )
    try:
        op.execute(request)
    except ConditionFailed as refused:
        # An earlier attempt whose answer was lost has stored it: hashes are salted, so nobody else makes the same one.
        return (refused.stored or {}).get("hash") == {"S": new}
    return True


def every_hash(db: "Database") -> Iterator[str]:
    """Walk over the hashes of all users: a scan of their table, 1 read unit per 4 KB of it."""
    scan = db.dao(PROFILE).scan(name="password-hashes", consistent=True)
    stretch, index = Stretch(START), 0
    while not stretch.position.has_ended:
        stretch = scan.read(0, stretch, index=index)
        index += 1
        yield from (item["hash"]["S"] for item in stretch.items if "hash" in item)
