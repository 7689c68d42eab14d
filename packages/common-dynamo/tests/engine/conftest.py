"""What the tests of the engine share: databases that know the example types, and the three routes of a write."""

from typing import Any

import pytest

from common.dynamo import DAO, Database, EntityType
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE, Counter, Invoice, Note
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
