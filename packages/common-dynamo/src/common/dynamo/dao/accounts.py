"""Reading an account: one item, one consistent read, never torn."""

from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ACCOUNT
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.records import Account
from common.dynamo.exceptions import AccountNotFound
from common.dynamo.execution import Operation

__all__ = ["read_account"]


def read_account(op: Operation, ledger: Ledger, user: str) -> Account:
    """Return the account of *user*, a normalised name: 1 read unit per 4 KB, 1 round trip, consistent.

    Raises:
        AccountNotFound: There is none.
    """
    item = read_item(op, ledger.table, ledger.account_key(user))
    if item is None:
        raise AccountNotFound
    return ACCOUNT.decode(item)
