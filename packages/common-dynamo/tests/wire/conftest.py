"""Wires to both engines, side by side, whatever the run's engine is."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.dynamo.requests import (
    CreateTable,
    DeleteItem,
    GetItem,
    PutItem,
    Request,
    Update,
    UpdateItem,
)
from common.dynamo.testing import Dynoxide, fresh_table_name, network_wire
from common.dynamo.testing.known_faults import DYNOXIDE_FAULTS
from common.dynamo.testing.values import definition, key
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.embedded import EmbeddedWire


class Bench:
    """One wire with the usual table on it."""

    def __init__(self, wire: Wire, table: str) -> None:
        self.wire = wire
        self.table = table

    @property
    def is_dynoxide(self) -> bool:
        return self.wire.name != "embedded"

    def send(self, request: Request) -> Answer:
        return self.wire.send(request, 10.0)

    def code(self, request: Request) -> str:
        """Return the error code of *request*, ``OK`` where there is none."""
        answer = self.send(request)
        return "OK" if answer.status == 200 else str(answer.body["__type"])

    def put(self, partition: str = "a", sort: str = "1", condition: Any = None, **attributes: Any) -> Answer:
        item = {**key(partition, sort), **attributes}
        return self.send(PutItem(table=self.table, item=item, condition=condition))

    def update(self, update: Update, partition: str = "a", sort: str = "1", **options: Any) -> Answer:
        return self.send(UpdateItem(table=self.table, key=key(partition, sort), update=update, **options))

    def delete(self, partition: str = "a", sort: str = "1", **options: Any) -> Answer:
        return self.send(DeleteItem(table=self.table, key=key(partition, sort), **options))

    def get(self, partition: str = "a", sort: str = "1") -> Any:
        """Return the stored attributes beside the key, or ``None``."""
        body = self.send(GetItem(table=self.table, key=key(partition, sort), consistent=True)).body
        if "Item" not in body:
            return None
        return {name: value for name, value in body["Item"].items() if name not in ("pk", "sk")}

    def check(self, expected: object, found: object, fault: str | None) -> None:
        """Assert that both are equal, or, on dynoxide and where *fault* is named, that they still differ."""
        if fault is not None and self.is_dynoxide:
            assert expected != found, f"{fault} is repaired ({DYNOXIDE_FAULTS[fault]}): take it off the list"
        else:
            assert expected == found


@pytest.fixture(scope="session", params=["embedded", pytest.param("dynoxide", marks=pytest.mark.thorough)])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """The embedded wire, then one to dynoxide; both live as long as the run."""
    if request.param == "embedded":
        wire: Wire = EmbeddedWire()
    else:
        server: Dynoxide = request.getfixturevalue("dynoxide")
        wire = network_wire(server.endpoint_url)
    yield wire
    wire.close()


@pytest.fixture
def bench(wire: Wire) -> Bench:
    """A fresh table on the wire."""
    table = fresh_table_name()
    assert wire.send(CreateTable(definition=definition(table)), 10.0).status == 200
    return Bench(wire, table)
