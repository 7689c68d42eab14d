"""The database: tables, a wire to them, and a DAO for every entity type."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, get_args

from pydantic import BaseModel

from common.dynamo.arguments import require_callback, require_flag, require_iterable, require_kind
from common.dynamo.entity_dao import DAO, Within
from common.dynamo.entity_type import EntityType, Index
from common.dynamo.execution import DEFAULT_DEADLINE, Deadline, Executor, Operation, Pattern, Result
from common.dynamo.first_use import TablesOnFirstUse
from common.dynamo.item_collections import CollectionQuery, build_collection
from common.dynamo.locking import ForkSafeLock
from common.dynamo.opening import (
    DatabaseOptions,
    budget_control,
    choose_wire,
    interceptor_chain,
    open_outbox,
    open_telemetry,
    registered_types,
    tell_health_checks,
)
from common.dynamo.option_checks import check_options, check_place
from common.dynamo.paging import Cursors
from common.dynamo.plan import Plan
from common.dynamo.queries import EntityQuery
from common.dynamo.registry import check_entity_types
from common.dynamo.requests import Request
from common.dynamo.table_set import TableSet
from common.dynamo.units_of_work import UnitsOfWork
from common.dynamo.wire import Wire
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.dynamo.access import AccessPattern
    from common.dynamo.traffic import Traffic
    from common.dynamo.wire.faults import FaultPlan

__all__ = ["Database", "DatabaseOptions"]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def _drawn() -> float:
    """Return a number in [0, 1) of the system's own, which a fork does not repeat."""
    return (int.from_bytes(os.urandom(7)) >> 3) * 2.0**-53


