"""The wire that follows a fault plan, around any other wire."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from common.dynamo.change_feed import ChangeFeed, feed_of
from common.dynamo.requests import BatchGetItem, BatchWriteItem, PutItem, Request, TransactGetItems, TransactWriteItems
from common.dynamo.wire import Answer, AnswerLost, NotSent, Wire, WireFailure
from common.dynamo.wire.fault_answers import conflicting, failed, throttled
from common.dynamo.wire.faults import Aside, Crash, Draw, Fault, FaultPlan, in_a_thread

__all__ = ["FaultyWire"]

_REMEMBERED: Final = 1024
_ANSWERS_EACH: Final = 4


class FaultyWire:
    """Send through *wire*, with the faults of *plan*.

    A stale answer is that of the wire's ``send_stale`` where it has one (the embedded wire goes back some commits);
    around any other wire it is one of the latest answers to an equal request, if there was one.

    Args:
        wire: The wire that works.
        plan: Which call meets which fault.
        sleep: Waits that many seconds.
        aside: Starts the delivery of a late request beside its caller.
    """

    def __init__(
        self,
        wire: Wire,
        plan: FaultPlan,
        *,
        sleep: Callable[[float], None] = time.sleep,
        aside: Aside = in_a_thread,
    ) -> None:
        self._wire = wire
        self._plan = plan
        self._sleep = sleep
        self._aside = aside
        self._answers: OrderedDict[str, deque[Answer]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The name of the wire within."""
        return self._wire.name

    @property
    def reason(self) -> str:
        """Why the wire within was chosen."""
        return f"{self._wire.reason}, with faults (seed {self._plan.seed})"

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the engine; ``None`` in process."""
        return self._wire.endpoint

    @property
    def region(self) -> str | None:
        """The region of the wire within."""
        return self._wire.region

    @property
    def feed(self) -> ChangeFeed | None:
        """The change feed of the wire within; faults leave it alone."""
        return feed_of(self._wire)

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, or as the plan has it.

        Raises:
            NotSent: Nothing reached the engine.
            AnswerLost: The outcome is not known.
            Crash: The plan's script has the process die here.
        """
        draw = self._plan.draw(request.operation, consistent=getattr(request, "consistent", False))
        if draw.delay:
            self._sleep(min(draw.delay, timeout))
        if draw.stale:
            return self._stale(request, timeout)
        if draw.fault is None:
            return self._remembered(request, self._wire.send(request, timeout))
        return _INJECTORS[draw.fault](self, request, timeout, draw)

    def close(self) -> None:
        """Let late requests arrive, then close the wire within."""
        self._plan.settle()
        self._wire.close()

    # Stale reads ------------------------------------------------------------------------------------------------------

    def _stale(self, request: Request, timeout: float) -> Answer:
        send_stale = getattr(self._wire, "send_stale", None)
        if send_stale is not None:
            answer: Answer = send_stale(request, timeout, self._plan.random.random())
            return answer
        with self._lock:
            earlier = list(self._answers.get(repr(request), ()))
        return (
            self._plan.random.choice(earlier)
            if earlier
            else self._remembered(request, self._wire.send(request, timeout))
        )

    def _remembered(self, request: Request, answer: Answer) -> Answer:
        if self._plan.rates.stale and answer.status == 200 and not hasattr(self._wire, "send_stale"):
            with self._lock:
                self._answers.setdefault(repr(request), deque(maxlen=_ANSWERS_EACH)).append(answer)
                if len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
        return answer

    # Faults -----------------------------------------------------------------------------------------------------------

    def _refuse(self, request: Request, timeout: float, draw: Draw) -> Answer:
        raise NotSent("injected: connection refused")

    def _throttle(self, request: Request, timeout: float, draw: Draw) -> Answer:
        return throttled(self._plan.random, _parts(request))

    def _conflict(self, request: Request, timeout: float, draw: Draw) -> Answer:
        return conflicting(self._plan.random, _parts(request))

    def _error_before(self, request: Request, timeout: float, draw: Draw) -> Answer:
        return failed(self._plan.random)

    def _error_after(self, request: Request, timeout: float, draw: Draw) -> Answer:
        self._wire.send(request, timeout)
        return failed(self._plan.random)

    def _drop_before(self, request: Request, timeout: float, draw: Draw) -> Answer:
        raise AnswerLost("injected: the request was lost")

    def _drop_after(self, request: Request, timeout: float, draw: Draw) -> Answer:
        self._wire.send(request, timeout)
        raise AnswerLost("injected: the answer was lost")

    def _hang(self, request: Request, timeout: float, draw: Draw) -> Answer:
        self._sleep(timeout)
        raise AnswerLost("injected: no answer until the deadline")

    def _send_late(self, request: Request, timeout: float, draw: Draw) -> Answer:
        def deliver() -> None:
            self._sleep(draw.late)
            with suppress(WireFailure):  # nobody waits for this answer
                self._wire.send(request, timeout)

        self._plan.deliver_late(deliver, self._aside)
        raise AnswerLost("injected: the request is applied later")

    def _duplicate(self, request: Request, timeout: float, draw: Draw) -> Answer:
        answer = self._wire.send(request, timeout)
        with suppress(WireFailure):  # the caller has the first answer; a NotSent of the copy is not about that
            self._wire.send(request, timeout)
        return answer

    def _unprocessed(self, request: Request, timeout: float, draw: Draw) -> Answer:
        if isinstance(request, BatchWriteItem):
            return self._write_some(request, timeout)
        if isinstance(request, BatchGetItem):
            return self._read_some(request, timeout)
        return self._wire.send(request, timeout)

    def _crash_before(self, request: Request, timeout: float, draw: Draw) -> Answer:
        raise Crash("injected: before the call")

    def _crash_after(self, request: Request, timeout: float, draw: Draw) -> Answer:
        self._wire.send(request, timeout)
        raise Crash("injected: after the call")

    # Batches ----------------------------------------------------------------------------------------------------------

    def _write_some(self, request: BatchWriteItem, timeout: float) -> Answer:
        done, left = self._split(request.writes)
        answer = self._wire.send(replace(request, writes=done), timeout)
        unprocessed = {
            table: [
                {"PutRequest": {"Item": write.item}}
                if isinstance(write, PutItem)
                else {"DeleteRequest": {"Key": write.key}}
                for write in writes
            ]
            for table, writes in left.items()
        }
        return replace(answer, body={**answer.body, "UnprocessedItems": unprocessed}) if _ok(answer) else answer

    def _read_some(self, request: BatchGetItem, timeout: float) -> Answer:
        done, left = self._split(request.keys)
        answer = self._wire.send(replace(request, keys=done), timeout)
        unprocessed = {
            table: {"Keys": list(keys), "ConsistentRead": request.consistent} for table, keys in left.items()
        }
        return replace(answer, body={**answer.body, "UnprocessedKeys": unprocessed}) if _ok(answer) else answer

    def _split(self, entries: Mapping[str, tuple[Any, ...]]) -> tuple[dict[str, tuple[Any, ...]], ...]:
        """Divide a batch at random into what is done and what is left: one entry each at least, a lone one is done."""
        flat = [(table, entry) for table, several in entries.items() for entry in several]
        self._plan.random.shuffle(flat)
        cut = self._plan.random.randint(1, max(1, len(flat) - 1))
        return _by_table(flat[:cut]), _by_table(flat[cut:])


