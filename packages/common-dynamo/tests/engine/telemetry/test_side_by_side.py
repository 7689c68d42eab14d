"""Shards and the cuts of a batch go side by side over a network: one span, cost and budget, no thread that outlives the call."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Index, Key
from common.dynamo.budget_control import budget
from common.dynamo.exceptions import BudgetExceeded, Unavailable
from common.dynamo.requests import BatchGetItem, BatchWriteItem, Query, Request
from common.dynamo.testing import spend
from common.dynamo.wire import Answer, NotSent
from common.dynamo.wire.embedded import EmbeddedWire

SHARDS = 4


class Offer(BaseModel):
    id: str
    price: int


BOOK = Index("GSI1", Key("BOOK", "{price:6}", shards=SHARDS))
OFFER = EntityType(Offer, "offer", key=Key("OFFER#{id}", "OFFER"), indexes=[BOOK])


class RemoteWire:
    """A wire to an engine that counts as remote; each query, and each cut of a batch, first does what the test wants.

    Args:
        wire: What answers.
    """

    name, reason, region = "remote", "a test", "eu-central-1"
    endpoint = ("127.0.0.1", 443)

    def __init__(self, wire: EmbeddedWire) -> None:
        self._wire = wire
        self.meet: Callable[[Any], object] = lambda request: None

    def send(self, request: Request, timeout: float) -> Answer:
        if isinstance(request, Query | BatchGetItem | BatchWriteItem):
            self.meet(request)
        return self._wire.send(request, timeout)

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def remote() -> Iterator[RemoteWire]:
    wire = RemoteWire(EmbeddedWire())
    yield wire
    wire.close()


@pytest.fixture
def db(remote: RemoteWire, telescope: Any) -> Iterator[Database]:
    """A watched database with twenty offers."""
    options = {"entity_types": [OFFER], "cursor_keys": ["k" * 32], **telescope.options}
    with Database.connect(wire=remote, **options) as db:
        db.create_tables()
        for number in range(20):
            db.dao(OFFER).create(Offer(id=f"o{number}", price=number))
        telescope.clear()
        yield db


def prices(db: Database, **options: Any) -> list[int]:
    return [offer.price for offer in db.dao(OFFER).query(BOOK).page(20, **options).items]


def test_all_shards_are_asked_before_any_has_answered(db: Database, remote: RemoteWire) -> None:
    """Each waits until the others are under way; one after another, they would wait in vain."""
    together = threading.Barrier(SHARDS, timeout=10)
    remote.meet = lambda query: together.wait()

    with spend(trips=SHARDS, rcu=SHARDS / 2):
        assert list(range(20)) == prices(db)


def test_they_are_one_span_with_one_cost(db: Database, remote: RemoteWire, telescope: Any) -> None:
    """What a client below would record hangs under it, in every thread."""
    parents = set()
    remote.meet = lambda query: parents.add(trace.get_current_span().get_span_context().span_id)
    page = db.dao(OFFER).query(BOOK).page(20)
    span = telescope.span()

    assert {span.context.span_id} == parents
    assert (SHARDS, SHARDS / 2) == (page.cost.trips, page.cost.rcu)
    assert SHARDS == span.attributes["common.dynamo.page.count"]


def test_a_shard_that_does_not_answer_fails_the_page_after_all_have_ended(db: Database, remote: RemoteWire) -> None:
    """The error is that of the call, nothing is left running, and what was sent is counted."""

    def refuse(query: Query) -> None:
        if query.key.partition["S"] == "BOOK#02":
            raise NotSent("refused")

    remote.meet = refuse
    with spend() as meter, pytest.raises(Unavailable):
        prices(db, deadline=0.05)

    assert meter.cost.trips >= SHARDS
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("common-dynamo")]


def test_the_cuts_of_a_batch_are_under_way_together(db: Database, remote: RemoteWire, telescope: Any) -> None:
    """Three of each: they wait for each other, under the span of the one operation, and answers keep the caller's order."""
    together, parents, offers = threading.Barrier(3, timeout=10), [], db.dao(OFFER)

    def meet(request: BatchGetItem | BatchWriteItem) -> None:
        parents.append(trace.get_current_span().get_span_context().span_id)
        together.wait()

    remote.meet = meet
    plan = offers.plan
    with spend(trips=3):
        offers.batch_write([plan.put(Offer(id=f"b{number}", price=number), replace=True) for number in range(60)])
    written = telescope.span()
    telescope.clear()
    with spend(trips=3):
        found = offers.batch_get([f"b{number}" for number in range(250)])

    assert [*range(60), *[None] * 190] == [offer and offer.price for offer in found]
    assert {written.context.span_id} == set(parents[:3])
    assert {telescope.span().context.span_id} == set(parents[3:])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("common-dynamo")]


def test_a_budget_is_held_over_all_of_them(db: Database) -> None:
    """As if they had been asked one after another."""
    with budget(trips=SHARDS - 1, mode="raise"), pytest.raises(BudgetExceeded):
        prices(db)
    with budget(trips=SHARDS, mode="raise"):
        assert 20 == len(prices(db))


def test_an_engine_in_this_process_is_asked_in_the_callers_thread() -> None:
    """There is nothing to wait for."""
    threads = set()

    class Watching(RemoteWire):
        endpoint = None  # type: ignore[assignment]

    wire = Watching(EmbeddedWire())
    wire.meet = lambda query: threads.add(threading.current_thread())
    with Database.connect(wire=wire, entity_types=[OFFER]) as db:
        db.create_tables()
        db.dao(OFFER).query(BOOK).page(3)

    assert {threading.current_thread()} == threads
