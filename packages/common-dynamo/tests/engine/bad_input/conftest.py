"""The DAO whose methods are given wrong arguments; one card is stored."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.dynamo import DAO, Database, EntityType
from common.dynamo.testing import Engine
from common.dynamo.testing.examples import CARD, NOTE, Card


@pytest.fixture
def entity_types() -> tuple[EntityType[Any], ...]:
    """The type in question, and another one."""
    return (CARD, NOTE)


@pytest.fixture
def database(engine: Engine, table_name: str, entity_types: tuple[Any, ...]) -> Iterator[Database]:
    """A database on a fresh table, whose queries can be paged."""
    options: dict[str, Any] = {"cursor_keys": ["a key for tests, and nothing else"]}
    with engine.open(table=table_name, entity_types=entity_types, **options) as database:
        yield database


@pytest.fixture
def cards(database: Database) -> DAO[Card]:
    """The DAO of cards."""
    cards = database.dao(CARD)
    cards.create(Card(id="stored"))
    return cards