class Database(UnitsOfWork, TableSet):
    """One or more tables on one engine. Thread-safe and fork-safe; a context manager that closes.

    >>> from pydantic import BaseModel
    >>> from common.dynamo import Database, EntityType, Key
    >>> class Note(BaseModel):
    ...     id: str
    ...     text: str
    >>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
    >>> with Database.embedded() as db:
    ...     notes = db.dao(NOTE)
    ...     _ = notes.create(Note(id="n1", text="remember"))
    ...     notes.require("n1").text
    'remember'
    """

    def __init__(self, wire: Wire, **options: Unpack[DatabaseOptions]) -> None:
        """Use *wire*; :meth:`connect` and :meth:`embedded` choose one."""
        check_options(options)
        self.clock = options.get("clock", time.time)
        """Epoch seconds."""
        self._table = options.get("table", "app")
        self._tables = dict(options.get("tables", {}))
        self._own_table = self._tables.get("default", self._table)
        self._random = options.get("random", _drawn)
        self._cursors = Cursors(options.get("cursor_keys", ()))
        self._daos: dict[int, DAO[Any]] = {}
        self._shared: dict[type, Any] = {}
        self._patterns: dict[str, AccessPattern] = {}
        self._lock = ForkSafeLock()
        self._closed = False
        self._stream = False
        plugins = options.get("plugins")
        self._registered = registered_types(options.get("entity_types", ()), plugins)
        check_entity_types(self._registered, self._tables, self._table)
        monotonic = options.get("monotonic", time.monotonic)
        self._executor = Executor(
            wire,
            open_telemetry(options, wire, monotonic),
            deadline=options.get("deadline", DEFAULT_DEADLINE),
            interceptors=interceptor_chain(options.get("interceptors", ()), plugins),
            budgets=budget_control(options, lambda: self._patterns.values(), lambda: self._registered, monotonic),
            monotonic=monotonic,
            sleep=options.get("sleep", time.sleep),
            random=self._random,
        )
        self._outbox = open_outbox(self, options.get("event_types", ()))
        if plugins is not None:
            tell_health_checks(plugins, self)

    @classmethod
    def connect(
        cls,
        *,
        session: Any = None,
        client: Any = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        wire: "str | Wire" = "auto",
        **options: Unpack[DatabaseOptions],
    ) -> "Database":
        """Connect to Amazon DynamoDB, or to whatever speaks its API. Nothing is sent before the first call.

        Args:
            session: A boto3 session; ``None`` for one that the environment configures.
            client: Any boto3 DynamoDB client, instead of a session; always on the boto wire.
            endpoint_url: A compatible endpoint; ``None`` for the one that is configured, else AWS.
            region: Overrides the session's.
            wire: ``direct`` signs and speaks HTTP itself, ``boto`` lets a boto3 client do it, ``auto`` takes the first unless
                something is needed that only botocore does; ``db.wire.reason`` says what. Or an object of the
                :class:`~common.dynamo.wire.Wire` protocol.
            options: See :class:`DatabaseOptions`.

        Raises:
            ConfigurationError: There is no such wire, the direct one cannot do what the session needs, no region is known, or
                entity types cannot live together.
            PluginLoadError: The same, where a plugin brought them.
        """
        options.setdefault("deadline", DEFAULT_DEADLINE)
        check_options(options)
        chosen = choose_wire(wire, session, client, endpoint_url, region, options)
        return cls(chosen, **options)

    @classmethod
    def embedded(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        fast: bool = False,
        faults: "FaultPlan | None" = None,
        stream: bool = False,
        **options: Unpack[DatabaseOptions],
    ) -> "Database":
        """Open a database in this process, on SQLite: no AWS, no server. Tables are made on first use.

        Args:
            path: A file, shared by processes and kept; ``None`` for memory.
            fast: Answers before the disk has the write; a crash of the machine may take back the latest ones.
            faults: Which calls meet which faults, for tests.
            stream: Keep the changes of the tables for 24 hours, to be read by :meth:`changes`. In a file whose tables have
                kept none so far, they do from now on.
            options: See :class:`DatabaseOptions`. A cursor key is made up where none is given.

        Raises:
            ConfigurationError: Entity types cannot live together, or the file is damaged, foreign or too new.
        """
        check_place(path, fast=fast, faults=faults)
        require_flag("stream", stream)
        check_options(options)
        from common.dynamo.wire.embedded import EmbeddedWire

        names = ("clock", "sleep", "random")
        given = {name: options[name] for name in names if name in options}  # type: ignore[literal-required]
        embedded = EmbeddedWire(path, fast=fast, faults=faults, **given)
        options.setdefault("cursor_keys", (os.urandom(32),))
        wire = TablesOnFirstUse(embedded, lambda: database._prepare())
        database = cls(wire, **options)
        database._stream = stream
        return database

    # Access

    def dao(self, entity: EntityType[M]) -> DAO[M]:
        """Return the DAO of *entity*; the same one each time.

        A type that neither a plugin nor ``entity_types`` brought is taken in, as long as it goes with the others.

        Raises:
            ConfigurationError: The declaration of *entity* has faults, or it clashes with another type.
        """
        dao = self._daos.get(id(entity))
        if dao is None:
            with self._lock:
                dao = self._daos.setdefault(id(entity), self._make_dao(entity))
        return cast("DAO[M]", dao)

    def collection(
        self,
        fields: Mapping[str, Any],
        entities: Iterable[EntityType[Any]],
        *,
        index: Index | str | None = None,
        consistent: bool = False,
        pattern: Pattern | None = None,
    ) -> CollectionQuery:
        """Return a query of several types in one partition: one Query, typed buckets, one cursor.

        Args:
            fields: Field to value: the partition key's, then the sort key's from the left where all types begin so.
            entities: The types that are read; whatever else is in the partition is left out.
            index: That all of them are in; ``None`` for the table.
            consistent: Refused on an index.
            pattern: Names the reads in spans, metrics and budgets; else ``Order+Line.collection``, of the models.

        Raises:
            ConfigurationError: The types do not share the partition key's template, its fields or a table; or what
                :meth:`DAO.query` refuses for one of them.
            InvalidInput: A value cannot be part of the key.
        """

        def query(entity: EntityType[Any]) -> EntityQuery[Any]:
            return self.dao(entity).query(index, consistent=consistent, **fields)

        return build_collection(fields, entities, query, index=index, pattern=pattern)

    def _make_dao(self, entity: EntityType[M]) -> DAO[M]:
        if not isinstance(entity, EntityType):
            raise ConfigurationError(
                f"A DAO belongs to an EntityType, not to a {type(entity).__name__}. A view is read-only: read it with "
                "db.dao(view.of).view(key, view)."
            )
        if all(one.entity is not entity for one in self._registered):
            self._take_in(entity)
        plan = Plan(entity, entity.mapped, self.table_of(entity), self.clock, self.new_write_id)
        return DAO(self._executor, plan, self._cursors)

    def execute(self, request: Request, pattern: Pattern, *, deadline: Within = None, resend: bool = True) -> Result:
        """Execute one ready-made request as an operation; for DAOs that build their own.

        Args:
            request: Goes out as it is with every attempt.
            pattern: Names the operation in spans and metrics.
            deadline: Bounds all attempts together.
            resend: Where false, a write is never sent again after an attempt whose outcome is unknown.

        Raises:
            ConditionFailed: A single write's condition did not hold; ``stored`` is the item itself.
            TransactionCanceled: Some part of a transaction did not hold; ``reasons`` has one entry per part.
            RequestRefused: The engine refused the request as such.
            Unavailable: Certainly not applied; or a read that brought no answer in time.
            OutcomeUnknown: The write may have been applied, or still may be.
        """
        if not isinstance(request, get_args(Request)):
            raise ConfigurationError(
                f"request must be a request of common.dynamo.requests, such as GetItem, not {type(request).__name__}."
            )
        require_kind("pattern", pattern, Pattern)
        require_flag("resend", resend)
        return self._executor.execute(request, pattern, deadline=deadline, resend=resend)

    def operation(self, pattern: Pattern, *tables: str, deadline: Within = None) -> Operation:
        """Return a block of calls that are one access pattern: one span, one deadline, one cost.

        Args:
            pattern: Names the operation in spans and metrics.
            tables: The physical tables that it touches.
            deadline: Bounds all calls of the block together.
        """
        require_kind("pattern", pattern, Pattern)
        for table in tables:
            require_kind("tables", table, str)
        return self._executor.operation(pattern, *tables, deadline=deadline)

    # What DAOs share

    def deadline(self, given: Within = None) -> Deadline:
        """Return *given* as a moment that several calls can share."""
        return self._executor.deadline(given)

    def new_write_id(self) -> str:
        """Return an id that no other write has: 21 hex digits, 84 random bits."""
        if self._random is _drawn:  # the same, for one call of the system instead of two
            return os.urandom(11).hex()[1:]
        return f"{int(self._random() * 2**52):013x}{int(self._random() * 2**32):08x}"

    def declare(self, patterns: "Iterable[AccessPattern]") -> None:
        """Take in what the methods of a DAO send and cost at most; with ``budgets="declared"`` they are held to it.

        Args:
            patterns: The DAO's table; one that is known by its title is replaced.

        Raises:
            ConfigurationError: They are something else.
        """
        from common.dynamo.access import AccessPattern

        listed = require_iterable("patterns", patterns, "access patterns")
        given = {one.title: one for one in (require_kind("patterns", each, AccessPattern) for each in listed)}
        with self._lock:  # a new mapping each time: others may be walking over the old one
            self._patterns = {**self._patterns, **given}

    def shared(self, kind: type[T], factory: Callable[[], T]) -> T:
        """Return this database's one *kind*, made by *factory* when it is first asked for."""
        require_callback("factory", factory, "() -> what is shared")
        found = self._shared.get(require_kind("kind", kind, type))
        if found is None:
            with self._lock:
                found = self._shared.get(kind)
                if found is None:
                    found = self._shared[kind] = factory()
        return cast("T", found)

    # Life

    def traffic(self) -> "Traffic":
        """Return how the calls of the last 30 seconds went."""
        return self._executor.telemetry.traffic.read()

    @property
    def wire(self) -> Wire:
        """What carries requests: its name, endpoint, and why it was chosen."""
        return self._executor.wire

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def close(self) -> None:
        """Release sockets, files and threads. The database is not used again."""
        self._closed = True
        self._executor.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Database {self._table!r} on the {self.wire.name} wire, {len(self._registered)} entity types>"
