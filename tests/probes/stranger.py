"""The plugin of a stranger who tests nothing: sinks, checks and span processors that fail in every way, and good ones.

The tests install it as a distribution of its own; ``STRANGER_FILE`` names the file of its good sink.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from common.core import Settings, hookimpl
from common.core.audit import AuditRecord
from common.core.health import CheckContext, CheckSpec

SECRET = "told-to-nobody"


def raise_error() -> None:
    """Fail as code does."""
    raise OSError(SECRET)


def exit_process() -> None:
    """Fail as a script does."""
    raise SystemExit(SECRET)


def hang() -> None:
    """Never come back."""
    threading.Event().wait()


FAILURES = {"raising": raise_error, "exiting": exit_process, "hanging": hang}


class Sink:
    """An audit sink that does one thing with every record."""

    durable = True

    def __init__(self, name: str, write: Callable[[AuditRecord], object]) -> None:
        """Call it *name*, and each record's fate *write*."""
        self.name = name
        self._write = write

    def write(self, record: AuditRecord, /) -> None:
        """Do it."""
        self._write(record)

    def flush(self) -> None:
        """Have nothing to do."""

    def close(self) -> None:
        """Have nothing to let go."""


class Check:
    """A health check that does one thing whenever it is asked."""

    def __init__(self, name: str, ask: Callable[[], None]) -> None:
        """Call it *name*, and what happens *ask*."""
        self.spec = CheckSpec(name, critical=False, timeout=0.2)
        self._ask = ask

    def check(self, ctx: CheckContext, /) -> None:
        """Do it."""
        self._ask()


class AsyncCheck(Check):
    """The same on the event loop, where it waits for ever first or not at all."""

    async def check(self, ctx: CheckContext, /) -> None:  # type: ignore[override]
        """Do it."""
        if self._ask is hang:
            await asyncio.Event().wait()
        self._ask()


class Processor(SpanProcessor):
    """A span processor that fails at both ends of every span."""

    def __init__(self, fail: Callable[[], None]) -> None:
        """Fail as *fail* does."""
        self._fail = fail

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Fail."""
        self._fail()

    def on_end(self, span: ReadableSpan) -> None:
        """Fail."""
        self._fail()


@hookimpl
def common_audit_sinks(settings: Settings) -> Iterable[Sink]:
    """Contribute the broken ones, and one that works."""
    path = Path(settings.section("STRANGER_").text("FILE"))

    def keep(record: AuditRecord) -> None:
        with path.open("ab") as file:
            file.write(record.line + b"\n")

    broken = {name: (lambda record, fail=fail: fail()) for name, fail in FAILURES.items()}
    return [*(Sink(f"stranger-{name}", write) for name, write in broken.items()), Sink("stranger-good", keep)]


@hookimpl
def common_health_checks() -> Iterable[Check]:
    """Contribute the broken ones of both kinds, and one that passes."""
    both = [(Check, "sync"), (AsyncCheck, "async")]
    broken = [kind(f"stranger-{name}-{word}", fail) for name, fail in FAILURES.items() for kind, word in both]
    return [*broken, Check("stranger-good", lambda: None)]


@hookimpl
def common_span_processors() -> Iterable[Processor]:
    """Contribute one that raises and one that wants to end the process."""
    return [Processor(raise_error), Processor(exit_process)]


@hookimpl
def common_token_claims() -> dict[str, str]:
    """Contribute a claim."""
    return {"stranger": "yes"}
