"""Which traces are recorded."""

from collections.abc import Mapping, MutableMapping

from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from common.exceptions import ConfigurationError
from common.observability.asgi import PROBE_PATHS

__all__ = ["EXCLUDED_URLS", "choose_sampler", "exclude_probes"]

EXCLUDED_URLS = "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"
"""Read by opentelemetry-instrumentation-fastapi when it is imported."""


def choose_sampler(ratio: float, environ: Mapping[str, str]) -> Sampler | None:
    """Return the sampler: the caller's decision where the request carries one, else *ratio* of the traces by their id.

    ``None`` leaves the choice to the SDK, where the operator has made it by ``OTEL_TRACES_SAMPLER``.

    Raises:
        ConfigurationError: *ratio* is not between 0 and 1.
    """
    if not 0.0 <= ratio <= 1.0:
        raise ConfigurationError(
            "sample_ratio is not between 0 and 1. Give the share of traces to record, such as 0.1."
        )
    return None if environ.get("OTEL_TRACES_SAMPLER") else ParentBased(TraceIdRatioBased(ratio))


def exclude_probes(environ: MutableMapping[str, str]) -> None:
    """Tell FastAPI's instrumentation not to trace probes, unless the operator has set what it leaves out.

    The instrumentation searches whole URLs; the patterns are anchored, so that ``/orders/health`` is still traced.
    """
    environ.setdefault(EXCLUDED_URLS, ",".join(f"^https?://[^/]+{path}$" for path in PROBE_PATHS))
