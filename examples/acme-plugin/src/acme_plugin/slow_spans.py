"""Slow operations, told in the log. Needs common-observability; imported by the hook that is called with it."""

import logging
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor  # noqa: TID251 - a processor is a type of the SDK

from common.core import Settings

_log: Final = logging.getLogger("acme_plugin.slow_spans")
_NANOSECONDS: Final = 1_000_000
"""In a millisecond."""


def slow_spans_for(settings: Settings) -> "SlowSpanLog":
    """Return the processor with the limit in ``ACME_SLOW_MS``, in milliseconds; 1,000 by default.

    Raises:
        ConfigurationError: ``ACME_SLOW_MS`` is not a whole number above zero.
    """
    return SlowSpanLog(settings.section("ACME_").integer("SLOW_MS", 1000, minimum=1))


class SlowSpanLog(SpanProcessor):
    """Logs a warning for every span that took longer than a limit: its name and how long, no attributes."""

    def __init__(self, limit: int) -> None:
        """Take *limit* in milliseconds."""
        self._limit = limit

    def on_end(self, span: ReadableSpan) -> None:
        """Look at how long *span* took."""
        if span.start_time is None or span.end_time is None:
            return
        took = (span.end_time - span.start_time) // _NANOSECONDS
        if took > self._limit:
            _log.warning("%s took %d ms", span.name, took)
