"""Traces and metrics: set-up, propagation between services, and what shows them on a terminal.

Further public modules: :mod:`~common.observability.monitoring.asgi` (server spans),
:mod:`~common.observability.monitoring.propagation` (outgoing headers),
:mod:`~common.observability.monitoring.span_file` (spans of several processes),
:mod:`~common.observability.monitoring.emf` (metrics for CloudWatch),
:mod:`~common.observability.monitoring.spans` (a span as a value) and
:mod:`~common.observability.monitoring.dev` (trees and tables, with the extra ``[dev]``).
"""

from common.observability.monitoring.handle import Observability
from common.observability.monitoring.observe import observe
from common.observability.monitoring.setup import configure, current

__all__ = ["Observability", "configure", "current", "observe"]
