"""Changes of a profile: each names the version it saw, and the profile remembers the last requests."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from common.dynamo.dao.instruction import Instruction, stale_request_id
from common.dynamo.dao.ledger_types import EMAIL, PROFILE
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.recent_requests import input_of, is_new_request, remember
from common.dynamo.dao.records import EmailLock, Profile
from common.dynamo.dao.refusals import address_taken
from common.dynamo.dao.submission import CHECK_FAILED, claim, transaction
from common.dynamo.exceptions import (
    AccountClosed,
    ConditionFailed,
    InvalidItem,
    NotFound,
    RequestIdReused,
    TransactionCanceled,
    VersionConflict,
)
from common.dynamo.execution import Operation
from common.dynamo.requests import (
    And,
    AttributeValue,
    Compare,
    Constant,
    DeleteItem,
    Item,
    Path,
    SetValue,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.value_classes import dataclass
from common.entities import UserStatus
from common.exceptions import CommonError, FieldError, InvalidInput

__all__ = ["ProfileChange", "change_profile", "judge", "lost_lock", "move_email", "recall", "release_email"]

_OWNER: Final = Path(("u",))
_HASH: Final = Path(("hash",))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """One change of one profile, built once: the same bytes on every attempt."""

    table: str
    seen: Profile
    """As the caller saw it."""
    instruction: Instruction
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the profile, checked; ``None`` removes one."""
    password_hash: str | None = field(default=None, repr=False)
    """What the hasher made; ``None`` leaves the stored one."""
    forgets_password: bool = False
    """Whether the stored hash is removed."""

    def update(self, *, returns_new: bool) -> UpdateItem:
        """Return the write: only where nobody has changed the profile since it was seen."""
        facts = {**self.fields, "updated_at": self.instruction.at, "version": self.seen.version + 1}
        kept = [
            (PROFILE.path(name), PROFILE.constant(name, value)) for name, value in facts.items() if value is not None
        ]
        gone = tuple(PROFILE.path(name) for name, value in facts.items() if value is None)
        gone += (_HASH,) if self.forgets_password else ()
        password: list[tuple[Path, SetValue]] = []
        if self.password_hash is not None:
            password.append((_HASH, Constant({"S": self.password_hash})))
        return UpdateItem(
            table=self.table,
            key=PROFILE.item_key(self.seen.username),
            update=Update(set=(*kept, *password, *remember(self.instruction.id, self.instruction.input)), remove=gone),
            condition=And((self._is_version_seen, self._is_active, is_new_request(self.instruction.id))),
            returns="ALL_NEW" if returns_new else "NONE",
        )

    @property
    def after(self) -> Profile:
        """The profile as the caller saw it, with this change made."""
        return self.seen.model_copy(
            update={**self.fields, "updated_at": self.instruction.at, "version": self.seen.version + 1}
        )

    @property
    def _is_version_seen(self) -> Compare:
        return Compare("=", PROFILE.path("version"), PROFILE.constant("version", self.seen.version))

    @property
    def _is_active(self) -> Compare:
        return Compare("=", PROFILE.path("status"), PROFILE.constant("status", UserStatus.ACTIVE))


def change_profile(op: Operation, change: ProfileChange) -> Applied[Profile]:
    """Make *change*, or find that it has been made: 1 write unit, 1 round trip.

    Raises:
        VersionConflict: Somebody else has changed the profile since it was seen.
        NotFound: There is no such user.
        AccountClosed: The user has left.
        RequestIdReused: The request has changed the profile in another way.
        InvalidInput: The id is stale and was never used.
    """
    if not change.instruction.is_fresh:
        return recall(op, change, stale_request_id())
    try:
        op.execute(change.update(returns_new=False))
    except ConditionFailed as refused:
        return judge(change, refused.stored, refused.unknown_attempts)
    return Applied(change.after, replayed=False)


def move_email(op: Operation, change: ProfileChange, email: str) -> Applied[Profile]:
    """Make *change*, which sets *email*, and move the lock on the address with it: 6 write units, 1 round trip.

    Same errors as :func:`change_profile`, and:

    Raises:
        UniqueViolation: The address belongs to another user.
        InvalidInput: The address is the user's already.
    """
    if email == change.seen.email:
        message = "The email address is the user's already."
        return recall(op, change, InvalidInput(errors=(FieldError("/email", "email_unchanged", message),)))
    if not change.instruction.is_fresh:
        return recall(op, change, stale_request_id())
    try:
        op.execute(_moving(change, email))
    except TransactionCanceled as refused:
        return _examine(change, refused)
    return Applied(change.after, replayed=False)


def _moving(change: ProfileChange, email: str) -> TransactWriteItems:
    lock = EmailLock(email=email, user=change.seen.username, request=change.instruction.id)
    return transaction(
        claim(change.table, EMAIL.encode(lock)),
        release_email(change),
        change.update(returns_new=False),
    )


def release_email(change: ProfileChange) -> DeleteItem:
    """Return the delete of the lock on the address that the user had, where it is theirs."""
    owner: AttributeValue = {"S": change.seen.username}
    return DeleteItem(
        table=change.table, key=EMAIL.item_key(change.seen.email), condition=Compare("=", _OWNER, Constant(owner))
    )


def lost_lock() -> InvalidItem:
    """Return the error for a user whose address is not locked for them, which no write of the ledger brings about."""
    message = "The lock on the user's email address is missing or another's; run the ledger's check."
    return InvalidItem(message, entity=EMAIL.name)


def _examine(change: ProfileChange, refused: TransactionCanceled) -> Applied[Profile]:
    taken, released, profile = refused.reasons
    if profile.code == CHECK_FAILED:
        return judge(change, profile.item, refused.unknown_attempts)
    if taken.code == CHECK_FAILED:
        raise address_taken(refused.unknown_attempts)
    if released.code == CHECK_FAILED:
        raise lost_lock()
    raise refused


def recall(op: Operation, change: ProfileChange, otherwise: CommonError) -> Applied[Profile]:
    """Return the profile where *change* has been made before: 1 read unit, 1 round trip; else raise *otherwise*."""
    item = read_item(op, change.table, PROFILE.item_key(change.seen.username))
    if item is None or input_of(change.instruction.id, item) is None:
        raise otherwise
    return judge(change, item, 0)


def judge(change: ProfileChange, item: Item | None, unknown_attempts: int) -> Applied[Profile]:
    """Say what a refused change means by the profile that stands there. Same errors as :func:`change_profile`."""
    if item is None:
        raise NotFound("The user does not exist.")
    stored = PROFILE.decode(item)
    made_with = input_of(change.instruction.id, item)
    if made_with is not None:
        if made_with != change.instruction.input:
            raise RequestIdReused
        is_ours = unknown_attempts > 0 and stored.updated_at == change.instruction.at
        return Applied(stored, replayed=not is_ours)
    if stored.status is UserStatus.CLOSED:
        raise AccountClosed
    raise VersionConflict(
        "The profile has changed since it was seen. Read it again and decide anew.",
        expected=change.seen.version,
        stored=stored,
    )
