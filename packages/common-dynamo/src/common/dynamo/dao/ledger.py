"""What the DAOs of one database share: its tables, clock and assets, and how a call begins."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from common.core.utils import UlidGenerator
from common.dynamo.arguments import require_kind
from common.dynamo.dao.access_patterns import LEDGER_PATTERNS
from common.dynamo.dao.arguments import require_given
from common.dynamo.dao.catalogue import Catalogue
from common.dynamo.dao.input_hash import HashedValue
from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.ledger_types import ACCOUNT, ENTRY, LEDGER_ENTITY_TYPES, ORDER
from common.dynamo.dao.postings import Posting, account_update
from common.dynamo.dao.timing import DatabaseClock, DeadlineLike
from common.dynamo.exceptions import OutcomeUnknown
from common.dynamo.execution import Operation, Pattern
from common.dynamo.requests import ItemKey, UpdateItem
from common.entities import QuoteAsset

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["Ledger", "require_database"]


class Ledger:
    """The ledger of one database, with one asset as its cash."""

    def __init__(self, db: "Database", cash: QuoteAsset) -> None:
        require_database(db)
        require_given(cash, QuoteAsset, pointer="/cash")
        for entity in LEDGER_ENTITY_TYPES:
            db.dao(entity)  # known to the database from now on, whether or not a plugin has brought it
        db.declare(LEDGER_PATTERNS)
        self.db = db
        self.cash = cash
        self._clock = DatabaseClock(db)
        self.catalogue = db.shared(Catalogue, lambda: Catalogue(db))
        self.new_id = db.shared(UlidGenerator, lambda: UlidGenerator(clock=self._clock))
        self.table = db.table_of(ACCOUNT)
        """The table of users' partitions."""

    def now(self) -> datetime:
        """Return the database's time, in UTC."""
        return self._clock.now()

    def instruct(self, user: str, request_id: str, *asked: HashedValue) -> Instruction:
        """Check and normalise a request, as of now.

        Raises:
            InvalidInput: *user* is no user name, or *request_id* neither a ULID nor a UUIDv7.
        """
        # None would be a request on nobody's account.
        return Instruction.of(require_given(user, str, pointer="/user"), request_id, self.now(), *asked)

    @contextmanager
    def operation(
        self,
        pattern: Pattern,
        request_id: str | None = None,
        deadline: DeadlineLike | None = None,
        *,
        table: str | None = None,
    ) -> Iterator[Operation]:
        """Run one DAO call: one span, one deadline; an unknown outcome names the caller's *request_id*.

        Args:
            pattern: What the call is named by.
            request_id: As the caller gave it.
            deadline: Seconds from now, or a moment.
            table: Where it goes; ``None`` for the table of users' partitions.
        """
        with self.db.operation(pattern, table or self.table, deadline=deadline) as op:
            try:
                yield op
            except OutcomeUnknown as unknown:
                unknown.request_id = unknown.request_id or request_id
                raise

    def account_update(self, user: str, posting: Posting, *, last: str) -> UpdateItem:
        """Return the update that applies *posting* to the account of *user*; *last* is the id that it is done under."""
        return account_update(self.table, ACCOUNT.item_key(user), posting, last=last)

    def account_key(self, user: str) -> ItemKey:
        """Return the key of the account of *user*, a normalised name."""
        return ACCOUNT.item_key(user)

    def entry_key(self, user: str, entry_id: str) -> ItemKey:
        """Return the key of a journal entry."""
        return ENTRY.item_key(user, entry_id)

    def order_key(self, user: str, order_id: str) -> ItemKey:
        """Return the key of an order."""
        return ORDER.item_key(user, order_id)


def require_database(db: object) -> None:
    """Refuse what is no database.

    Raises:
        ConfigurationError: It is something else.
    """
    from common.dynamo.database import Database

    require_kind("db", db, Database, "Open one: Database.connect(...) or Database.embedded().")
