"""The service's settings: read once from an environment, frozen, secrets never shown."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar, overload

from common.exceptions import ConfigurationError

D = TypeVar("D")

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class _Required:
    """The type of :data:`REQUIRED`."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
"""The default of a variable that has none: it must be set."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no ``repr``, ``str`` or format shows; :meth:`reveal` is the one way to it.

    >>> Secret("hunter2")
    Secret(…)
    >>> f"{Secret('hunter2')}"
    'Secret(…)'
    """

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True)
class Section:
    """The variables that share one prefix; each getter names the whole variable when its value is wrong.

    A variable set to the empty text, or to white space alone, counts as not set. No error shows a value, since any
    variable may hold a secret.

    >>> section = Settings.from_environment({"ACME_RETRIES": "3"}).section("ACME_")
    >>> section.integer("RETRIES", minimum=0)
    3
    >>> section.integer("LIMIT", 10)
    10
    >>> section.text("REGION")
    Traceback (most recent call last):
    common.exceptions.ConfigurationError: ACME_REGION is not set. Set it in the service's environment.
    """

    prefix: str
    _environ: Mapping[str, str] = field(repr=False)

    def has(self, name: str) -> bool:
        """Whether the variable is set to more than white space."""
        return self._raw(name) is not None

    def names(self) -> tuple[str, ...]:
        """Return the names set under the prefix, sorted, without the prefix."""
        found = (key.removeprefix(self.prefix) for key in self._environ if key.startswith(self.prefix))
        return tuple(sorted(name for name in found if self.has(name)))

    @overload
    def text(self, name: str) -> str: ...
    @overload
    def text(self, name: str, default: D) -> str | D: ...
    def text(self, name: str, default: object = REQUIRED) -> object:
        """Return the text, without white space around it.

        Raises:
            ConfigurationError: The variable is not set and there is no *default*; so for every getter.
        """
        return self._read(name, default, lambda raw: raw)

    @overload
    def secret(self, name: str) -> Secret: ...
    @overload
    def secret(self, name: str, default: D) -> Secret | D: ...
    def secret(self, name: str, default: object = REQUIRED) -> object:
        """Return the text wrapped, so that it cannot get into a log by accident."""
        return self._read(name, default, Secret)

    @overload
    def flag(self, name: str) -> bool: ...
    @overload
    def flag(self, name: str, default: D) -> bool | D: ...
    def flag(self, name: str, default: object = REQUIRED) -> object:
        """Return whether the variable says 1, true, yes or on rather than 0, false, no or off, in any case.

        Raises:
            ConfigurationError: It says something else.
        """
        return self._read(name, default, lambda raw: self._truth(name, raw))

    @overload
    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int: ...
    @overload
    def integer(self, name: str, default: D, *, minimum: int | None = None, maximum: int | None = None) -> int | D: ...
    def integer(
        self, name: str, default: object = REQUIRED, *, minimum: int | None = None, maximum: int | None = None
    ) -> object:
        """Return a whole number.

        Raises:
            ConfigurationError: It is no whole number, or below *minimum*, or above *maximum*.
        """
        return self._read(name, default, lambda raw: self._within(name, self._whole(name, raw), minimum, maximum))

    @overload
    def number(self, name: str, *, minimum: float | None = None, maximum: float | None = None) -> float: ...
    @overload
    def number(
        self, name: str, default: D, *, minimum: float | None = None, maximum: float | None = None
    ) -> float | D: ...
    def number(
        self, name: str, default: object = REQUIRED, *, minimum: float | None = None, maximum: float | None = None
    ) -> object:
        """Return a finite number, such as a ratio or a time in seconds.

        Raises:
            ConfigurationError: It is no finite number, or below *minimum*, or above *maximum*.
        """
        return self._read(name, default, lambda raw: self._within(name, self._finite(name, raw), minimum, maximum))

    @overload
    def choice(self, name: str, choices: Iterable[str]) -> str: ...
    @overload
    def choice(self, name: str, choices: Iterable[str], default: D) -> str | D: ...
    def choice(self, name: str, choices: Iterable[str], default: object = REQUIRED) -> object:
        """Return the one of *choices* that the variable names, in any case.

        Raises:
            ConfigurationError: It names none of them.
        """
        return self._read(name, default, lambda raw: self._chosen(name, raw, tuple(choices)))

    @overload
    def items(self, name: str) -> tuple[str, ...]: ...
    @overload
    def items(self, name: str, default: D) -> tuple[str, ...] | D: ...
    def items(self, name: str, default: object = REQUIRED) -> object:
        """Return the texts of a comma-separated list, in order, without empty ones."""
        return self._read(name, default, _split)

    def _raw(self, name: str) -> str | None:
        return self._environ.get(self.prefix + name, "").strip() or None

    def _read(self, name: str, default: object, parse: Callable[[str], object]) -> object:
        raw = self._raw(name)
        if raw is not None:
            return parse(raw)
        if default is REQUIRED:
            raise ConfigurationError(f"{self.prefix}{name} is not set. Set it in the service's environment.")
        return default

    def _truth(self, name: str, raw: str) -> bool:
        if raw.lower() in _TRUE | _FALSE:
            return raw.lower() in _TRUE
        raise self._wrong(name, "is not one of 1, true, yes, on, 0, false, no, off")

    def _whole(self, name: str, raw: str) -> int:
        try:
            return int(raw)
        except ValueError:
            raise self._wrong(name, "is not a whole number") from None

    def _finite(self, name: str, raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._wrong(name, "is not a finite number")
        return value

    def _within(self, name: str, value: float, minimum: float | None, maximum: float | None) -> float:
        if minimum is not None and value < minimum:
            raise self._wrong(name, f"is below {minimum}")
        if maximum is not None and value > maximum:
            raise self._wrong(name, f"is above {maximum}")
        return value

    def _chosen(self, name: str, raw: str, choices: tuple[str, ...]) -> str:
        for choice in choices:
            if raw.lower() == choice.lower():
                return choice
        raise self._wrong(name, f"is not one of {', '.join(choices)}")

    def _wrong(self, name: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self.prefix}{name} {what}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Who the service is and which plugins it takes, and the raw variables of parts and plugins by prefix.

    Built by hand in tests (``Settings(service_name="orders")``), from the environment in production. Nothing is read
    later: what changes in the environment afterwards changes no settings.

    >>> settings = Settings.from_environment({"COMMON_SERVICE_NAME": "orders", "COMMON_AUTH_PEPPER": "hunter2"})
    >>> settings.service_name, settings.environment, settings.log_level
    ('orders', 'production', 'INFO')
    >>> "hunter2" in repr(settings)
    False
    >>> settings.section("COMMON_AUTH_").secret("PEPPER").reveal()
    'hunter2'
    """

    service_name: str = "unknown_service"
    """The default is that of OpenTelemetry (semantic conventions, ``service.name``)."""
    service_version: str = ""
    environment: str = "production"
    """Such as ``production``, ``staging``, ``test`` or ``development`` (semantic conventions,
    ``deployment.environment.name``); production where nobody says otherwise, so that nothing is laxer by accident."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    plugins_block: tuple[str, ...] = ()
    """Names of plugins that are never loaded."""
    plugins_only: tuple[str, ...] | None = None
    """The plugins from outside the family that may load: ``None`` all, an empty tuple none."""
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)
    """The raw variables, for :meth:`section`."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the family's own variables, and keep a copy of all for :meth:`section`.

        ========================  ===========================================  ===================
        variable                  meaning                                      default
        ========================  ===========================================  ===================
        COMMON_SERVICE_NAME       the service's name                           ``unknown_service``
        COMMON_SERVICE_VERSION    its version                                  empty
        COMMON_ENVIRONMENT        where it runs                                ``production``
        COMMON_LOG_LEVEL          the lowest level that is logged              ``INFO``
        COMMON_PLUGINS_BLOCK      plugin names, comma-separated                none
        COMMON_PLUGINS_ONLY       plugin names, comma-separated; set but       unset: all
                                  empty means none from outside the family
        ========================  ===========================================  ===================

        Args:
            environ: The variables; ``None`` reads :data:`os.environ` now.

        Raises:
            ConfigurationError: A variable is malformed; the message names it and shows no value.
        """
        variables = MappingProxyType(dict(os.environ if environ is None else environ))
        common = Section("COMMON_", variables)
        only = variables.get("COMMON_PLUGINS_ONLY")
        return cls(
            service_name=common.text("SERVICE_NAME", "unknown_service"),
            service_version=common.text("SERVICE_VERSION", ""),
            environment=common.text("ENVIRONMENT", "production"),
            log_level=common.choice("LOG_LEVEL", _LOG_LEVELS, "INFO"),
            plugins_block=common.items("PLUGINS_BLOCK", ()),
            plugins_only=None if only is None else _split(only),
            environ=variables,
        )

    def section(self, prefix: str) -> Section:
        """Return typed access to the variables whose names start with *prefix*, such as ``"ACME_"``.

        Raises:
            ConfigurationError: *prefix* does not end in an underscore; a section never is the whole environment.
        """
        if len(prefix) < 2 or not prefix.endswith("_"):
            raise ConfigurationError(
                f"{prefix!r} is no prefix of a section: name it like 'ACME_', underscore included."
            )
        return Section(prefix, self.environ)


def _split(raw: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in raw.split(",")) if part)


__all__ = ["REQUIRED", "Secret", "Section", "Settings"]
