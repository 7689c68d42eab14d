"""Keeps one broken span processor away from the others, and from the request."""

import logging
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

__all__ = ["GuardedSpanProcessor"]

_log = logging.getLogger("common.observability.monitoring")


class GuardedSpanProcessor(SpanProcessor):
    """Calls another processor, each call inside its own ``try``; its first failure is logged, once.

    The log line has the owner's name and the class of the error, never its text.
    """

    def __init__(self, inner: SpanProcessor, *, owner: str) -> None:
        """Guard *inner*, which belongs to the plugin or part called *owner*."""
        self._inner = inner
        self._owner = owner
        self._has_failed = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._try(self._inner.on_start, span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self._try(self._inner.on_end, span)

    def shutdown(self) -> None:
        self._try(self._inner.shutdown)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._try(self._inner.force_flush, timeout_millis) is not False

    def _on_ending(self, span: Span) -> None:
        # Experimental in the SDK, and absent from its older versions.
        if (on_ending := getattr(self._inner, "_on_ending", None)) is not None:
            self._try(on_ending, span)

    def _try(self, method: Callable[..., Any], *arguments: object) -> Any:
        try:
            return method(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises, the request goes on
            if not self._has_failed:
                self._has_failed = True
                _log.warning(
                    "A span processor failed; it is called again, and not logged again.",
                    extra={"plugin": self._owner, "error.type": type(error).__qualname__, "hook": method.__name__},
                )
            return None
