"""The engine that tests run on: chosen by the environment, never guessed."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, get_args
from uuid import uuid4

from common.dynamo.requests import CreateTable, DeleteTable, Request
from common.dynamo.testing.server import Dynoxide
from common.dynamo.testing.streams import Record, feed_records, stream_records
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.choice import open_network_wire
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.embedded import EmbeddedWire
from common.dynamo.wire.faults import FaultPlan
from common.dynamo.wire.faulty import FaultyWire

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = [
    "AwsEngine",
    "Choice",
    "EmbeddedEngine",
    "Engine",
    "NetworkEngine",
    "TableRecorder",
    "WireKind",
    "fresh_table_name",
    "network_wire",
    "streams_client",
]

ENGINE_VARIABLE: Final = "COMMON_TEST_ENGINE"
WIRE_VARIABLE: Final = "COMMON_TEST_WIRE"
_ENGINES: Final = ("embedded", "dynoxide", "dynoxide-disk", "aws")
WireKind: TypeAlias = Literal["auto", "boto", "direct"]
"""How an engine over a network is reached; ``auto`` is what a database would choose."""
_WIRES: Final = get_args(WireKind)
_KEY: Final = "test"
"""Access key and secret key; a local engine wants some signature, any will do."""
_REGION: Final = "eu-central-1"
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the environment asks for."""

    engine: str
    """``embedded``, ``dynoxide``, ``dynoxide-disk``, ``aws``, or the URL of a running server."""
    wire: str
    """``embedded`` in process, else a :data:`WireKind`."""

    @classmethod
    def from_environment(cls) -> "Choice":
        """Read ``COMMON_TEST_ENGINE`` and ``COMMON_TEST_WIRE``.

        Raises:
            ValueError: One of them has no known value.
        """
        engine = os.environ.get(ENGINE_VARIABLE) or "embedded"
        if engine not in _ENGINES and not engine.startswith("http://"):
            raise ValueError(f"{ENGINE_VARIABLE} is one of {', '.join(_ENGINES)}, or http://127.0.0.1:PORT")
        wire = _chosen_wire()
        return cls(engine, "embedded" if engine == "embedded" else wire)

    @property
    def network_wire(self) -> "WireKind":
        """The kind of wire to an engine that is not in this process."""
        return cast("WireKind", self.wire)

    @property
    def needs_binary(self) -> bool:
        """Whether a server has to be started."""
        return self.engine.startswith("dynoxide")


def _chosen_wire() -> "WireKind":
    wire = os.environ.get(WIRE_VARIABLE) or "auto"
    if wire not in _WIRES:
        raise ValueError(f"{WIRE_VARIABLE} is one of {', '.join(_WIRES)}")
    return cast("WireKind", wire)


def fresh_table_name() -> str:
    """Return a table name that no other test has; long, since streams of some engines want 11 characters."""
    return f"common-test-{uuid4().hex}"


class Engine(ABC):
    """Opens databases and wires on what the tests run on."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    @property
    def name(self) -> str:
        """``embedded``, ``dynoxide``, ``dynoxide-disk``, ``aws``, or a URL."""
        return self.choice.engine

    @property
    def is_embedded(self) -> bool:
        """Whether the engine is in this process."""
        return self.choice.engine == "embedded"

    @abstractmethod
    def wire(self, *, faults: FaultPlan | None = None) -> Wire:
        """Return a new wire; the caller closes it. Two wires of the embedded engine share nothing."""

    @abstractmethod
    def open(self, *, table: str, faults: FaultPlan | None = None, stream: bool = False, **options: Any) -> "Database":
        """Return a new database on *table*, which is made as soon as it is needed; the caller closes it.

        Args:
            table: The one table of the database.
            faults: Which call meets which fault.
            stream: Whether the table keeps its changes, for :meth:`changes`.
            **options: As for ``Database.embedded`` and ``Database.connect``.
        """

    @abstractmethod
    def changes(self, database: "Database") -> tuple[Record, ...]:
        """Return all changes of the tables of *database*, which keep them, in order; faults leave them alone."""

    @abstractmethod
    def stop(self) -> None:
        """End what was started."""


class EmbeddedEngine(Engine):
    """SQLite in this process, in memory."""

    def wire(self, *, faults: FaultPlan | None = None) -> Wire:
        """Return a wire to a new, empty database."""
        return EmbeddedWire(faults=faults)

    def open(self, *, table: str, faults: FaultPlan | None = None, stream: bool = False, **options: Any) -> "Database":
        """Return a new database in memory."""
        from common.dynamo.database import Database

        return Database.embedded(table=table, faults=faults, stream=stream, **options)

    def changes(self, database: "Database") -> tuple[Record, ...]:
        """Return all records of the database's feed."""
        return feed_records(database)

    def stop(self) -> None:
        """Do nothing: each database is closed by who opened it."""


