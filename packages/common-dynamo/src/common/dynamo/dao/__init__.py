"""The ledger: users, balances, orders and assets, one class per kind of business; see the guide "The ledger".

Every mutation takes ``request_id``, the caller's idempotency key, and is one conditional write: applied exactly once,
answered the same for ever. A yes is an :class:`Applied`; a no is raised, below
:class:`common.dynamo.exceptions.LedgerRefusal`.
"""

from common.dynamo.dao.asset import AssetBalanceDAO, AssetTransactionDAO
from common.dynamo.dao.authentication import Authentication
from common.dynamo.dao.balance import BalanceDAO
from common.dynamo.dao.checking import Discrepancy, check_account
from common.dynamo.dao.inventory import AssetDAO
from common.dynamo.dao.order import OrderDAO
from common.dynamo.dao.outcomes import Applied, Resolution, ResolutionState
from common.dynamo.dao.records import Profile
from common.dynamo.dao.stored_passwords import StoredPassword
from common.dynamo.dao.user import UserDAO

__all__ = [
    "Applied",
    "AssetBalanceDAO",
    "AssetDAO",
    "AssetTransactionDAO",
    "Authentication",
    "BalanceDAO",
    "Discrepancy",
    "OrderDAO",
    "Profile",
    "Resolution",
    "ResolutionState",
    "StoredPassword",
    "UserDAO",
    "check_account",
]
