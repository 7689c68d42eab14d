"""Canaries: texts and numbers that occur nowhere by chance, put where they must not come out of.

Keys, values and amounts belong into the table and nowhere else: not into spans, metrics, logs or errors. A test gives
the layer nothing but canaries, collects everything that was told, and searches it::

    >>> from common.dynamo import Database
    >>> with Database.embedded(entity_types=[SECRET]) as db:
    ...     secret = CanaryKit(db).stored_secret()
    >>> secret.text, find_canaries({"a log line": "stored", "another": f"stored {secret.owner!r}"})
    ('canary-5f1d0c9e7b3a', ["another: ...stored 'canary-5f1d0c9e7b3a-1'..."])
"""

import itertools
import json
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field

from common.dynamo.dao.records import Profile
from common.dynamo.entity_type import EntityType, Index, Unique, View
from common.dynamo.keys import Key
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Asset, Order, OrderCreate, OrderType, UserCreate
from common.exceptions import to_problem

if TYPE_CHECKING:
    from common.core.passwords import PasswordHasher
    from common.dynamo.database import Database

__all__ = [
    "AMOUNT",
    "ASSET",
    "BY_SHELF",
    "CANARIES",
    "CANARY",
    "COUNT_OF_SCRAP",
    "PASSWORD",
    "QUANTITY",
    "SCRAP",
    "SECRET",
    "TEXT_OF_SCRAP",
    "CanaryKit",
    "Scrap",
    "Secret",
    "find_canaries",
    "told_by",
]

CANARY: Final = "canary-5f1d0c9e7b3a"
"""Fits into a key, a user name, an email address, a category and a password."""
ASSET: Final = "CNRY5F1D0C"
AMOUNT: Final = Decimal("73519428601.37")
QUANTITY: Final = Decimal("58219476031.25")
PASSWORD: Final = f"{CANARY} hunter2"
CANARIES: Final = (CANARY, ASSET, "73519428601", "58219476031")
"""What to search for. Long enough that no id and no time has one by chance."""

_PLENTY: Final = Decimal(10) ** 15
_AROUND: Final = 60


class Secret(BaseModel):
    """A model with every kind of rule."""

    owner: str
    number: int
    text: str = CANARY
    email: str
    shelf: str = CANARY
    amount: Decimal = AMOUNT
    version: int = 0


BY_SHELF = Index("GSI1", Key("SH#{shelf}", "{number:6}"))
SECRET = EntityType(
    Secret,
    "secret",
    key=Key("SECRET#{owner}", "N#{number:6}"),
    indexes=[BY_SHELF],
    unique=[Unique("email")],
    version="version",
    scales={"amount": 2},
)


class Scrap(BaseModel):
    """A model whose entity type has no rules."""

    id: str
    text: str = CANARY
    word: str = Field(default="word", pattern="^[a-z]+$")
    """No canary is one."""
    count: int = 0


SCRAP = EntityType(Scrap, "scrap", key=Key("SCRAP#{id}", "SCRAP"))
TEXT_OF_SCRAP = View("text", of=SCRAP, read=lambda scrap: scrap.text)
COUNT_OF_SCRAP = View("count", of=SCRAP, read=lambda scrap: scrap.count)


class CanaryKit:
    """All DAOs on one database, and things to give them that consist of canaries, no two alike."""

    def __init__(self, db: "Database", hasher: "PasswordHasher | None" = None) -> None:
        """Work on *db*; passwords are hashed by *hasher*, a :class:`~.ledger.CountingHasher` by default."""
        self.db = db
        self.secrets, self.scraps = db.dao(SECRET), db.dao(SCRAP)
        self.ledger = LedgerKit(db, hasher)
        self.users, self.balances, self.orders = self.ledger.users, self.ledger.balances, self.ledger.orders
        self.assets, self.holdings, self.trades = self.ledger.assets, self.ledger.holdings, self.ledger.trades
        self.new_id = self.ledger.new_id
        self._numbers = itertools.count(1)

    # Not stored yet

    def secret(self, **fields: Any) -> Secret:
        """Make a secret; *fields* instead of its own."""
        number = next(self._numbers)
        name = f"{CANARY}-{number}"
        return Secret.model_validate({"number": number, "owner": name, "email": f"{name}@example.org", **fields})

    def scrap(self) -> Scrap:
        """Make a scrap."""
        return Scrap(id=f"{CANARY}-{next(self._numbers)}")

    def newcomer(self, password: str | None = None) -> UserCreate:
        """Make somebody who is not registered."""
        name = f"{CANARY}-{next(self._numbers)}"
        fields = {"username": name, "email": f"{name}@example.org", "full_name": CANARY, "password": password}
        return UserCreate.model_validate(fields)

    def asset(self, **fields: Any) -> Asset:
        """Make an asset; *fields* instead of its own."""
        texts = dict.fromkeys(("name", "category", "description"), CANARY)
        made = {"id": f"C{next(self._numbers)}", "scale": 8, "created_at": datetime.now(UTC)}
        return Asset.model_validate({**texts, **made, **fields})

    def limit(self, **fields: Any) -> OrderCreate:
        """Make the terms of a limit order, to buy unless *fields* say otherwise."""
        terms = {"asset": ASSET, "type": OrderType.LIMIT_BUY, "quantity": QUANTITY, "limit_price": "1.00"}
        return OrderCreate.model_validate({**terms, **fields})

    # Stored

    def stored_secret(self, **fields: Any) -> Secret:
        """Store a secret."""
        return self.secrets.create(self.secret(**fields))

    def stored_scrap(self) -> Scrap:
        """Store a scrap."""
        return self.scraps.create(self.scrap())

    def profile(self) -> Profile:
        """Register somebody with a password."""
        return self.users.create(self.newcomer(PASSWORD), request_id=self.new_id()).entry

    @cached_property
    def trader(self) -> str:
        """Name of somebody who has more than enough of everything, and of :data:`ASSET`, which is listed for it."""
        self.assets.create(self.asset(id=ASSET), request_id=self.new_id())
        return self.ledger.open_account(f"{CANARY}-trader", cash=_PLENTY, holding={ASSET: _PLENTY})

    def order(self, first: str, *steps: str, **terms: Any) -> Order:
        """Place or submit a limit order, as *first* says, and take it on by *steps*, such as ``trigger``."""
        begin = getattr(self.orders, first)
        order: Order = begin(self.trader, self.limit(**terms), request_id=self.new_id()).entry
        for step in steps:
            order = getattr(self.orders, step)(order, request_id=self.new_id()).entry
        return order


def find_canaries(told: Mapping[str, str], *more: str) -> list[str]:
    """Return where canaries are in *told* (what it is, to its text), with the text around the first of each kind.

    Args:
        told: Searched in any case of letters.
        more: Further texts that must not be there, such as cursors.
    """
    found = []
    for place, text in told.items():
        folded = text.casefold()
        for canary in (*CANARIES, *more):
            if (at := folded.find(canary.casefold())) >= 0:
                found.append(f"{place}: ...{text[max(0, at - _AROUND) : at + len(canary) + _AROUND]}...")
    return found


def told_by(error: BaseException) -> str:
    """Return all that *error* tells by itself: text, ``repr``, traceback without locals, and problem details."""
    problem = to_problem(error)
    stack = "".join(traceback.format_exception(error))
    return "\n".join([str(error), repr(error), stack, json.dumps(problem.body), str(problem.headers)])