def _by_table(entries: list[tuple[str, Any]]) -> dict[str, tuple[Any, ...]]:
    grouped: dict[str, tuple[Any, ...]] = {}
    for table, entry in entries:
        grouped[table] = (*grouped.get(table, ()), entry)
    return grouped


def _ok(answer: Answer) -> bool:
    return answer.status == 200


def _parts(request: Request) -> int:
    return len(request.parts) if isinstance(request, TransactWriteItems | TransactGetItems) else 0


_INJECTORS: Final[Mapping[Fault, Callable[[FaultyWire, Request, float, Draw], Answer]]] = {
    Fault.REFUSE: FaultyWire._refuse,
    Fault.THROTTLE: FaultyWire._throttle,
    Fault.CONFLICT: FaultyWire._conflict,
    Fault.ERROR_BEFORE: FaultyWire._error_before,
    Fault.ERROR_AFTER: FaultyWire._error_after,
    Fault.DROP_BEFORE: FaultyWire._drop_before,
    Fault.DROP_AFTER: FaultyWire._drop_after,
    Fault.TRUNCATE: FaultyWire._drop_after,
    Fault.HANG: FaultyWire._hang,
    Fault.LATE: FaultyWire._send_late,
    Fault.DUPLICATE: FaultyWire._duplicate,
    Fault.UNPROCESSED: FaultyWire._unprocessed,
    Fault.CRASH_BEFORE: FaultyWire._crash_before,
    Fault.CRASH_AFTER: FaultyWire._crash_after,
}
