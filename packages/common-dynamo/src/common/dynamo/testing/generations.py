"""Entity types in three schemas, as three releases of one program have them: to try old and new code on one table.

``CARD`` changes in ways that older code cannot read: a field is renamed, another becomes a list. ``TASK`` only gains
fields, so that older and newer programs can work side by side; it has every kind of rule.
"""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from common.dynamo.entity_type import EntityType, Index, Unique
from common.dynamo.keys import Key
from common.dynamo.requests import AttributeValue

__all__ = [
    "BY_STATE",
    "BY_TITLE",
    "CARD_1",
    "CARD_2",
    "CARD_3",
    "TASK_1",
    "TASK_2",
    "TASK_3",
    "Card1",
    "Card2",
    "Card3",
    "Task1",
    "Task2",
    "Task3",
]

Attributes = dict[str, AttributeValue]

# Cards: renamed and reshaped fields -----------------------------------------------------------------------------------


class Card1(BaseModel):
    """Of the first release."""

    id: str
    name: str
    phone: str | None = None


class Card2(BaseModel):
    """The name is called title."""

    id: str
    title: str
    phone: str | None = None


class Card3(BaseModel):
    """Several phones."""

    id: str
    title: str
    phones: list[str] = []


def rename_name(item: Attributes) -> Attributes:
    """Take a card from schema 1 to 2."""
    return {"title" if attribute == "name" else attribute: value for attribute, value in item.items()}


def gather_phones(item: Attributes) -> Attributes:
    """Take a card from schema 2 to 3; it changes what it was given, which is its own copy."""
    phone = item.pop("phone", None)
    item["phones"] = {"L": [] if phone is None else [phone]}
    return item


_CARD_KEY: Final = Key("CARD#{id}", "CARD")
BY_TITLE: Final = Index("GSI2", Key("TITLE#{title}", "{id}"))
CARD_1: Final = EntityType(Card1, "card", key=_CARD_KEY)
CARD_2: Final = EntityType(Card2, "card", key=_CARD_KEY, schema=2, upcast={1: rename_name})
CARD_3: Final = EntityType(
    Card3, "card", key=_CARD_KEY, indexes=[BY_TITLE], schema=3, upcast={1: rename_name, 2: gather_phones}
)


# Tasks: new fields ----------------------------------------------------------------------------------------------------


class Task1(BaseModel):
    """Of the first release."""

    project: str
    number: int
    text: str
    state: str = "open"
    due: datetime | None = None
    version: int = 0


class Task2(Task1):
    """Has a priority."""

    priority: int = 5


class Task3(Task2):
    """Has labels."""

    labels: list[str]


def give_priority(item: Attributes) -> Attributes:
    """Take a task from schema 1 to 2."""
    return {**item, "priority": {"N": "1" if item["text"]["S"].startswith("!") else "5"}}


def give_labels(item: Attributes) -> Attributes:
    """Take a task from schema 2 to 3."""
    return {**item, "labels": {"L": [{"S": "migrated"}]}}


BY_STATE: Final = Index("GSI1", Key("TASK#{project}#{state}", "{number:6}"))


def _task(model: Any, **schema: Any) -> EntityType[Any]:
    return EntityType(
        model,
        "task",
        key=Key("TASK#{project}", "T#{number:6}"),
        indexes=[BY_STATE],
        unique=[Unique("text", scope="project", normalise=str.casefold)],
        version="version",
        ttl="due",
        **schema,
    )


TASK_1: Final[EntityType[Task1]] = _task(Task1)
TASK_2: Final[EntityType[Task2]] = _task(Task2, schema=2, upcast={1: give_priority})
TASK_3: Final[EntityType[Task3]] = _task(Task3, schema=3, upcast={1: give_priority, 2: give_labels})
