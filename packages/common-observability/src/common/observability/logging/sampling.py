"""Which lines of a request are written, by the decision that its trace carries already."""

import logging

from opentelemetry.trace import get_current_span

__all__ = ["TraceSampling"]


class TraceSampling(logging.Filter):
    """Keeps every line of a sampled trace; of an unsampled one, WARNING and above.

    So a request is told as a whole or by its trouble, and every service that it goes through decides alike: by the
    trace's own sampled flag (W3C Trace Context). A line outside of any span is kept. It is a filter of one handler:
    others still get every line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether *record* is written."""
        if record.levelno >= logging.WARNING:
            return True
        context = get_current_span().get_span_context()
        return not context.is_valid or context.trace_flags.sampled
