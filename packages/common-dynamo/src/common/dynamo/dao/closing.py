"""Closing an account: once it is empty, and for good."""

from common.dynamo.dao.accounts import read_account
from common.dynamo.dao.instruction import stale_request_id
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.postings import closing_update
from common.dynamo.dao.profile_changes import ProfileChange, judge, lost_lock, recall, release_email
from common.dynamo.dao.records import Account, Profile
from common.dynamo.dao.submission import CHECK_FAILED, transaction
from common.dynamo.exceptions import AccountClosed, AccountNotEmpty, TransactionCanceled
from common.dynamo.execution import Operation
from common.entities import UserStatus

__all__ = ["close_account"]


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
            # By this very request, or by another one.
            return recall(op, change, AccountClosed())
        if _holds_something(account):
            raise AccountNotEmpty("The account still holds something. Withdraw or sell it, and end open orders, first.")
        closed = closing_update(
            ledger.table, ledger.account_key(account.user), sequence=account.sequence, last=change.instruction.id
        )
        try:
            op.execute(transaction(closed, release_email(change), change.update(returns_new=False)))
        except TransactionCanceled as refused:
            changed, released, profile = refused.reasons
            if profile.code == CHECK_FAILED:
                return judge(change, profile.item, refused.unknown_attempts)
            if released.code == CHECK_FAILED:
                raise lost_lock() from None
            if changed.code != CHECK_FAILED:
                raise
            continue
        return Applied(change.after, replayed=False)


def _holds_something(account: Account) -> bool:
    return any((account.cash, account.held, *account.assets.values(), *account.held_assets.values()))
