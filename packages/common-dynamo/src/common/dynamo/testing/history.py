"""What callers asked and what they were told: the record that a run is judged by, in memory and line by line in a file.

Every line is written before or after the call that it is about, so that of a process that was killed it is known what
was under way. Times are those of the machine's monotonic clock, which all of its processes share.

>>> history = History()
>>> asked = Request("deposit", "alice", "01J9ZQ5V6W7X8Y9ZABCDEFGHJK", Decimal("5.00"))
>>> history.ask(asked)
>>> history.tell(asked, Outcome.OK)
>>> history.told[asked.user, asked.id].outcomes
[<Outcome.OK: 'ok'>]
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Self, TextIO

__all__ = ["History", "Outcome", "Reading", "Request", "Told"]


class Outcome(Enum):
    """What a caller was told."""

    OK = "ok"
    REFUSED = "refused"
    """Final: not applied, and never will be."""
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as its caller keeps it."""

    kind: str
    user: str
    id: str
    amount: Decimal = Decimal(0)
    """Cash, or a quantity at a price that the kind knows."""
    detail: str = ""
    """What else was asked for, such as an email address."""


@dataclass(slots=True)
class Told:
    """What the callers of one request were told so far, and when."""

    request: Request
    outcomes: list[Outcome] = field(default_factory=list)
    asks: int = 0
    """How often somebody asked; more often than told where a caller died."""
    asked_at: int = 0
    """Monotonic nanoseconds of the first call."""
    done_at: int | None = None
    """Monotonic nanoseconds at which somebody was first told that it is done."""

    @property
    def is_open(self) -> bool:
        """Whether a call was made whose caller has not been told anything."""
        return not self.outcomes


@dataclass(frozen=True, slots=True)
class Reading:
    """One read of an account, between two moments."""

    user: str
    asked_at: int
    done_at: int
    amounts: Mapping[str, Decimal]
    """What was read, by name."""


class History:
    """Requests, answers and readings of one run. Thread-safe.

    Args:
        file: Where each event is written as a line; ``None`` for memory alone.
        clock: Nanoseconds, never going back.
    """

    def __init__(self, file: TextIO | None = None, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.told: dict[tuple[str, str], Told] = {}
        """By user and request id."""
        self.readings: list[Reading] = []
        self.violations: list[str] = []
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()

    def now(self) -> int:
        """Return monotonic nanoseconds."""
        return self._clock()

    def ask(self, request: Request) -> None:
        """Note that *request* is about to be sent, perhaps again."""
        at = self.now()
        with self._lock:
            self.told.setdefault((request.user, request.id), Told(request, asked_at=at)).asks += 1
            self._write(
                "ask", kind=request.kind, amount=str(request.amount), detail=request.detail, **_of(request), at=at
            )

    def tell(self, request: Request, outcome: Outcome) -> None:
        """Note what the caller of *request* was told."""
        at = self.now()
        with self._lock:
            self._tell(request.user, request.id, outcome, at)
            self._write("tell", outcome=outcome.value, **_of(request), at=at)

    def read(self, user: str, asked_at: int, amounts: Mapping[str, Decimal]) -> None:
        """Note what was read of *user* since *asked_at*."""
        reading = Reading(user, asked_at, self.now(), dict(amounts))
        with self._lock:
            self.readings.append(reading)
            figures = {name: str(amount) for name, amount in amounts.items()}
            self._write("read", user=user, asked_at=asked_at, at=reading.done_at, amounts=figures)

    def violated(self, what: str) -> None:
        """Note that something is wrong."""
        with self._lock:
            self.violations.append(what)
            self._write("violated", what=what)

    def answered(self) -> list[Told]:
        """Return the requests whose callers have been told something."""
        with self._lock:
            return [told for told in self.told.values() if told.outcomes]

    def of(self, user: str) -> list[Told]:
        """Return the requests for *user*."""
        with self._lock:
            return [told for (whose, _), told in self.told.items() if whose == user]

    def unfinished(self) -> list[Request]:
        """Return the requests whose callers have been told nothing, such as those of a process that was killed."""
        with self._lock:
            return [told.request for told in self.told.values() if told.is_open]

    # Files

    @classmethod
    def load(cls, files: Iterable[Path]) -> Self:
        """Return what stands in *files*, as if one process had seen it all."""
        history = cls()
        for path in files:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    if line.endswith("\n"):  # what a killed process was writing is no event
                        history._replay(json.loads(line))
        return history

    def _replay(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "ask":
            request = Request(event["kind"], event["user"], event["id"], Decimal(event["amount"]), event["detail"])
            told = self.told.setdefault((request.user, request.id), Told(request, asked_at=event["at"]))
            told.asked_at = min(told.asked_at, event["at"])
            told.asks += 1
        elif kind == "tell":
            self._tell(event["user"], event["id"], Outcome(event["outcome"]), event["at"])
        elif kind == "read":
            amounts = {name: Decimal(amount) for name, amount in event["amounts"].items()}
            self.readings.append(Reading(event["user"], event["asked_at"], event["at"], amounts))
        else:
            self.violations.append(event["what"])

    def _tell(self, user: str, id: str, outcome: Outcome, at: int) -> None:
        told = self.told[user, id]
        told.outcomes.append(outcome)
        if outcome is Outcome.OK:
            told.done_at = at if told.done_at is None else min(told.done_at, at)

    def _write(self, event: str, **facts: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"event": event, **facts}) + "\n")
            self._file.flush()


def _of(request: Request) -> dict[str, str]:
    return {"user": request.user, "id": request.id}
