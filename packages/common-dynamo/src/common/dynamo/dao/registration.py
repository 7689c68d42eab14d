"""Bringing a user into being: profile, email lock and account in one transaction, or none of them."""

from common.dynamo.dao.instruction import Instruction, stale_request_id
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ACCOUNT, EMAIL, PROFILE
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.records import Account, EmailLock, Profile
from common.dynamo.dao.refusals import address_taken
from common.dynamo.dao.submission import CHECK_FAILED, claim, transaction
from common.dynamo.exceptions import RequestIdReused, TransactionCanceled, UniqueViolation
from common.dynamo.execution import Operation
from common.dynamo.requests import Item, TransactWriteItems
from common.dynamo.value_classes import dataclass

__all__ = ["Registration", "register"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A new user, built once: the same bytes on every attempt."""

    table: str
    instruction: Instruction
    profile: Profile
    password_hash: str | None
    """What the hasher made; it is stored beside the profile and never leaves the table in an entity."""

    def __repr__(self) -> str:
        return f"Registration({self.instruction.id})"

    @property
    def request(self) -> TransactWriteItems:
        """The one write. The keys are the constraints: a name and an email address belong to whoever puts them first."""
        user, request = self.instruction.user, self.instruction.id
        marks: dict[str, dict[str, str]] = {"rid": {"S": request}, "h": {"S": self.instruction.input}}
        if self.password_hash is not None:
            marks["hash"] = {"S": self.password_hash}
        lock = EmailLock(email=self.profile.email, user=user, request=request)
        return transaction(
            claim(self.table, {**PROFILE.encode(self.profile), **marks}),
            claim(self.table, EMAIL.encode(lock)),
            claim(self.table, ACCOUNT.encode(Account(user=user, last=request))),
        )


def register(op: Operation, ledger: Ledger, registration: Registration) -> Applied[Profile]:
    """Store the user, or find that this request has done so: 1 round trip.

    Raises:
        UniqueViolation: The name or the email address is taken.
        RequestIdReused: The request has stored this user with other values.
        InvalidInput: The id is stale and was never used.
    """
    if not registration.instruction.is_fresh:
        return _recall(op, ledger, registration)
    try:
        op.execute(registration.request)
    except TransactionCanceled as refused:
        return _examine(registration, refused)
    return Applied(registration.profile, replayed=False)


def _recall(op: Operation, ledger: Ledger, registration: Registration) -> Applied[Profile]:
    item = read_item(op, ledger.table, PROFILE.item_key(registration.profile.username))
    if item is None or not _is_by(item, registration.instruction):
        raise stale_request_id()
    return _repeat(registration, item, 0)


def _examine(registration: Registration, refused: TransactionCanceled) -> Applied[Profile]:
    profile, email, account = refused.reasons
    if profile.item is not None and _is_by(profile.item, registration.instruction):
        return _repeat(registration, profile.item, refused.unknown_attempts)
    if CHECK_FAILED in (profile.code, account.code):
        raise UniqueViolation("The user name is taken; names are never given out again.", field="username")
    if email.code == CHECK_FAILED:
        raise address_taken(refused.unknown_attempts)
    raise refused


def _repeat(registration: Registration, item: Item, unknown_attempts: int) -> Applied[Profile]:
    if item.get("h") != {"S": registration.instruction.input}:
        raise RequestIdReused
    profile = PROFILE.decode(item)
    is_ours = unknown_attempts > 0 and profile == registration.profile
    return Applied(profile, replayed=not is_ours)


def _is_by(item: Item, instruction: Instruction) -> bool:
    return item.get("rid") == {"S": instruction.id}
