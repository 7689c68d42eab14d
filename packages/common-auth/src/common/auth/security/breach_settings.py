"""What the environment says about breached passwords: the variables ``COMMON_AUTH_BREACH_…``."""

from dataclasses import dataclass
from typing import Final

from common.auth.security.breach_file import BreachFile
from common.auth.security.breach_range import BreachRange
from common.auth.security.breaches import BreachChecker, BreachHash, OnBreachFailure
from common.core.settings import Settings

__all__ = ["PREFIX", "BreachSettings"]

PREFIX: Final = "COMMON_AUTH_BREACH_"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachSettings:
    """Which lists of breached passwords the environment wants asked.

    ================================  ===================================================  ===========
    variable                          meaning                                              default
    ================================  ===================================================  ===========
    COMMON_AUTH_BREACH_FILE           path of a sorted file of hashes                      none
    COMMON_AUTH_BREACH_FILE_HASH      ``sha1`` or ``ntlm``                                 ``sha1``
    COMMON_AUTH_BREACH_RANGE_URL      address of a range service                           none
    COMMON_AUTH_BREACH_RANGE_HASH     ``sha1`` or ``ntlm``                                 ``sha1``
    COMMON_AUTH_BREACH_RANGE_SECONDS  time that one question may take, at most 10          2
    COMMON_AUTH_BREACH_ON_FAILURE     ``open`` or ``closed``, for                          ``open``
                                      ``breach_checks(on_failure=…)``
    ================================  ===================================================  ===========
    """

    file: str | None = None
    file_hash: BreachHash = BreachHash.SHA1
    range_url: str | None = None
    range_hash: BreachHash = BreachHash.SHA1
    range_seconds: float = 2.0
    on_failure: OnBreachFailure = OnBreachFailure.OPEN

    @classmethod
    def of(cls, settings: Settings) -> "BreachSettings":
        """Read them.

        Raises:
            ConfigurationError: A variable is malformed; the message names it and shows no value.
        """
        section = settings.section(PREFIX)
        return cls(
            file=section.text("FILE", None),
            file_hash=BreachHash(section.choice("FILE_HASH", tuple(BreachHash), BreachHash.SHA1)),
            range_url=section.text("RANGE_URL", None),
            range_hash=BreachHash(section.choice("RANGE_HASH", tuple(BreachHash), BreachHash.SHA1)),
            range_seconds=section.number("RANGE_SECONDS", 2.0, minimum=0.05, maximum=10.0),
            on_failure=OnBreachFailure(section.choice("ON_FAILURE", tuple(OnBreachFailure), OnBreachFailure.OPEN)),
        )

    def checkers(self) -> tuple[BreachChecker, ...]:
        """Make the checkers; none of them opens or asks anything yet. The file comes first: it costs least.

        Raises:
            ConfigurationError: The address cannot be used.
        """
        checkers: list[BreachChecker] = []
        if self.file is not None:
            checkers.append(BreachFile(self.file, kind=self.file_hash))
        if self.range_url is not None:
            checkers.append(BreachRange(self.range_url, kind=self.range_hash, seconds=self.range_seconds))
        return tuple(checkers)
