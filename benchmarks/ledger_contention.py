"""Many clients on one hot account, and on a thousand: what the ledger's way of writing gets done, beside two others.

    python benchmarks/ledger_contention.py [--seconds 10] [--seed 1]

Engines on one machine never conflict, so this is a model of DynamoDB's documented behaviour in a simulation with a clock of
its own: an answer takes 10 ms, a transaction or update holds its items for 6 ms of that, and whoever comes to a held item
meanwhile is told TransactionConflict. The figures are exact for a seed and do not depend on the machine. Three ways to add an
amount to a balance and to journal it, once:

- ledger: ``BalanceDAO.deposit``, a conditional ADD without reading first; conflicts are retried by the layer.
- version: read, add up, write where the version is still the one that was read; whoever loses begins again.
- lock: take a lease on the account by a conditional put, read, write, give it back; whoever finds it taken waits.
"""

import argparse
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from pydantic import BaseModel

from common.dynamo import ANY_SCALE, DAO, Change, Database, EntityType, Key
from common.dynamo.dao import BalanceDAO
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.exceptions import AlreadyExists, OutcomeUnknown, Unavailable, VersionConflict
from common.dynamo.requests import PutItem, Request, TransactWriteItems
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.testing.simulation import World, simulation
from common.dynamo.wire import Answer
from common.dynamo.wire.embedded import EmbeddedWire

ANSWER: Final = 0.010
HOLD: Final = 0.006
"""Seconds of the model: ledger guide, "Keep in mind"."""
CLIENTS: Final = (1, 8, 32)
ACCOUNTS: Final = (1, 1000)
LEASE: Final = 5.0
ONE: Final = Decimal("1.00")


class Account(BaseModel):
    """A balance that is read, added up and written."""

    id: str
    cash: Decimal = Decimal(0)
    version: int = 0


class Posting(BaseModel):
    """A line of its journal."""

    account: str
    id: str
    amount: Decimal


class Lease(BaseModel):
    """A lock on an account, until it runs out."""

    account: str
    holder: str


ACCOUNT: Final = EntityType(
    Account, "bench-account", key=Key("B#{id}", "ACCT"), version="version", scales={"cash": ANY_SCALE}
)
POSTING: Final = EntityType(Posting, "bench-posting", key=Key("B#{account}", "T#{id}"), scales={"amount": 2})
LOCK: Final = EntityType(Lease, "bench-lock", key=Key("L#{account}", "LOCK"))


class ContendedWire:
    """A way to an engine that answers after 10 ms and holds what is written for 6 of them."""

    name = "embedded"
    reason = "a model of contention"
    endpoint: tuple[str, int] | None = None
    region: str | None = None

    def __init__(self, world: World) -> None:
        self._world = world
        self._engine = EmbeddedWire(
            clock=world.clock, timer=world.monotonic, sleep=world.sleep, random=world.chance.random
        )
        self._held: set[str] = set()
        self.sent = 0

    def send(self, request: Request, timeout: float) -> Answer:
        """Send *request*, unless somebody holds an item of it."""
        self.sent += 1
        way = (ANSWER - HOLD) / 2
        self._world.sleep(way)
        items = _items_of(request)
        if self._held & items:
            self._world.sleep(way)
            return _conflict(request)
        self._held |= items
        self._world.sleep(HOLD)
        answer = self._engine.send(request, timeout)
        self._held -= items
        self._world.sleep(way)
        return answer

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _items_of(request: Request) -> set[str]:
    if isinstance(request, TransactWriteItems):
        return {_place(part) for part in request.parts}
    return {_place(request)} if request.operation in ("PutItem", "UpdateItem", "DeleteItem") else set()


def _place(part: object) -> str:
    key = part.item if isinstance(part, PutItem) else part.key  # type: ignore[attr-defined]
    return f"{key['pk']['S']}|{key['sk']['S']}"


def _conflict(request: Request) -> Answer:
    if not isinstance(request, TransactWriteItems):
        return Answer(400, {"__type": "TransactionConflictException"})
    reasons = [{"Code": "TransactionConflict"} for _ in request.parts]
    return Answer(400, {"__type": "TransactionCanceledException", "CancellationReasons": reasons})


