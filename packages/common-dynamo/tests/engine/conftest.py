"""What the tests of the engine share: databases that know the example types, and the three routes of a write."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from common.dynamo import DAO, Database, EntityType, Pattern
from common.dynamo.testing import Engine, FaultPlan
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE, Counter, Invoice, Note
from common.dynamo.testing.generations import CARD_1, CARD_2, CARD_3, TASK_1, TASK_2, TASK_3
from common.dynamo.testing.routes import ROUTES, Route


@pytest.fixture
def entity_types() -> tuple[EntityType[Any], ...]:
    """The example types."""
    return (INVOICE, NOTE, COUNTER)


@pytest.fixture
def invoices(database: Database) -> DAO[Invoice]:
    """The DAO with every rule."""
    return database.dao(INVOICE)


@pytest.fixture
def notes(database: Database) -> DAO[Note]:
    """The DAO without any rule."""
    return database.dao(NOTE)


@pytest.fixture
def counters(database: Database) -> DAO[Counter]:
    """The DAO of what commutes."""
    return database.dao(COUNTER)


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest, database: Database) -> Route:
    """Each way in turn: the same rules hold on all of them."""
    return Route(request.param, database)


@dataclass(frozen=True)
class Fleet:
    """Three releases of one program at work on one table."""

    releases: tuple[Database, Database, Database]

    def cards(self, release: int) -> DAO[Any]:
        """Return the DAO of cards in *release*, from 1."""
        return self.releases[release - 1].dao((CARD_1, CARD_2, CARD_3)[release - 1])

    def tasks(self, release: int) -> DAO[Any]:
        """Return the DAO of tasks in *release*, from 1."""
        return self.releases[release - 1].dao((TASK_1, TASK_2, TASK_3)[release - 1])

    def item(self, dao: DAO[Any], key: Any) -> dict[str, Any]:
        """Return the item itself, as it is stored; empty where there is none."""
        request = dao.plan.get(key)
        return dict(self.releases[2].execute(request, Pattern("Test.raw", "GetItem")).body.get("Item") or {})

    def route(self, name: str, release: int) -> Route:
        """Return the way *name* of a release to write."""
        return Route(name, self.releases[release - 1])


@pytest.fixture
def fleet(engine: Engine, table_name: str, faults: FaultPlan) -> Iterator[Fleet]:
    """Old and new code over one wire, whose calls meet what ``faults`` has in store."""
    with engine.open(table=table_name, entity_types=(CARD_3, TASK_3), faults=faults, cursor_keys=[b"k" * 32]) as newest:
        older = [
            Database(newest.wire, table=table_name, entity_types=types, cursor_keys=[b"k" * 32])
            for types in ((CARD_1, TASK_1), (CARD_2, TASK_2))
        ]
        yield Fleet((older[0], older[1], newest))
        faults.heal()
        faults.settle()
