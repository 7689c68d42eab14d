"""The DAO whose methods are given wrong arguments; one card is stored."""

from typing import Any

import pytest

from common.dynamo import DAO, Database, EntityType
from common.dynamo.testing.examples import CARD, NOTE, Card


@pytest.fixture
def entity_types() -> tuple[EntityType[Any], ...]:
    """The type in question, and another one."""
    return (CARD, NOTE)


@pytest.fixture
def cards(database: Database) -> DAO[Card]:
    """The DAO of cards."""
    cards = database.dao(CARD)
    cards.create(Card(id="stored"))
    return cards
