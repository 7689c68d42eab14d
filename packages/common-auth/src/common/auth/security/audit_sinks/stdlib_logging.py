"""Hands audit records to the standard library's logging, for services whose logs are collected anyway."""

import logging

from common.core.audit import AuditRecord, Severity

__all__ = ["LoggingSink"]

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.LOW: logging.INFO,
    Severity.MEDIUM: logging.WARNING,
    Severity.HIGH: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}


class LoggingSink:
    """Logs each record's line as the message; ``record.audit`` is the event. Not durable: logging promises nothing.

    Args:
        logger: Name of the logger. Give it a handler and a level that let INFO pass.
        name: Name of the sink, unique in the service.
    """

    durable = False

    def __init__(self, logger: str = "common.audit", *, name: str = "logging") -> None:
        self.name = name
        self._logger = logging.getLogger(logger)

    def write(self, record: AuditRecord, /) -> None:
        """Log *record* at the level of its severity."""
        self._logger.log(
            _LEVELS[record.event.severity], "%s", record.line.decode("ascii"), extra={"audit": record.event}
        )

    def flush(self) -> None:
        """Flush the handlers that the logger's records reach."""
        logger: logging.Logger | None = self._logger
        while logger is not None:
            for handler in logger.handlers:
                handler.flush()
            logger = logger.parent if logger.propagate else None

    def close(self) -> None:
        """Do nothing: the handlers belong to the service."""

    def __repr__(self) -> str:
        return f"LoggingSink({self._logger.name!r})"
