"""How a database is opened: its options, the choice of a wire, and what plugins bring."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast

from common.dynamo.arguments import require_iterable, require_kind
from common.dynamo.budget_control import BudgetControl, BudgetTable
from common.dynamo.budgets import Budget, BudgetMode
from common.dynamo.entity_type import EntityType
from common.dynamo.interceptors import Interceptor, InterceptorChain
from common.dynamo.outbox import EventType, Outbox
from common.dynamo.registry import Registered
from common.dynamo.telemetry import Events, SdkSpans, Telemetry, trace_context
from common.dynamo.wire import Wire
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.core.plugins import Contribution, Plugins
    from common.dynamo.access import AccessPattern
    from common.dynamo.database import Database

__all__ = [
    "DatabaseOptions",
    "budget_control",
    "choose_wire",
    "interceptor_chain",
    "open_outbox",
    "open_telemetry",
    "registered_types",
    "tell_health_checks",
]


class DatabaseOptions(TypedDict, total=False):
    """What :meth:`Database.connect` and :meth:`Database.embedded` take alike."""

    table: str
    """The table of every group that *tables* does not name; ``app`` where nothing is said."""
    tables: Mapping[str, str]
    """Group of entity types to table."""
    plugins: "Plugins | None"
    """Loaded; brings entity types and interceptors, and is told of the database for its health checks."""
    entity_types: Iterable[EntityType[Any]]
    """The service's own, besides those of plugins."""
    event_types: Iterable[EventType[Any]]
    """Events that transactions may emit; see :mod:`common.dynamo.outbox`."""
    interceptors: Iterable[Interceptor]
    """The service's own, before those of plugins."""
    cursor_keys: Sequence[str | bytes]
    """Secrets that sign page cursors, at least 16 bytes each: the current one, then those that still verify."""
    budgets: BudgetTable
    """What a call of each access pattern may cost, by its name, where ``*`` stands for anything; ``"declared"`` for what
    the tables of access patterns say. See :class:`common.dynamo.Budget`."""
    budget_mode: BudgetMode
    """``warn``, as where nothing is said, or ``raise``: for budgets that do not say."""
    deadline: float
    """Seconds that a call may take where it does not say otherwise; 2 where nothing is said."""
    sdk_spans: SdkSpans
    """Which spans a call makes; see :data:`common.dynamo.telemetry.SdkSpans`."""
    events: Events
    """Where the cancelled items of a transaction are told; see :data:`common.dynamo.telemetry.Events`."""
    tracer_provider: Any
    """Instead of OpenTelemetry's global one."""
    meter_provider: Any
    """Instead of OpenTelemetry's global one."""
    logger_provider: Any
    """Instead of OpenTelemetry's global one."""
    clock: Callable[[], float]
    """Epoch seconds; decides what has expired."""
    monotonic: Callable[[], float]
    """Seconds of a clock that never goes back; for deadlines."""
    sleep: Callable[[float], None]
    """Waits that many seconds between attempts."""
    random: Callable[[], float]
    """A number in [0, 1), for jitter and write ids; processes must not draw the same ones."""


_WIRES: Final = "'auto', 'boto', 'direct', or a Wire object"


def choose_wire(
    wire: "str | Wire",
    session: Any,
    client: Any,
    endpoint_url: str | None,
    region: str | None,
    options: DatabaseOptions,
) -> Wire:
    """Return the wire that the arguments of ``Database.connect`` ask for; see there."""
    for name, value in (("endpoint_url", endpoint_url), ("region", region)):
        if value is not None:
            require_kind(name, value, str)
    if not isinstance(wire, str):
        if not callable(getattr(wire, "send", None)):
            raise ConfigurationError(f"wire must be {_WIRES}, not {type(wire).__name__}.")
        return wire
    if wire not in ("auto", "boto", "direct"):
        raise ConfigurationError(f"There is no such wire: give {_WIRES} as wire=.")
    if client is not None and not hasattr(client, "meta"):
        raise ConfigurationError(f"client must be a boto3 client of DynamoDB, not {type(client).__name__}.")
    if session is not None and not callable(getattr(session, "client", None)):
        raise ConfigurationError(f"session must be a boto3 session, not {type(session).__name__}.")
    if client is not None and (session is not None or endpoint_url is not None or region is not None):
        raise ConfigurationError("A client has session, endpoint and region of its own; give it alone.")
    from common.dynamo.wire.choice import open_network_wire  # an embedded database needs none of it

    return open_network_wire(
        cast("Literal['auto', 'boto', 'direct']", wire),
        session=session,
        client=client,
        endpoint_url=endpoint_url,
        region=region,
        timeout=options["deadline"],
        sdk_spans=options.get("sdk_spans", "logical"),
    )


