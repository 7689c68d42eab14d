"""The parts of the page. Each is a landmark with a heading, and is replaced as a whole when the page is renewed."""

from collections.abc import Iterable, Mapping, Sequence

from common.observability.dev.audit import ShownEvent
from common.observability.dev.health import ShownCheck, ShownGroup, ShownHealth
from common.observability.dev.live_operations import LiveOperation, OperationsShown
from common.observability.dev.markup import Markup, element, join
from common.observability.dev.rates import Rate
from common.observability.dev.traces import Trace
from common.observability.dev.waterfall import draw_trace

__all__ = ["draw_events", "draw_health", "draw_operations", "draw_tiles", "draw_traces"]

_BUSIEST = 10
_SPARK_HEIGHT = 20


def draw_tiles(health: Sequence[ShownHealth], operations: OperationsShown) -> Markup:
    """Return the figures at the top: services, operations, errors and capacity units per second."""
    passing = sum(each.status == "pass" for each in health)
    troubled = [each for each in health if each.status != "pass"]
    tiles = [
        _tile("Services", f"{passing}", f"of {len(health)} pass", _trouble(troubled)),
        _tile("Operations", _figure(operations.calls.per_second), "per second", _spark(operations.calls)),
        _tile("Errors", _figure(operations.errors.per_second), "per second", _spark(operations.errors, "fill-fail")),
        _tile("Capacity", _figure(operations.units.per_second), "units per second", _spark(operations.units)),
    ]
    return element("section", *tiles, class_="tiles", id="tiles", aria_label="At a glance", data_live=True)


def draw_health(health: Iterable[ShownHealth]) -> Markup:
    """Return each service's groups, and the checks in each; a group that does not pass is open."""
    cards = [_service(each) for each in health] or [element("p", "No service has told its health yet.", class_="empty")]
    return _section("health", "Health", element("div", *cards, class_="cards"), "by group; open one to see its checks")


def draw_operations(shown: OperationsShown) -> Markup:
    """Return the table of the data layer's operations: the busiest of the last minute first."""
    if not shown.operations:
        content = element("p", "No operation of the data layer yet.", class_="empty")
        return _section("operations", "Operations", element("div", content, class_="card"))
    busiest, rest = shown.operations[:_BUSIEST], shown.operations[_BUSIEST:]
    table = _operation_table(busiest, "Operations of the data layer")
    more = (
        element(
            "details",
            element("summary", element("span", class_="turn", aria_hidden="true"), f"{len(rest)} more operations"),
            _operation_table(rest, "Further operations"),
            class_="more",
            id="more-operations",
        )
        if rest
        else Markup()
    )
    card = element("div", table, more, class_="card operations")
    return _section("operations", "Operations", card, "rates of the last minute, latencies of the last 1,000 calls")


def draw_traces(traces: Sequence[Trace], colours: Mapping[str, str], now: float) -> Markup:
    """Return the last traces, each a line that opens to its waterfall."""
    legend = [element("span", element("b", name), class_=colour) for name, colour in colours.items()]
    drawn = [draw_trace(trace, colours, now) for trace in traces]
    drawn = drawn or [element("p", "No trace yet.", class_="empty")]
    note = join(
        [
            element("span", *legend, class_="legend soft"),
            element("span", "holding still while a trace is open", class_="held soft"),
        ]
    )
    return _section("traces", "Traces", element("div", *drawn, class_="card"), note)


def draw_events(events: Sequence[ShownEvent]) -> Markup:
    """Return the last audit events as a table."""
    if not events:
        content = element("p", "No audit event yet.", class_="empty")
        return _section("audit", "Audit events", element("div", content, class_="card"))
    rows = [_event(event) for event in events]
    table = _table("The last audit events", ("Time", "Event", "Outcome", "Who, and whom"), rows)
    return _section("audit", "Audit events", element("div", table, class_="card events"), "the newest first, UTC")


def _section(identity: str, title: str, content: Markup, note: str = "") -> Markup:
    heading = element("h2", title, id=f"{identity}-title")
    head = element("header", heading, *((element("span", note, class_="soft"),) if note else ()))
    return element("section", head, content, id=identity, aria_labelledby=f"{identity}-title", data_live=True)


def _tile(term: str, figure: str, unit: str, below: Markup) -> Markup:
    value = element("dd", figure, " ", element("small", unit))
    return element("dl", element("dt", term), value, below, class_="tile")


def _trouble(troubled: Sequence[ShownHealth]) -> Markup:
    names = ", ".join(f"{each.service}: {each.status}" for each in troubled)
    return element("dd", names, class_="plain bad") if names else element("dd", "Every group passes.", class_="plain")


def _spark(rate: Rate, class_: str = "") -> Markup:
    """Return a bar per second of the window."""
    most = max((*rate.seconds, 1e-9))
    bars = [
        element("rect", x=place * 10, y=_SPARK_HEIGHT - height, width=8, height=height)
        for place, count in enumerate(rate.seconds)
        if (height := round(count / most * _SPARK_HEIGHT, 1))
    ]
    base = element("rect", class_="ground", x=0, y=_SPARK_HEIGHT - 1, width=len(rate.seconds) * 10, height=1)
    box = f"0 0 {len(rate.seconds) * 10} {_SPARK_HEIGHT}"
    return element(
        "svg", base, *bars, class_=class_ or None, viewBox=box, preserveAspectRatio="none", aria_hidden="true"
    )


