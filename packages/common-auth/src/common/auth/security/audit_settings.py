"""What the environment says about the audit trail: the variables ``COMMON_AUTH_AUDIT_…``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from common.auth.security.audit_sinks import JsonLinesSink, LoggingSink
from common.core.audit import AuditSink
from common.core.hookspecs import AUDIT_SINKS
from common.core.plugins import Plugins
from common.core.settings import Settings

__all__ = ["PREFIX", "AuditSettings", "owners_of_sinks"]

PREFIX: Final = "COMMON_AUTH_AUDIT_"
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Which sinks the environment wants.

    ==============================  =====================================================  ===========
    variable                        meaning                                                default
    ==============================  =====================================================  ===========
    COMMON_AUTH_AUDIT_FILE          path of a file of JSON lines; ``{pid}`` stands for     none
                                    the process id
    COMMON_AUTH_AUDIT_MAX_BYTES     size at which the file is renamed and begun anew       100 MiB
    COMMON_AUTH_AUDIT_KEEP          how many renamed files are kept                        all
    COMMON_AUTH_AUDIT_LOGGING       also write to the logger ``common.audit``              ``false``
    COMMON_AUTH_AUDIT_TABLE         also write to the table of the first database that     ``false``
                                    the app provides; needs the extra ``[dynamo]``
    COMMON_AUTH_AUDIT_TABLE_DAYS    days after which the table may delete a record         never
    ==============================  =====================================================  ===========
    """

    file: str | None = None
    max_bytes: int = 100 * _MEBIBYTE
    keep: int | None = None
    logging: bool = False
    table: bool = False
    table_days: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "AuditSettings":
        """Read them.

        Raises:
            ConfigurationError: A variable is malformed; the message names it and shows no value.
        """
        section = settings.section(PREFIX)
        return cls(
            file=section.text("FILE", None),
            max_bytes=section.integer("MAX_BYTES", 100 * _MEBIBYTE, minimum=64 * 1024),
            keep=section.integer("KEEP", None, minimum=1),
            logging=section.flag("LOGGING", False),
            table=section.flag("TABLE", False),
            table_days=section.integer("TABLE_DAYS", None, minimum=1),
        )

    def sinks(self) -> tuple[AuditSink, ...]:
        """Make the sinks; none of them opens anything yet.

        Raises:
            MissingPart: A table is wanted, and the extra ``[dynamo]`` is not installed.
        """
        sinks: list[AuditSink] = []
        if self.file is not None:
            sinks.append(JsonLinesSink(self.file, max_bytes=self.max_bytes, keep=self.keep))
        if self.logging:
            sinks.append(LoggingSink())
        if self.table:
            from common.auth.dynamo.audit_table import AuditTable  # the extra, for services that ask for it

            days = None if self.table_days is None else timedelta(days=self.table_days)
            sinks.append(AuditTable(retention=days))
        return tuple(sinks)


def owners_of_sinks(plugins: Plugins) -> Mapping[str, str]:
    """Return the name of the plugin that contributed each sink, by the sink's name: for ``AuditLogger(owners=…)``."""
    return {found.value.name: found.plugin for found in plugins.contributions(AUDIT_SINKS)}
