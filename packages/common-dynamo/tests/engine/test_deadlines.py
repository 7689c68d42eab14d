"""Deadlines and retries (D27, D29): one layer retries, the same request each time, never past the deadline."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from common.dynamo import DAO, Database, Deadline, Pattern, metered
from common.dynamo.exceptions import AlreadyExists, RequestRefused, Unavailable
from common.dynamo.requests import GetItem, Request
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.wire import Answer, NotSent, Wire
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates

GET = Pattern("Test.get", "GetItem")


@dataclass
class Time:
    """Monotonic seconds that pass only while somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Recorder:
    """A wire that keeps what it is asked to send, and answers by another one or by *answer*."""

    wire: Wire
    answer: Callable[[Request, float], Answer] | None = None
    sent: list[tuple[Request, float]] = field(default_factory=list)

    name = "recorder"
    reason = "a test looks on"
    endpoint: tuple[str, int] | None = None
    region: str | None = None

    def send(self, request: Request, timeout: float) -> Answer:
        self.sent.append((request, timeout))
        return self.wire.send(request, timeout) if self.answer is None else self.answer(request, timeout)

    def close(self) -> None:
        self.wire.close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def recorder(engine: Engine) -> Recorder:
    return Recorder(engine.wire())


@pytest.fixture
def db(recorder: Recorder, table_name: str, time: Time) -> Database:
    """A database on simulated time, whose random numbers are all one half."""
    return Database.connect(
        table=table_name, wire=recorder, entity_types=[NOTE], monotonic=time, sleep=time.sleep, random=lambda: 0.5
    )


@pytest.fixture
def notes(db: Database) -> DAO[Note]:
    return db.dao(NOTE)


def throttled(request: Request, timeout: float) -> Answer:
    return Answer(400, {"__type": "ThrottlingException"})


def test_every_attempt_sends_the_same_request_with_what_is_left_of_the_time(
    notes: DAO[Note], recorder: Recorder, time: Time
) -> None:
    """The deadline bounds all attempts and waits together, and is never passed."""
    recorder.answer = throttled
    with metered() as meter, pytest.raises(Unavailable) as caught:
        notes.create(Note(id="1", text="x"))

    requests = [request for request, _ in recorder.sent]
    assert all(request is requests[0] for request in requests)
    assert [2.0 - sum(time.slept[:number]) for number in range(len(requests))] == pytest.approx(
        [timeout for _, timeout in recorder.sent]
    )
    assert 2.0 >= time.now
    assert "ThrottlingException" == caught.value.engine_code
    assert len(requests) == meter.cost.trips


def test_waits_grow_with_full_jitter_and_a_cap(notes: DAO[Note], recorder: Recorder, time: Time) -> None:
    """Half of 25 ms, 50 ms, ... for a throttle, half of 5 ms, 10 ms, ... up to 200 ms for a conflict."""
    recorder.answer = throttled
    with pytest.raises(Unavailable):
        notes.get("1", deadline=1.0)
    assert [0.0125, 0.025, 0.05, 0.1, 0.2, 0.4] == pytest.approx(time.slept[:6])

    time.slept.clear()
    recorder.answer = lambda request, timeout: Answer(400, {"__type": "TransactionConflictException"})
    with pytest.raises(Unavailable):
        notes.create(Note(id="1", text="x"), deadline=1.0)
    assert [0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.1] == pytest.approx(time.slept[:8])


def test_a_passed_deadline_sends_nothing(notes: DAO[Note], recorder: Recorder, time: Time) -> None:
    """It can be a moment that an earlier call shares."""
    moment = Deadline.after(0.5, time)
    time.now = 0.6

    with pytest.raises(Unavailable, match="DeadlineExceeded after 0 attempt"):
        notes.get("1", deadline=moment)
    assert [] == recorder.sent


@pytest.mark.parametrize(
    "code", ["ValidationException", "AccessDeniedException", "ResourceNotFoundException", "SerializationException"]
)
def test_what_a_repeat_cannot_change_is_not_repeated(notes: DAO[Note], recorder: Recorder, code: str) -> None:
    """One attempt; the error has the code, and the engine's words only on the side."""
    recorder.answer = lambda request, timeout: Answer(400, {"__type": code, "message": "secret value"})

    with pytest.raises(RequestRefused) as caught:
        notes.get("1")
    assert 1 == len(recorder.sent)
    assert (code, "secret value") == (caught.value.engine_code, caught.value.engine_message)
    assert "secret" not in f"{caught.value!s}{caught.value!r}"


