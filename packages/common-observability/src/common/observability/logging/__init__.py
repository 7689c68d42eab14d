"""Logs: JSON lines from the standard library's ``logging``, with context, trace ids and redaction.

The API of logging is ``logging.getLogger(__name__)``, in every library and every service; this package only shapes what
comes out.
"""

from common.observability.logging.context import Bound, bind, bound_fields
from common.observability.logging.flight_recorder import FlightRecorder, debug_ring
from common.observability.logging.formatter import JsonFormatter
from common.observability.logging.handler import LineHandler
from common.observability.logging.middleware import LoggingMiddleware
from common.observability.logging.processors import Fields, Processor, add_bound_fields, add_trace_ids
from common.observability.logging.redaction import Redaction
from common.observability.logging.render import render
from common.observability.logging.sampling import TraceSampling
from common.observability.logging.setup import configure_logging, unify_server_loggers
from common.observability.logging.structlog_chain import structlog_chain

__all__ = [
    "Bound",
    "Fields",
    "FlightRecorder",
    "JsonFormatter",
    "LineHandler",
    "LoggingMiddleware",
    "Processor",
    "Redaction",
    "TraceSampling",
    "add_bound_fields",
    "add_trace_ids",
    "bind",
    "bound_fields",
    "configure_logging",
    "debug_ring",
    "render",
    "structlog_chain",
    "unify_server_loggers",
]
