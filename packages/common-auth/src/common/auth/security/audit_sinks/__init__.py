"""The audit sinks of the family: a file of JSON lines, the standard library's logging, and memory; a file of anchors."""

from common.auth.security.audit_sinks.anchor_file import AnchorFile
from common.auth.security.audit_sinks.json_lines import JsonLinesSink
from common.auth.security.audit_sinks.memory import MemorySink
from common.auth.security.audit_sinks.stdlib_logging import LoggingSink

__all__ = ["AnchorFile", "JsonLinesSink", "LoggingSink", "MemorySink"]
