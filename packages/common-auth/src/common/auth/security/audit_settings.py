"""What the environment says about the audit trail: the variables ``COMMON_AUTH_AUDIT_…``."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    ==============================  =====================================================  ===========
    """

    file: str | None = None
    max_bytes: int = 100 * _MEBIBYTE
    keep: int | None = None
    logging: bool = False

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
        )

    def sinks(self) -> tuple[AuditSink, ...]:
        """Make the sinks; none of them opens anything yet."""
        sinks: list[AuditSink] = []
        if self.file is not None:
            sinks.append(JsonLinesSink(self.file, max_bytes=self.max_bytes, keep=self.keep))
        if self.logging:
            sinks.append(LoggingSink())
        return tuple(sinks)


def owners_of_sinks(plugins: Plugins) -> Mapping[str, str]:
    """Return the name of the plugin that contributed each sink, by the sink's name: for ``AuditLogger(owners=…)``."""
    return {found.value.name: found.plugin for found in plugins.contributions(AUDIT_SINKS)}
