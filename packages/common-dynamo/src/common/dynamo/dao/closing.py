"""Closing an account: once it is empty, and for good."""

from typing import Final

from common.dynamo.dao.accounts import read_account
from common.dynamo.dao.instruction import stale_request_id
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ACCOUNT, EMAIL
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.profile_changes import ProfileChange, judge, recall, release_email
from common.dynamo.dao.records import Account, Profile
from common.dynamo.dao.submission import CHECK_FAILED, transaction
from common.dynamo.exceptions import AccountClosed, AccountNotEmpty, InvalidItem, TransactionCanceled
from common.dynamo.execution import Operation
from common.dynamo.requests import And, Compare, Constant, Path, Update, UpdateItem
from common.entities import UserStatus

__all__ = ["close_account"]

_LAST: Final = Path(("lst",))


def close_account(op: Operation, ledger: Ledger, change: ProfileChange) -> Applied[Profile]:
    """Close the account that *change*, which closes the profile, belongs to: 1 read unit, 6 write units, 2 round trips.

    What the account held when it was read is what it holds when it is closed: its sequence must not have moved. Where it
    has, it is read again, until the deadline.

    Raises:
        AccountNotEmpty: Something is left, free or held.
        AccountNotFound, AccountClosed, VersionConflict, NotFound, RequestIdReused: As :func:`change_profile`.
        InvalidInput: The id is stale and was never used.
    """
    if not change.instruction.is_fresh:
        return recall(op, change, stale_request_id())
    while True:
        account = read_account(op, ledger, change.seen.username)
        if account.status is UserStatus.CLOSED:
            return _repeat(op, change)
        if _holds_something(account):
            raise AccountNotEmpty("The account still holds something. Withdraw or sell it, and end open orders, first.")
        try:
            op.execute(
                transaction(_closed(ledger, account, change), release_email(change), change.update(returns_new=False))
            )
        except TransactionCanceled as refused:
            _, released, profile = refused.reasons
            if profile.code == CHECK_FAILED:
                return judge(change, profile.item, refused.unknown_attempts)
            if released.code == CHECK_FAILED:
                message = "The lock on the user's email address is missing or another's; run the ledger's check."
                raise InvalidItem(message, entity=EMAIL.name) from None
            continue
        return Applied(change.after, replayed=False)


def _holds_something(account: Account) -> bool:
    return any((account.cash, account.held, *account.assets.values(), *account.held_assets.values()))


def _closed(ledger: Ledger, account: Account, change: ProfileChange) -> UpdateItem:
    status, sequence = ACCOUNT.path("status"), ACCOUNT.path("sequence")
    is_as_read = Compare("=", sequence, ACCOUNT.constant("sequence", account.sequence))
    is_active = Compare("=", status, ACCOUNT.constant("status", UserStatus.ACTIVE))
    closed = (status, ACCOUNT.constant("status", UserStatus.CLOSED))
    by = (_LAST, Constant({"S": change.instruction.id}))
    return UpdateItem(
        table=ledger.table,
        key=ledger.account_key(account.user),
        update=Update(set=(closed, by), add=((sequence, Constant({"N": "1"})),)),
        condition=And((is_active, is_as_read)),
    )


def _repeat(op: Operation, change: ProfileChange) -> Applied[Profile]:
    """The account is closed: by this very request, or by another."""
    return recall(op, change, AccountClosed())
