"""Cost does not grow with the data: what a call takes beside a hundred entries, it takes beside a hundred thousand (D42).

Client CPU is told by the number of Python functions that a call enters, which no machine and no neighbour changes; on the
embedded engine those of the engine are among them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Self

import pytest
from pydantic import BaseModel

from common.core.testing import EnteredFunctions
from common.dynamo import EntityType, Index, Key, Page, Pattern, metered
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.requests import BatchWriteItem, Item, KeyCondition, PutItem, Query
from common.dynamo.testing import Engine
from common.dynamo.testing.engines import fresh_table_name
from common.dynamo.testing.ledger import LedgerKit
from common.entities import BalanceTransaction, OrderStatus, OrderType

pytestmark = pytest.mark.thorough

CHUNK = 25


class Event(BaseModel):
    stream: str
    number: int
    kind: str


BY_KIND = Index("GSI1", Key("EV#{stream}#{kind}", "{number:8}"))
EVENT = EntityType(Event, "event", key=Key("EV#{stream}", "E#{number:8}"), indexes=[BY_KIND])


@dataclass(frozen=True)
class Effort:
    """What one call takes."""

    rcu: float
    wcu: float
    trips: int
    scanned: int
    returned: int
    """Items of the page; 0 of what is no page."""


class Data:
    """A ledger whose user ``alice`` has *entries* in the journal, and other things by the twentieth of that, 60 at least:
    orders of hers, orders of another user, which share the book with them, and events."""

    def __init__(self, engine: Engine, entries: int) -> None:
        self.table = fresh_table_name()
        types = (*LEDGER_ENTITY_TYPES, EVENT)
        self.db = engine.open(table=self.table, entity_types=types, cursor_keys=["k" * 32], deadline=30.0)
        self.ledger = LedgerKit(self.db)
        self.events = self.db.dao(EVENT)
        self.ledger.list_asset("BTC")
        self._start()
        others, orders = max(60, entries // 20), self._templates("O#")
        self._store(self._copies(self._templates("T#"), entries))
        self._store(self._copies(orders, others))
        self._store(self._copies(orders, others, user="bobby"))
        self._store(EVENT.encode(Event(stream="s", number=number, kind="ab"[number % 2])) for number in range(others))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def walk(self, pages: int) -> Iterator[Page[BalanceTransaction]]:
        """Yield the first *pages* pages of the journal, each by the cursor of the one before."""
        after = None
        for _ in range(pages):
            page = self.ledger.balances.history("alice", after=after)
            yield page
            after = page.next

    def _start(self) -> None:
        """Have one item of each kind by the DAOs: a payment, a trade with its order, and an order in the book."""
        ledger = self.ledger
        ledger.open_account("alice", cash="1000000.00")
        ledger.open_account("bobby", cash="1000000.00")
        ledger.orders.buy("alice", "BTC", "0.5", price="100.00", request_id=ledger.new_id())
        ledger.place("alice", quantity="0.1")

    def _templates(self, prefix: str) -> list[Item]:
        request = Query(table=self.table, key=KeyCondition("pk", {"S": "U#alice"}))
        items = self.db.execute(request, Pattern("Test.query", "Query")).body["Items"]
        return [item for item in items if item["sk"]["S"].startswith(prefix)]

    def _copies(self, templates: list[Item], number: int, *, user: str = "alice") -> Iterator[Item]:
        """Yield *number* items like *templates* in turn, each with an id of its own, which is later than those before."""
        for position in range(number):
            template = templates[position % len(templates)]
            old, new = template["id"]["S"], self.ledger.new_id()
            yield {
                name: {kind: text.replace(old, new).replace("alice", user) if kind == "S" else text}
                for name, value in template.items()
                for kind, text in value.items()
            }

    def _store(self, items: Iterable[Item]) -> None:
        """Put ready-made items straight into the engine."""
        pattern, puts = (
            Pattern("Test.store", "BatchWriteItem"),
            (PutItem(table=self.table, item=item) for item in items),
        )
        while chunk := tuple(islice(puts, CHUNK)):
            self.db.execute(BatchWriteItem(writes={self.table: chunk}), pattern)


Call = Callable[[Data], object]

CALLS: dict[str, Call] = {
    "BalanceDAO.history": lambda data: data.ledger.balances.history("alice"),
    "BalanceDAO.history, consistent": lambda data: data.ledger.balances.history("alice", consistent=True),
    "BalanceDAO.history, until": lambda data: data.ledger.balances.history(
        "alice", until=datetime(2100, 1, 1, tzinfo=UTC)
    ),
    "AssetTransactionDAO.history": lambda data: data.ledger.trades.history("alice", "BTC"),
    "OrderDAO.list": lambda data: data.ledger.orders.list("alice"),
    "OrderDAO.by_status": lambda data: data.ledger.orders.by_status("alice", OrderStatus.QUEUED),
    "OrderDAO.due": lambda data: data.ledger.orders.due("BTC", OrderType.LIMIT_BUY, "99.00", limit=20),
    "Event.query": lambda data: data.events.query(stream="s").newest_first().page(20),
    "Event.query, by GSI1": lambda data: data.events.query(BY_KIND, stream="s", kind="a").page(20),
    "BalanceDAO.get": lambda data: data.ledger.balances.get("alice"),
    "AssetBalanceDAO.portfolio": lambda data: data.ledger.holdings.portfolio("alice"),
    "OrderDAO.get": lambda data: data.ledger.orders.get("alice", data.ledger.orders.list("alice", limit=1).items[0].id),
    "Event.get": lambda data: data.events.require(("s", 7)),
    "BalanceDAO.deposit": lambda data: data.ledger.balances.deposit("bobby", "1.00", request_id=data.ledger.new_id()),
    "OrderDAO.buy": lambda data: data.ledger.orders.buy(
        "bobby", "BTC", "0.1", price="100.00", request_id=data.ledger.new_id()
    ),
    "OrderDAO.place": lambda data: data.ledger.place("bobby", quantity="0.1"),
}


def effort(call: Call, data: Data) -> tuple[Effort, int]:
    """Return what *call* takes, and how many Python functions it enters; what is done once has been done before."""
    call(data)
    with metered() as meter, EnteredFunctions() as entered:
        found = call(data)
    scanned, returned = (found.scanned, len(found.items)) if isinstance(found, Page) else (0, 0)
    return Effort(meter.cost.rcu, meter.cost.wcu, meter.cost.trips, scanned, returned), entered.count


def page_after(page: Page[BalanceTransaction]) -> Call:
    """Return the call of the page that follows."""
    after = page.next
    return lambda data: data.ledger.balances.history("alice", after=after)


def test_no_call_takes_more_where_there_is_more(engine: Engine) -> None:
    """Units, round trips and examined items to the last one; functions entered within a twentieth.

    A hundred entries and a hundred thousand; a tenth of that over a socket, where storing them takes longer.
    """
    many, pages = (100_000, 1000) if engine.is_embedded else (10_000, 100)
    with Data(engine, 100) as small, Data(engine, many) as large:
        expected = {name: effort(call, small) for name, call in CALLS.items()}
        found = {name: effort(call, large) for name, call in CALLS.items()}
        walked = list(large.walk(pages))
        second, middle = effort(page_after(walked[0]), large), effort(page_after(walked[-2]), large)

    assert {name: told for name, (told, _) in expected.items()} == {name: told for name, (told, _) in found.items()}
    assert {name: entered for name, (_, entered) in expected.items()} == pytest.approx(
        {name: entered for name, (_, entered) in found.items()}, rel=0.05
    )
    assert {(second[0].rcu, 1, 20)} == {(page.cost.rcu, page.cost.trips, page.scanned) for page in walked}
    assert 20 * pages == len({entry.id for page in walked for entry in page.items})
    assert second[0] == middle[0]
    assert second[1] == pytest.approx(middle[1], rel=0.05)