@dataclass(slots=True)
class Tally:
    """What came of one scene."""

    done: int = 0
    given_up: int = 0
    sent: int = 0
    latencies: list[float] = field(default_factory=list)

    def row(self, seconds: float) -> tuple[str, ...]:
        """Return the figures as text: done per second, requests per done, median and 99th percentile in ms, given up."""
        cuts = statistics.quantiles(self.latencies, n=100) if len(self.latencies) > 1 else [0.0] * 99
        tries = self.sent / max(1, self.done)
        return (
            f"{self.done / seconds:,.0f}",
            f"{tries:.1f}",
            f"{cuts[49] * 1000:,.0f}",
            f"{cuts[98] * 1000:,.0f}",
            str(self.given_up),
        )


Add = Callable[[str, str], object]
"""Adds one unit to the account named first, under the id named second."""


def by_ledger(database: Database, world: World) -> Add:
    """Deposit."""
    balances, kit = BalanceDAO(database), LedgerKit(database)
    return lambda account, _: balances.deposit(account, ONE, request_id=kit.new_id())


def by_version(database: Database, world: World) -> Add:
    """Read, add up, write where nobody else has; else begin again."""
    accounts, postings = database.dao(ACCOUNT), database.dao(POSTING)

    def add(account: str, id: str) -> None:
        while True:
            try:
                _write(database, accounts, postings, accounts.require(account), id)
            except VersionConflict:
                continue
            return

    return add


def by_lock(database: Database, world: World) -> Add:
    """Take the lease, read, add up, write, give it back."""
    accounts, postings, locks = database.dao(ACCOUNT), database.dao(POSTING), database.dao(LOCK)

    def add(account: str, id: str) -> None:
        delay = 0.005
        while True:
            try:
                locks.create(Lease(account=account, holder=id))
            except AlreadyExists:
                world.sleep(world.chance.uniform(0, delay))
                delay = min(delay * 2, 0.2)
                continue
            break
        try:
            _write(database, accounts, postings, accounts.require(account), id)
        finally:
            locks.delete(account)

    return add


def _write(database: Database, accounts: DAO[Account], postings: DAO[Posting], seen: Account, id: str) -> None:
    def change(change: Change[Account], it: Account) -> None:
        change.set(it.cash, seen.cash + ONE)

    with database.transaction() as tx:
        tx.update(accounts, seen, change)
        tx.create(postings, Posting(account=seen.id, id=id, amount=ONE))


WAYS: Final[dict[str, Callable[[Database, World], Add]]] = {"ledger": by_ledger, "version": by_version, "lock": by_lock}


def scene(way: str, clients: int, accounts: int, seconds: float, seed: int) -> Tally:
    """Let *clients* add to *accounts* for so many seconds of the model; return what came of it."""
    tally = Tally()
    with simulation(seed) as world, _opened(world) as (database, wire):
        names = [f"user-{number}" for number in range(accounts)]
        add = WAYS[way](database, world)
        world.spawn(lambda: _open_accounts(database, way, names))
        world.run()
        wire.sent, end = 0, world.monotonic() + seconds
        for number in range(clients):
            world.spawn(_client, world, add, names, tally, end, number)
        world.run()
        tally.sent = wire.sent
    return tally


@contextmanager
def _opened(world: World) -> Iterator[tuple[Database, ContendedWire]]:
    wire = ContendedWire(world)
    database = Database(
        wire,
        clock=world.clock,
        monotonic=world.monotonic,
        sleep=world.sleep,
        random=world.chance.random,
        entity_types=[*LEDGER_ENTITY_TYPES, ACCOUNT, POSTING, LOCK],
    )
    database.create_tables()
    with database:
        yield database, wire


def _open_accounts(database: Database, way: str, names: list[str]) -> None:
    if way == "ledger":
        kit = LedgerKit(database)
        for name in names:
            kit.open_account(name)
    else:
        for name in names:
            database.dao(ACCOUNT).create(Account(id=name))


def _client(world: World, add: Add, names: list[str], tally: Tally, end: float, number: int) -> None:
    chance = random.Random(f"client-{number}")
    serial = 0
    while (begin := world.monotonic()) < end:
        serial += 1
        try:
            add(chance.choice(names), f"{number:03}-{serial:06}")
        except (Unavailable, OutcomeUnknown):
            tally.given_up += 1
            continue
        tally.done += 1
        tally.latencies.append(world.monotonic() - begin)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of the model, per scene (default 10)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    head = ("accounts", "clients", "way", "done/s", "requests per op", "p50 ms", "p99 ms", "given up")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for accounts in ACCOUNTS:
        for clients in CLIENTS:
            for way in WAYS:
                figures = scene(way, clients, accounts, options.seconds, options.seed).row(options.seconds)
                print("| " + " | ".join((f"{accounts:,}", str(clients), way, *figures)) + " |", flush=True)


if __name__ == "__main__":
    main()