def test_a_refused_condition_is_not_repeated(faulty_database: Database, faults: FaultPlan) -> None:
    """On the first attempt and after others."""
    notes = faulty_database.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    for script in ([], [Fault.THROTTLE, Fault.CONFLICT]):
        before = faults.seen
        faults.script(*script)
        with pytest.raises(AlreadyExists):
            notes.create(Note(id="1", text="x"))
        assert len(script) + 1 == faults.seen - before


@pytest.mark.parametrize("fault", [Fault.THROTTLE, Fault.CONFLICT, Fault.REFUSE, Fault.ERROR_BEFORE, Fault.DROP_BEFORE])
def test_what_was_not_applied_or_is_unknown_is_repeated(
    faulty_database: Database, faults: FaultPlan, fault: Fault
) -> None:
    """A guarded write gets through."""
    notes = faulty_database.dao(NOTE)
    faults.script(fault, fault)

    assert notes.create(Note(id="1", text="x"))
    assert 3 == faults.seen


def test_a_retry_storm_stops_by_itself(faulty_database: Database, faults: FaultPlan) -> None:
    """When nothing but faults comes back, the quota of the database is spent and calls fail at their first attempt."""
    notes = faulty_database.dao(NOTE)
    faults.rates = FaultRates(refuse=1.0)
    for _ in range(40):
        with pytest.raises(Unavailable):
            notes.get("1", deadline=0.05)

    before = faults.seen
    for _ in range(20):
        with pytest.raises(Unavailable):
            notes.get("1", deadline=5.0)
    assert 20 == faults.seen - before
    faults.heal()
    assert notes.get("1") is None


def test_a_hanging_engine_ends_at_the_deadline(faulty_database: Database, faults: FaultPlan) -> None:
    """Whatever socket defaults say; the attempt's timeout is what is left."""
    notes = faulty_database.dao(NOTE)
    faults.rates = FaultRates(hang=1.0)

    with pytest.raises(Unavailable):
        notes.get("1", deadline=0.1)
    assert 1 == faults.seen


def test_pages_of_one_call_share_its_deadline(notes: DAO[Note], recorder: Recorder, time: Time) -> None:
    """Each page may only take what the ones before have left."""

    def endless(request: Request, timeout: float) -> Answer:
        time.now += 0.3
        return Answer(200, {"Items": [], "ScannedCount": 9, "LastEvaluatedKey": dict(NOTE.item_key("1"))})

    recorder.answer = endless
    with pytest.raises(Unavailable):
        notes.query(id="1").all(deadline=1.0)
    assert [1.0, 0.7, 0.4, 0.1] == pytest.approx([timeout for _, timeout in recorder.sent])


def test_a_block_of_calls_shares_one_deadline(db: Database, recorder: Recorder, time: Time, table_name: str) -> None:
    """db.operation: the second call gets what the first has left, and costs add."""
    request = GetItem(table=table_name, key=NOTE.item_key("1"))

    def slow(request: Request, timeout: float) -> Answer:
        time.now += 0.4
        return Answer(200, {"ConsumedCapacity": {"TableName": table_name, "CapacityUnits": 0.5}})

    recorder.answer = slow
    with db.operation(GET, table_name, deadline=1.0) as operation:
        operation.execute(request)
        operation.execute(request)

    assert [1.0, 0.6] == pytest.approx([timeout for _, timeout in recorder.sent])
    assert (1.0, 2) == (operation.cost.rcu, operation.cost.trips)


def test_a_failure_to_connect_is_unavailable_even_for_a_change_that_is_not_repeatable(
    notes: DAO[Note], recorder: Recorder
) -> None:
    """Nothing was sent, so nothing is in doubt."""

    def refuse(request: Request, timeout: float) -> Answer:
        raise NotSent("no route")

    recorder.answer = refuse
    with pytest.raises(Unavailable):
        notes.update("1", lambda change, it: change.set(it.text, it.id), deadline=0.1)
