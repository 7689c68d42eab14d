"""Entity types to try the data layer with: one that uses everything, one that uses nothing."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from common.dynamo.entity_type import EntityType, Index, Unique
from common.dynamo.keys import Key

__all__ = [
    "BY_STATE",
    "CARD",
    "COUNTER",
    "INVOICE",
    "NOTE",
    "Card",
    "Counter",
    "Invoice",
    "Note",
    "State",
    "make_invoice",
]


class State(StrEnum):
    """Where an invoice stands."""

    OPEN = "open"
    PAID = "paid"


class Invoice(BaseModel):
    """A model with every kind of rule."""

    tenant: str
    number: int
    email: str
    total: Decimal
    state: State = State.OPEN
    expires_at: datetime | None = None
    version: int = 0


BY_STATE = Index("GSI1", Key("INV#{tenant}#{state}", "{number:10}"))
INVOICE = EntityType(
    Invoice,
    "invoice",
    key=Key("INV#{tenant}", "N#{number:10}"),
    indexes=[BY_STATE],
    unique=[Unique("email", scope="tenant")],
    version="version",
    ttl="expires_at",
    scales={"total": 2},
)


def make_invoice(
    number: int = 1,
    *,
    tenant: str = "t1",
    email: str | None = None,
    total: str = "10.00",
    state: State = State.OPEN,
    expires_at: datetime | None = None,
) -> Invoice:
    """Return an invoice with sane defaults; the email follows from the number."""
    address = email if email is not None else f"{number}@example.org"
    return Invoice(
        tenant=tenant, number=number, email=address, total=Decimal(total), state=state, expires_at=expires_at
    )


class Note(BaseModel):
    """A model without any rule."""

    id: str
    text: str
    author: str | None = None


NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))


class Card(BaseModel):
    """A model whose every rule can be broken by one argument: a text for a key, a version, all kinds of fields."""

    id: str
    text: str = "as it was"
    count: int = 0
    tags: frozenset[str] = frozenset()
    lines: list[str] = []
    more: dict[str, str] = {}
    anything: Any = None
    version: int = 0


CARD = EntityType(
    Card, "card", key=Key("CARD#{id}", "CARD"), indexes=[Index("GSI1", Key("T#{text}", "{id}"))], version="version"
)


class Counter(BaseModel):
    """A model for changes that commute: numbers, sets, lists, and amounts by currency."""

    name: str
    hits: int = 0
    tags: frozenset[str] = frozenset()
    log: list[str] = []
    amounts: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}


COUNTER = EntityType(
    Counter,
    "counter",
    key=Key("CNT#{name}", "COUNTER"),
    scales={"amounts": 2, "held": 2},
    spread={"amounts": "a_", "held": "h_"},
)