class NetworkEngine(Engine):
    """A compatible server on a loopback port.

    Args:
        choice: The engine's name and the kind of wire.
        endpoint_url: Where it listens.
        server: The process to stop in the end; ``None`` for a server that others started.
    """

    def __init__(self, choice: Choice, endpoint_url: str, server: Dynoxide | None = None) -> None:
        super().__init__(choice)
        self.endpoint_url = endpoint_url
        self.server = server
        self._patience = 0.0

    def wire(self, *, faults: FaultPlan | None = None) -> Wire:
        """Return a new wire of the chosen kind."""
        plain = network_wire(self.endpoint_url, self.choice.network_wire)
        return plain if faults is None else FaultyWire(plain, faults)

    def open(self, *, table: str, faults: FaultPlan | None = None, stream: bool = False, **options: Any) -> "Database":
        """Return a new database on *table*, which is made at once; a call may take ten seconds, for engine and tests
        share a machine."""
        from common.dynamo.database import Database

        options.setdefault("deadline", _SECONDS)
        database = Database.connect(table=table, wire=self.wire(faults=faults), **options)
        database.create_tables(stream=stream)
        return database

    def changes(self, database: "Database") -> tuple[Record, ...]:
        """Return all records of the streams of the database's tables, table by table."""
        client = self._streams()
        tables = [definition.name for definition in database.table_definitions()]
        return tuple(record for table in tables for record in stream_records(client, table, patience=self._patience))

    def _streams(self) -> Any:
        return streams_client(self.endpoint_url)

    def stop(self) -> None:
        """Stop the server, if it is ours."""
        if self.server is not None:
            self.server.stop()


class AwsEngine(NetworkEngine):
    """DynamoDB itself, by the credentials and the region of the environment; it deletes every table that it made."""

    def __init__(self, choice: Choice) -> None:
        super().__init__(choice, "")
        self._made: set[str] = set()
        self._patience = _SECONDS

    def wire(self, *, faults: FaultPlan | None = None) -> Wire:
        """Return a new wire of the chosen kind, which remembers the tables that are made through it."""
        plain = TableRecorder(open_network_wire(self.choice.network_wire, timeout=_SECONDS), self._made)
        return plain if faults is None else FaultyWire(plain, faults)

    def open(self, *, table: str, faults: FaultPlan | None = None, stream: bool = False, **options: Any) -> "Database":
        """Return a new database on *table*, which is made at once; that takes AWS some ten seconds."""
        return super().open(table=table, faults=faults, stream=stream, **options)

    def _streams(self) -> Any:
        import boto3

        return boto3.client("dynamodbstreams")

    def stop(self) -> None:
        """Delete what was made."""
        wire = self.wire()
        for table in sorted(self._made):
            wire.send(DeleteTable(table=table), _SECONDS)
        wire.close()


class TableRecorder:
    """A wire that notes the tables that are made through it.

    Args:
        wire: The wire that works.
        made: Where the names go.
    """

    def __init__(self, wire: Wire, made: set[str]) -> None:
        self._wire = wire
        self._made = made
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: Request, timeout: float) -> Answer:
        """Send through the wire within, and note a table that it made."""
        if isinstance(request, CreateTable):
            self._made.add(request.table)
        return self._wire.send(request, timeout)

    def close(self) -> None:
        """Close the wire within."""
        self._wire.close()


def network_wire(endpoint_url: str, kind: WireKind | None = None) -> Wire:
    """Return a wire to a compatible server, with credentials that mean nothing.

    Args:
        endpoint_url: Where it listens.
        kind: ``auto``, ``boto`` or ``direct``; ``None`` for what ``COMMON_TEST_WIRE`` says, whatever the engine is.

    Raises:
        ValueError: The variable has no known value.
    """
    kind = kind or _chosen_wire()
    if kind == "direct":
        from common.dynamo.wire.direct.credentials import StaticCredentials
        from common.dynamo.wire.direct.endpoint import Endpoint

        return DirectWire(Endpoint.parse(endpoint_url), _REGION, StaticCredentials(_KEY, _KEY))
    return open_network_wire(kind, session=_session(), endpoint_url=endpoint_url, timeout=5.0)


def streams_client(endpoint_url: str) -> Any:
    """Return a boto3 client of the streams of a compatible server, for :func:`~common.dynamo.testing.streams.stream_records`."""
    return _session().client("dynamodbstreams", endpoint_url=endpoint_url)


@cache
def _session() -> Any:
    """One session per process: loading its service models takes longer than a test, making a client of it does not."""
    import boto3

    return boto3.Session(aws_access_key_id=_KEY, aws_secret_access_key=_KEY, region_name=_REGION)


def start_engine(choice: Choice, binary: Path | None, folder: Path) -> Engine:
    """Return the engine of *choice*, started if it has to be.

    Args:
        choice: What the environment asks for.
        binary: The server's executable, where one is needed.
        folder: Where a server on disk keeps its file.

    Raises:
        EngineFailed: The server did not come up.
        ValueError: A server is needed and *binary* is ``None``.
    """
    if choice.engine == "embedded":
        return EmbeddedEngine(choice)
    if choice.engine == "aws":
        return AwsEngine(choice)
    if not choice.needs_binary:
        return NetworkEngine(choice, choice.engine)
    if binary is None:
        raise ValueError("no binary")
    server = Dynoxide(binary, file=folder / "tables.db" if choice.engine == "dynoxide-disk" else None)
    server.start()
    return NetworkEngine(choice, server.endpoint_url, server)
