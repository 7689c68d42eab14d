"""Work that no instrumentation may see."""

from contextvars import Context, copy_context

from opentelemetry import context

# Private in OpenTelemetry, and what every instrumentation package asks for: wrapped here, and nowhere else.
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

__all__ = ["is_suppressed", "suppressing_context"]


def suppressing_context() -> Context:
    """Return a context to run code in: no spans or metrics are made there, and no request's fields are bound."""
    suppressing = Context()
    suppressing.run(lambda: context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)))
    return suppressing.run(copy_context)


def is_suppressed() -> bool:
    """Return whether instrumentation is to be silent here: in health checks, and while the SDK exports."""
    return bool(context.get_value(_SUPPRESS_INSTRUMENTATION_KEY))