def registered_types(entity_types: Iterable[EntityType[Any]], plugins: "Plugins | None") -> tuple[Registered, ...]:
    """Return all types: the family's own, the service's, then strangers', so that of two the later is to blame."""
    brought: Sequence[Contribution[Any]] = ()
    if plugins is not None:
        # It loads common.core, which a database without plugins does without.
        from common.dynamo.hookspecs import ENTITY_TYPES

        brought = plugins.contributions(ENTITY_TYPES)
    given = [Registered(one.value, one.plugin, one.dist, one.version) for one in brought]
    known = {id(one.entity) for one in given}
    family = [one for one in given if one.dist == "common-dynamo"]
    named = [
        require_kind("entity_types", entity, EntityType, "Give EntityType objects, not models.")
        for entity in require_iterable("entity_types", entity_types, "EntityType objects")
    ]
    own = [Registered(entity) for entity in {id(each): each for each in named}.values() if id(entity) not in known]
    return (*family, *own, *(one for one in given if one not in family))


def interceptor_chain(own: Iterable[Interceptor], plugins: "Plugins | None") -> InterceptorChain:
    """Return the service's own interceptors, then those of plugins."""
    given = tuple(require_iterable("interceptors", own, "interceptors"))
    for each in given:
        if not isinstance(each, Interceptor):
            raise ConfigurationError(
                f"interceptors has {type(each).__name__}, which lacks on_request, on_result or on_error; see Interceptor."
            )
    if plugins is None:
        return InterceptorChain(given)
    from common.dynamo.hookspecs import INTERCEPTORS

    return InterceptorChain((*given, *plugins.results(INTERCEPTORS)))


def budget_control(
    options: DatabaseOptions,
    patterns: Callable[[], Iterable["AccessPattern"]],
    registered: Callable[[], Iterable[Registered]],
    clock: Callable[[], float],
) -> BudgetControl:
    """Return the budgets that *options* ask for.

    Args:
        options: As given.
        patterns: Gives what DAOs have declared.
        registered: Gives the database's entity types, whose own declarations tell of their generic DAOs.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: They are no budgets.
    """

    def declared(name: str) -> Budget | None:
        from common.dynamo.declared_budgets import declared_budget

        return declared_budget(name, patterns(), [one.entity for one in registered()])

    mode = options.get("budget_mode", "warn")
    return BudgetControl(options.get("budgets"), mode=mode, declared=declared, clock=clock)


def open_outbox(database: "Database", event_types: "Iterable[EventType[Any]]") -> Outbox:
    """Return what makes the emissions of *database*; see :class:`Outbox`."""
    return Outbox(
        require_iterable("event_types", event_types, "EventType objects"),
        database._own_table,
        clock=database.clock,
        new_id=database.new_write_id,
        trace=trace_context,
    )


def open_telemetry(options: DatabaseOptions, wire: Wire, clock: Callable[[], float]) -> Telemetry:
    """Return the spans and metrics that *options* ask for.

    Args:
        options: As given.
        wire: Whose calls they tell of.
        clock: Monotonic seconds.
    """
    return Telemetry(
        wire,
        sdk_spans=options.get("sdk_spans", "logical"),
        tracer_provider=options.get("tracer_provider"),
        meter_provider=options.get("meter_provider"),
        logger_provider=options.get("logger_provider"),
        events=options.get("events", "logs"),
        clock=clock,
    )


def tell_health_checks(plugins: "Plugins", database: "Database") -> None:
    """Hand *database* to the health checks that plugins have brought for one."""
    from common.dynamo.health import DatabaseCheck

    for check in plugins.health_checks():
        if isinstance(check, DatabaseCheck):
            check.attach(database)
