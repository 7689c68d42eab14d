"""What the tests of the outbox share: a database that knows the event, clocks moved by hand, several databases at once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.dynamo import DAO, Database
from common.dynamo.testing import Engine, FaultPlan
from common.dynamo.testing.events import TOLD
from common.dynamo.testing.examples import COUNTER, NOTE, Counter, Note

TYPES = (NOTE, COUNTER)
START = datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp()

Opener = Callable[..., Database]


@dataclass
class Clock:
    """Seconds that are moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The wall clock of ``db`` and ``open_another``."""
    return Clock()


@pytest.fixture
def monotonic() -> Clock:
    """The clock of ``db`` that measures how long things take: deadlines, leases, pauses."""
    return Clock(0.0)


@pytest.fixture
def open_another(engine: Engine, table_name: str, tmp_path: Path) -> Iterator[Opener]:
    """Open one more database on the same table, as another process would: ``open_another(clock=...)``."""
    with ExitStack() as stack:

        def open_database(**options: Any) -> Database:
            given = {"table": table_name, "entity_types": TYPES, "event_types": [TOLD], **options}
            if engine.is_embedded:
                return stack.enter_context(Database.embedded(tmp_path / "tables.db", fast=True, **given))
            return stack.enter_context(engine.open(**given))

        yield open_database


@pytest.fixture
def db(open_another: Opener, clock: Clock, monotonic: Clock) -> Database:
    """A database whose clocks are moved by hand; what waits, moves the second one."""

    def sleep(seconds: float) -> None:
        monotonic.now += seconds

    return open_another(clock=clock, monotonic=monotonic, sleep=sleep)


@pytest.fixture
def faulty(engine: Engine, table_name: str, faults: FaultPlan, clock: Clock) -> Iterator[Database]:
    """A database whose calls meet what ``faults`` has in store, and whose wall clock is moved by hand."""
    with engine.open(table=table_name, entity_types=TYPES, event_types=[TOLD], faults=faults, clock=clock) as db:
        yield db
        faults.heal()
        faults.settle()


@pytest.fixture
def notes(db: Database) -> DAO[Note]:
    """The DAO of what events tell of."""
    return db.dao(NOTE)


@pytest.fixture
def counters(db: Database) -> DAO[Counter]:
    """The DAO of what commutes."""
    return db.dao(COUNTER)
