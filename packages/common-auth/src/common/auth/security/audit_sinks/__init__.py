"""The audit sinks of the family: a file of JSON lines, the standard library's logging, and memory."""

from common.auth.security.audit_sinks.json_lines import JsonLinesSink
from common.auth.security.audit_sinks.memory import MemorySink
from common.auth.security.audit_sinks.stdlib_logging import LoggingSink

__all__ = ["JsonLinesSink", "LoggingSink", "MemorySink"]
