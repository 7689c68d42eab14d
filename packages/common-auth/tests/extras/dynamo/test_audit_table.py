"""The audit trail in a table: the conformance of sinks, writing once, and reading back, which is audited (auth A17, A18)."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.auth import plugin
from common.auth.dynamo import AuditTable
from common.auth.dynamo.entity_types import AUDIT_LINE
from common.auth.exceptions import ConfigurationError, StoreUnavailable
from common.auth.security.audit_anchor import PublicKeys
from common.auth.security.audit_anchorer import Anchoring
from common.auth.security.audit_line import encode_event, seal
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_query import AuditQuery, AuditReader, event_in
from common.auth.security.audit_report import Verdict
from common.auth.security.audit_settings import AuditSettings
from common.auth.security.audit_sinks import AnchorFile, MemorySink
from common.auth.security.audit_verification import verify_chain
from common.auth.security.context import RequestContext
from common.auth.security.keys import SigningKey
from common.auth.security.sink_rules import check_sinks
from common.core import App, Plugins, Settings
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, AuditSink, AuditType, Severity
from common.core.utils.clock import FrozenClock
from common.dynamo import Database
from common.dynamo.exceptions import InvalidCursor
from common.dynamo.testing import Fault, FaultPlan
from common.exceptions import ConfigurationError as FamilyConfigurationError
from common.exceptions import InvalidInput

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PLACED = AuditType("order_placed", frozenset({"order"}))


def record(seq: int, *, size: int = 0, stream: str = "orders-ab", **members: Any) -> AuditRecord:
    """Make the record of an event, with a text of *size* characters in it."""
    fields: dict[str, Any] = {
        "id": f"0190163d-8694-739b-aea5-{seq:012x}", "time": NOON + timedelta(seconds=seq), "stream": stream,
        "boot_id": "ab", "type": "order_placed", "outcome": AuditOutcome.SUCCESS, "severity": Severity.INFO,
        "service": "orders", "details": {"note": "x" * size}, **members,
    }  # fmt: skip
    return AuditRecord(AuditEvent(seq=seq, **fields), seal(stream, seq, encode_event(fields)))


@pytest.fixture
def table(database: Database) -> AuditTable:
    """The sink on a fresh table."""
    return AuditTable(database)


@pytest.fixture
def stored(database: Database) -> Callable[[], list[bytes]]:
    """Return a function that lists what is stored, byte for byte, in the order of the keys."""

    def lines() -> list[bytes]:
        items = database.dao(AUDIT_LINE).scan(name="whole-trail", consistent=True).all()
        return [item.line for item in sorted(items, key=lambda item: (item.stream, item.seq))]

    return lines


# As a sink ------------------------------------------------------------------------------------------------------------


def test_lines_are_stored_byte_for_byte_and_in_order(table: AuditTable, stored: Callable[[], list[bytes]]) -> None:
    """What comes back is what was handed in, however long (auth A17)."""
    records = [record(seq, size=seq * 500) for seq in range(1, 21)]
    for each in records:
        table.write(each)
    table.flush()
    table.close()

    assert [each.line for each in records] == stored()


def test_it_is_a_sink_by_the_rules_and_a_reader(table: AuditTable) -> None:
    """Name, durability and methods are as the logger wants them."""
    check_sinks([table])
    assert isinstance(table, AuditReader)
    assert table.durable
    assert "AuditTable('table', attached)" == repr(table)


def test_it_serves_a_logger(table: AuditTable, stored: Callable[[], list[bytes]]) -> None:
    """Everything is stored before the logger has ended, required events before the operation goes on."""
    audit = AuditLogger([table], service="orders")
    audit.emit_required("authz_change", outcome=AuditOutcome.SUCCESS, actor="u-1", after="operator")
    assert 1 == len(stored())
    for _ in range(50):
        audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS)

    assert audit.close(10).complete
    assert [*range(1, 52)] == [json.loads(line)["seq"] for line in stored()][:51]


def test_a_record_that_comes_again_is_stored_once(table: AuditTable, stored: Callable[[], list[bytes]]) -> None:
    """After a failure in between, the logger may hand a record in twice (auth A12)."""
    for seq in (1, 1, 2, 2, 2, 1, 3):
        table.write(record(seq))

    assert [record(seq).line for seq in (1, 2, 3)] == stored()


def test_no_record_is_ever_replaced(table: AuditTable, stored: Callable[[], list[bytes]]) -> None:
    """Whoever comes second to a place in a stream is told, and what stands there stays (auth A17)."""
    table.write(record(1))

    with pytest.raises(ConfigurationError, match="stands at this place"):
        table.write(record(1, size=10))
    table.write(record(1, stream="orders-cd"))
    assert [record(1).line, record(1, stream="orders-cd").line] == stored()


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.THROTTLE, Fault.DUPLICATE])
def test_a_lost_answer_stores_nothing_twice(fault: Fault, faulty_database: Database, faults: FaultPlan) -> None:
    """The second attempt finds the line of the first."""
    table = AuditTable(faulty_database)
    faults.script(fault)
    table.write(record(1))

    assert 1 == len(table.read_page(AuditQuery(), size=10).records)


def test_without_a_database_the_logger_waits(stores: Any, stored: Callable[[], list[bytes]]) -> None:
    """Events queue up until start-up has attached one, and none is lost."""
    table = AuditTable()
    with pytest.raises(StoreUnavailable, match="attach"):
        table.write(record(1))
    assert "AuditTable('table', not attached)" == repr(table)

    table.attach(stores.db)
    table.write(record(1))
    assert [record(1).line] == stored()


def test_records_expire_after_their_retention(database: Database) -> None:
    """The table may delete them then, and readers do not see them from then on."""
    table = AuditTable(database, retention=timedelta(days=30))
    table.write(record(1, time=datetime.now(UTC) - timedelta(days=31)))
    table.write(record(2, time=datetime.now(UTC) - timedelta(days=29)))

    assert [2] == [each.event.seq for each in table.read_page(AuditQuery(), size=10).records]


@pytest.mark.parametrize("bad", [{"retention": timedelta(0)}, {"db": "app"}], ids=str)
def test_bad_options_are_refused_at_once(bad: dict[str, Any]) -> None:
    """A trail that is gone as soon as it is written, or goes nowhere, is a mistake (auth X3)."""
    with pytest.raises(ConfigurationError):
        AuditTable(**bad)


# Reading --------------------------------------------------------------------------------------------------------------


class Desk:
    """Ten events of two users, of two types, in two requests, a second apart."""

    def __init__(self, database: Database) -> None:
        self.trail = MemorySink()
        self.clock = FrozenClock(NOON)
        self.audit = AuditLogger([self.trail, AuditTable(database)], service="orders", types=[PLACED], clock=self.clock)
        for number in range(10):
            request = RequestContext(request_id=f"request-{number % 2}")
            actor, type = ("u-ada", "u-bob")[number // 5], ("order_placed", "authn_login_success")[number % 2]
            self.audit.emit(type, outcome=AuditOutcome.SUCCESS, actor=actor, ctx=request)
            self.clock.advance(timedelta(seconds=1))
        assert self.audit.flush(10).complete

    def read(self, **query: Any) -> list[int]:
        """Return the places of what is found by *query*, as long as it takes to see all of it."""
        return [each.event.seq for each in self.audit.query(actor="u-root", **query).records]


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """A trail to read."""
    desk = Desk(database)
    yield desk
    desk.audit.close()


FILTERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "user": ({"subject": "u-ada"}, [5, 4, 3, 2, 1]),
    "type": ({"type": "order_placed"}, [9, 7, 5, 3, 1]),
    "since": ({"since": NOON + timedelta(seconds=7)}, [10, 9, 8]),
    "until": ({"until": NOON + timedelta(seconds=2)}, [3, 2, 1]),
    "request": ({"request_id": "request-1"}, [10, 8, 6, 4, 2]),
    "user and type": ({"subject": "u-bob", "type": "order_placed"}, [9, 7]),
    "user and time": (
        {"subject": "u-ada", "since": NOON + timedelta(seconds=1), "until": NOON + timedelta(seconds=2)},
        [3, 2],
    ),
    "request, user and type": (
        {"request_id": "request-0", "subject": "u-bob", "type": "order_placed", "since": NOON},
        [9, 7],
    ),
    "request and another type": ({"request_id": "request-0", "type": "authn_login_success"}, []),
    "nobody": ({"subject": "u-eve"}, []),
}


@pytest.mark.parametrize(("query", "places"), FILTERS.values(), ids=FILTERS)
def test_the_trail_is_read_by_user_time_type_and_request(query: dict[str, Any], places: list[int], desk: Desk) -> None:
    """Newest first, by any of them and all together (auth A18)."""
    assert places == desk.read(**query)


def test_a_record_is_read_back_as_it_was_written(desk: Desk) -> None:
    """The event equals the one that every other sink got, and the line is the stored one."""
    found = desk.audit.query(subject="u-bob", limit=1).records[0]
    (written,) = [event for event in desk.trail.events if event.seq == found.event.seq]

    assert written == found.event
    assert found.event == event_in(found.line)


def test_pages_follow_one_another(desk: Desk) -> None:
    """Each record once, while new ones come in; the cursor belongs to its query (auth A18)."""
    first = desk.audit.query(subject="u-ada", limit=2)
    desk.audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, actor="u-ada")
    assert desk.audit.flush(10).complete
    second = desk.audit.query(subject="u-ada", limit=2, cursor=first.next)
    third = desk.audit.query(subject="u-ada", limit=2, cursor=second.next)

    assert [[5, 4], [3, 2], [1]] == [[each.event.seq for each in page.records] for page in (first, second, third)]
    assert third.next is None
    for query in ({"subject": "u-bob"}, {"subject": "u-ada", "type": "order_placed"}, {}):
        with pytest.raises(InvalidCursor):
            desk.audit.query(**query, cursor=first.next)


def test_pages_need_a_key_for_their_cursors(faulty_database: Database) -> None:
    """A service that reads a page now and then does without; one that goes on is told what to give."""
    table = AuditTable(faulty_database)
    for seq in (1, 2):
        table.write(record(seq))
    page = table.read_page(AuditQuery(), size=1)

    assert [2] == [each.event.seq for each in page.records]
    if faulty_database.wire.endpoint is None:
        assert page.next is not None  # the embedded engine makes up a key
    else:
        with pytest.raises(FamilyConfigurationError, match="cursor_keys"):
            _ = page.next


def test_reading_is_audited(desk: Desk) -> None:
    """Who asked for what, in which request, and how much came of it; refused reads too (auth A18)."""
    desk.audit.query(actor="u-root", subject="u-ada", since=NOON, limit=2, ctx=RequestContext(request_id="reading-1"))
    with pytest.raises(InvalidInput):
        desk.audit.query(actor="u-root", limit=0)
    assert desk.audit.flush(10).complete

    read, refused = [event for event in desk.trail.events if event.type == "audit_read"]
    assert ("u-root", "u-ada", "reading-1") == (read.actor, read.subject, read.request_id)
    assert {"filters": {"subject": "u-ada", "since": "2026-11-24T12:00:00+00:00"}, "records": 2} == dict(read.details)
    assert (AuditOutcome.FAILURE, "invalid_input") == (refused.outcome, refused.reason)
    assert ["audit_read"] * 2 == [each.event.type for each in desk.audit.query(type="audit_read").records]


def test_a_stream_is_read_whole_for_verification(database: Database, tmp_path: Path) -> None:
    """Its lines come in their order, chained as they were written; a change of one of them is found (auth A15)."""
    table, key = AuditTable(database), SigningKey.generate("EdDSA", kid="anchors")
    anchoring = Anchoring(sink=AnchorFile(tmp_path / "anchors"), keys=key)
    audit = AuditLogger([table], service="orders", anchoring=anchoring)
    for _ in range(30):
        audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS, actor="u-ada")
    stream = audit.stream
    assert audit.close(10).complete
    lines, keys = list(table.lines(stream)), PublicKeys([key.verification])
    anchors = (tmp_path / "anchors").read_bytes().splitlines()

    assert [*range(1, 32)] == [json.loads(line)["seq"] for line in lines]
    assert Verdict.INTACT is verify_chain(lines, anchors, keys).verdict
    changed = [*lines[:9], lines[9].replace(b"u-ada", b"u-eve"), *lines[10:]]
    assert Verdict.TAMPERED is verify_chain(changed, anchors, keys).verdict
    assert [] == list(table.lines("nobody"))


def test_a_trail_that_nobody_can_read_says_so() -> None:
    """The error names what to add."""
    audit = AuditLogger([MemorySink()], service="orders")

    with pytest.raises(ConfigurationError, match="AuditTable"):
        audit.query(subject="u-ada")
    audit.close()


def test_moments_have_a_time_zone(desk: Desk) -> None:
    """Else nobody knows which hours were read."""
    with pytest.raises(ConfigurationError, match="time zone"):
        desk.audit.query(since=datetime(2026, 11, 24))  # noqa: DTZ001 - that is the point


def test_an_outage_is_told(desk: Desk, faulty_database: Database, faults: FaultPlan) -> None:
    """By the error of all stores."""
    faults.script(*[Fault.REFUSE] * 50)

    with pytest.raises(StoreUnavailable):
        AuditTable(faulty_database, deadline=0.05).read_page(AuditQuery(), size=1)


@pytest.mark.parametrize("line", [b"", b"[]", b'{"v":1}', b'{"stream":"s","seq":1,"event":{"time":"then"}}'])
def test_a_line_that_is_none_is_told(line: bytes) -> None:
    """Never as half an event."""
    with pytest.raises(ValueError):
        event_in(line)


def test_a_strangers_line_in_the_table_is_told(database: Database, table: AuditTable) -> None:
    """Whoever writes beside the sink is found when the trail is read."""
    table.write(record(1))
    lines = database.dao(AUDIT_LINE)
    lines.update(("orders-ab", 1), lambda change, it: change.set(it.line, b"rm -rf /"))

    with pytest.raises(StoreUnavailable, match="who else writes") as told:
        table.read_page(AuditQuery(), size=1)
    assert "rm -rf" not in str(told.value)


# By the environment ---------------------------------------------------------------------------------------------------


def settings(**variables: str) -> Settings:
    """Return settings with variables of the audit trail."""
    environ = {f"COMMON_AUTH_AUDIT_{name}": value for name, value in variables.items()}
    family = {"COMMON_SERVICE_NAME": "orders", "COMMON_AUTH_PASSWORDS": "off", "COMMON_PLUGINS_ONLY": ""}
    return Settings.from_environment({**family, **environ})


def test_settings_name_the_table() -> None:
    """With its retention in days; none by default."""
    (sink,) = AuditSettings.of(settings(TABLE="1", TABLE_DAYS="400")).sinks()

    assert isinstance(sink, AuditTable)
    assert timedelta(days=400) == sink._retention
    assert () == AuditSettings.of(settings()).sinks()
    with pytest.raises(Exception, match="COMMON_AUTH_AUDIT_TABLE_DAYS"):
        AuditSettings.of(settings(TABLE_DAYS="0"))


def test_start_up_attaches_the_database_that_the_app_provides(
    database: Database, stored: Callable[[], list[bytes]]
) -> None:
    """What was emitted before it is stored after it."""
    wanted = settings(TABLE="1")
    plugins = Plugins()
    plugins.load(wanted)
    sinks: tuple[AuditSink, ...] = plugins.audit_sinks()
    audit = AuditLogger(sinks, service="orders")
    audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS, actor="u-1")
    app = App(settings=wanted, plugins=plugins, provides=(database, audit))
    plugin.common_startup(app)
    plugin.common_shutdown(app.stopping_within(5))

    assert "authn_login_success" in {json.loads(line)["event"]["type"] for line in stored()}
