"""What a run tells: the events of the day, and whether each was as it had to be."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    title: str
    detail: str
    as_expected: bool


@dataclass(slots=True)
class Story:
    """The events so far; *tell* is called with each as it happens."""

    tell: Callable[[Event], None] = lambda event: None
    events: list[Event] = field(default_factory=list)

    def add(self, title: str, detail: str, *, as_expected: bool) -> None:
        """Record what happened."""
        event = Event(title, detail, as_expected)
        self.events.append(event)
        self.tell(event)

    def expect(self, title: str, response: httpx.Response, status: int, code: str | None = None) -> None:
        """Record an answer that must have *status* and, where it reports an error, the error's *code*."""
        said = problem_code(response)
        shown = f"{response.status_code} {said or response.reason_phrase}"
        self.add(title, shown, as_expected=response.status_code == status and code in (None, said))

    @property
    def all_as_expected(self) -> bool:
        """Whether nothing surprised."""
        return all(event.as_expected for event in self.events)


def problem_code(response: httpx.Response) -> str | None:
    """Return the error code of a problem answer (RFC 9457), if it is one."""
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    code = response.json().get("code")
    return code if isinstance(code, str) else None
