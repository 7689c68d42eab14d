"""What a verification has found."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Final

from common.core.json_types import JSONValue

__all__ = ["ChainReport", "Problem", "Problems", "StreamReport", "Verdict"]

_PROBLEMS_KEPT: Final = 100


class Verdict(IntEnum):
    """What is to be thought of a trail; also the exit code of ``common audit verify``."""

    INTACT = 0
    TAMPERED = 1
    """Something was changed, taken out, put in, moved or cut off."""
    INCOMPLETE = 2
    """Nothing contradicts the anchors, and they do not speak for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    verdict: Verdict
    code: str
    """Stable and machine-readable, such as ``changed``."""
    message: str
    stream: str = ""
    seq: int = 0
    """The first place in the stream that is concerned; 0 where it is not about one."""
    until: int = 0
    """The last one, where it lies somewhere between the two; else 0."""
    line: int = 0
    """Number of the line, in order of reading, starting at 1; 0 where it is not about one."""

    def __str__(self) -> str:
        where = f"{self.stream} " if self.stream else ""
        place = f"seq {self.seq}" if self.seq else ""
        place += f" to {self.until}" if self.until > self.seq else ""
        line = f" (line {self.line})" if self.line else ""
        return f"{self.verdict.name.lower()}: {where}{place}{line}: {self.message}".replace(" :", ":")


class Problems:
    """Collects what is wrong: the first hundred, and whether any was worse."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self.count = 0
        self._is_tampered = False

    def tampered(self, code: str, message: str, **place: str | int) -> None:
        """Note that something was changed."""
        self._is_tampered = True
        self._add(Verdict.TAMPERED, code, message, place)

    def incomplete(self, code: str, message: str, **place: str | int) -> None:
        """Note that something cannot be vouched for."""
        self._add(Verdict.INCOMPLETE, code, message, place)

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        if self._is_tampered:
            return Verdict.TAMPERED
        return Verdict.INCOMPLETE if self.count else Verdict.INTACT

    def listed(self) -> tuple[Problem, ...]:
        """Return those that are kept, tampering first, then in the order of the trail."""
        return tuple(sorted(self._found, key=lambda problem: (problem.verdict, problem.line or 1 << 62)))

    def _add(self, verdict: Verdict, code: str, message: str, place: Mapping[str, str | int]) -> None:
        self.count += 1
        if len(self._found) < _PROBLEMS_KEPT:
            self._found.append(Problem(verdict=verdict, code=code, message=message, **place))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """How one stream is doing."""

    stream: str
    records: int
    first: int
    """The first place that is there."""
    last: int
    """The last place that is there."""
    dropped: int
    """Places that the sink had lost before they were chained; ``audit_gap`` events tell them."""
    anchored: int
    """Up to this place the anchors speak for it; 0 where they do not."""
    ended: bool
    """Whether it was closed: it has a ``stream_end``."""
    running: bool
    """Whether it goes on: it was anchored so recently that the next anchor is not due."""

    @property
    def unanchored(self) -> tuple[int, int] | None:
        """The first and last place that no anchor speaks for; ``None`` where there is none."""
        return (max(self.first, self.anchored + 1), self.last) if self.last > self.anchored else None

    def __str__(self) -> str:
        how = "ended" if self.ended else "running" if self.running else "no end"
        tail = f", {self.unanchored[0]} to {self.unanchored[1]} not anchored" if self.unanchored else ""
        dropped = f", {self.dropped} dropped before they were stored" if self.dropped else ""
        return f"{self.stream}: seq {self.first} to {self.last}, {how}{dropped}{tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What :func:`~common.auth.security.audit_verification.verify_chain` has found."""

    verdict: Verdict
    records: int
    anchors: int
    streams: tuple[StreamReport, ...]
    problems: tuple[Problem, ...]
    """At most a hundred, tampering first, in the order of the trail."""
    problem_count: int

    @property
    def first_bad(self) -> Problem | None:
        """The first sign of tampering."""
        return next((problem for problem in self.problems if problem.verdict is Verdict.TAMPERED), None)

    def lines(self) -> Iterator[str]:
        """Yield the report for people."""
        yield from map(str, self.problems)
        if self.problem_count > len(self.problems):
            yield f"… and {self.problem_count - len(self.problems)} more."
        yield from map(str, self.streams)
        yield f"{self.verdict.name}: {self.records} records in {len(self.streams)} streams, {self.anchors} anchors."

    def as_json(self) -> dict[str, JSONValue]:
        """Return the report as a JSON object."""
        return {
            "verdict": self.verdict.name.lower(),
            "records": self.records,
            "anchors": self.anchors,
            "streams": [
                {**asdict(stream), "unanchored": list(stream.unanchored or ()) or None} for stream in self.streams
            ],
            "problems": [{**asdict(each), "verdict": each.verdict.name.lower()} for each in self.problems],
            "problem_count": self.problem_count,
        }