def _service(health: ShownHealth) -> Markup:
    name = element("h3", health.service or "this service")
    version = element("span", health.version, class_="soft")
    badge = element("span", health.status, class_=f"badge {health.status}")
    reason = (element("p", health.reason, class_="bad"),) if health.reason else ()
    groups = [_group(health.service, group) for group in health.groups]
    return element("article", element("header", name, version, badge), *reason, *groups, class_="card service")


def _group(service: str, group: ShownGroup) -> Markup:
    is_open = group.status != "pass"
    count = f"{len(group.checks)} check{'s' * (len(group.checks) != 1)}"
    status = element("span", element("span", group.status, class_=f"dot {group.status}"), class_="status")
    return element(
        "details",
        element(
            "summary",
            element("span", class_="turn", aria_hidden="true"),
            element("span", group.name),
            element("span", count, class_="count"),
            status,
        ),
        element("table", element("tbody", *map(_check, group.checks)), aria_label=f"{group.name} of {service}"),
        class_="group",
        id=f"group-{service}-{group.name}",
        open=is_open,
        data_open=is_open,
    )


def _check(check: ShownCheck) -> Markup:
    said = " ".join(part for part in (check.observed, check.reason) if part)
    return element(
        "tr",
        element("th", element("span", check.name, class_=f"dot {check.status}"), scope="row"),
        element("td", said if check.status == "pass" else f"{check.status} {said}", class_="soft"),
        element("td", f"{check.age:.0f} s ago", class_="number soft"),
    )


def _table(label: str, headings: Sequence[str], rows: Iterable[Markup], numbers: Iterable[str] = ()) -> Markup:
    """Return a table whose roles are told, since a narrow page lays it out as something else."""
    right = frozenset(numbers)
    cells = [
        element("th", each, scope="col", role="columnheader", class_="number" if each in right else None)
        for each in headings
    ]
    head = element("thead", element("tr", *cells, role="row"), role="rowgroup")
    return element("table", head, element("tbody", *rows, role="rowgroup"), role="table", aria_label=label)


_FIGURES = ("Per second", "Calls", "Errors", "p50 ms", "p99 ms", "Read units", "Write units")
_SHORT = ("per s", "calls", "errors", "p50", "p99", "read", "write")
"""The same, where a narrow page has no heads of columns."""


def _operation_table(operations: Sequence[LiveOperation], label: str) -> Markup:
    headings = ("Operation", "API and table", "Last minute", *_FIGURES)
    return _table(label, headings, map(_operation, operations), _FIGURES)


def _operation(operation: LiveOperation) -> Markup:
    row, capacity = operation.row, operation.row.capacity
    figures = (
        _figure(operation.calls.per_second),
        f"{row.calls:,}",
        f"{row.errors:,}",
        f"{row.p50_ms:.1f}",
        f"{row.p99_ms:.1f}",
        f"{capacity.read:,g}" if capacity.read < 1e6 else f"{capacity.read:,.0f}",
        f"{capacity.write:,g}" if capacity.write < 1e6 else f"{capacity.write:,.0f}",
    )
    cells = [
        element("td", figure, class_=f"number{_emphasis(label, figure)}", data_label=label, role="cell")
        for label, figure in zip(_SHORT, figures, strict=True)
    ]
    return element(
        "tr",
        element("th", row.operation, scope="row", role="rowheader"),
        element("td", f"{row.api} {row.table}", class_="soft place", role="cell"),
        element("td", _spark(operation.calls), class_="spark", role="cell"),
        *cells,
        role="row",
    )


def _emphasis(label: str, figure: str) -> str:
    if label == "errors" and figure != "0":
        return " bad"
    return " zero" if figure in ("0", "0.0") else ""


def _event(event: ShownEvent) -> Markup:
    reason = (element("span", event.reason, class_="reason"),) if event.reason else ()
    who = " → ".join(dict.fromkeys(part for part in (event.actor, _shortened(event.subject)) if part))
    return element(
        "tr",
        element("td", event.clock, class_="number", role="cell"),
        element("td", element("span", _breakable(event.type), class_="mono"), *reason, role="cell"),
        element("td", element("span", event.outcome, class_=f"badge {event.outcome}"), role="cell"),
        element(
            "td",
            join([element("span", event.service, class_="soft"), f" {who}" if who else ""]),
            class_="who",
            role="cell",
        ),
        role="row",
    )


def _breakable(name: str) -> Markup:
    """Return *name*, which a line may end in after each underscore."""
    first, *others = name.split("_")
    return join([first, *(join(["_", element("wbr"), other]) for other in others)])


def _shortened(subject: str) -> str:
    """Return *subject* with no more of a hash than tells it from others."""
    return f"{subject[:8]}…" if subject.startswith("h:") else subject


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
