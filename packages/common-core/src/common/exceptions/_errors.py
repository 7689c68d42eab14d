"""The errors themselves; the public door is :mod:`common.exceptions`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class CommonError(Exception):
    """Anything the family raises on purpose.

    The text of the exception is for the operator; a client sees :attr:`public_message` alone, which never holds a
    value, a key or a name of the inside. Subclasses override the four class attributes.
    """

    code: ClassVar[str] = "internal_error"
    """Stable and machine-readable; clients may branch on it."""
    status: ClassVar[int] = 500
    """The HTTP status (RFC 9110) of an answer that reports this error."""
    retryable: ClassVar[bool] = False
    """Whether the same call, with the same request id where it has one, can succeed later without any change."""
    public_message: ClassVar[str] = "The request could not be completed."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.public_message)

    def headers(self) -> Mapping[str, str]:
        """Return the HTTP headers that belong to an answer with this error, such as ``Retry-After`` in seconds."""
        return {}

    def extensions(self) -> Mapping[str, object]:
        """Return the extension members of this error's problem details (RFC 9457, section 3.2), safe to show."""
        return {}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of an input, without its value."""

    pointer: str
    """JSON Pointer (RFC 6901) to the field; empty for the input as a whole."""
    code: str
    message: str


class InvalidInput(CommonError):
    """The caller's values are wrong. Nothing was written."""

    code = "invalid_input"
    status = 422
    public_message = "One or more values are not valid."

    def __init__(self, message: str = "", *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message or "; ".join(f"{error.pointer or '(input)'}: {error.message}" for error in errors))
        self.errors = tuple(errors)

    def extensions(self) -> Mapping[str, object]:
        if not self.errors:
            return {}
        return {
            "errors": [
                {"pointer": error.pointer, "code": error.code, "detail": error.message} for error in self.errors
            ]
        }


class InvalidAmount(InvalidInput):
    """An amount is not an exact decimal, not positive, too large, or finer than its scale. Nothing was written."""

    code = "invalid_amount"
    public_message = "The amount is not valid."


class ConfigurationError(CommonError):
    """The service is put together wrongly. It never comes from what a client sent."""

    code = "configuration_error"
    public_message = "The service is not configured correctly."


class MissingPart(ConfigurationError, ImportError):
    """A distribution or extra of the family is needed and not installed."""

    code = "missing_part"

    def __init__(self, what: str, *, dist: str, extra: str | None = None) -> None:
        self.dist = dist
        self.extra = extra
        wanted = f"{dist}[{extra}]" if extra else dist
        super().__init__(f"{what}. Add {wanted} to the service's dependencies; see Installing in the README.")


@dataclass(frozen=True, slots=True)
class PluginFailure:
    """Why one plugin did not load."""

    plugin: str
    dist: str
    version: str
    hook: str | None
    """The hook that failed; ``None`` where the plugin itself could not be imported or registered."""
    cause: str
    error: BaseException | None = None

    def __str__(self) -> str:
        at = f", hook {self.hook}" if self.hook else ""
        return f"{self.plugin} ({self.dist} {self.version}{at}): {self.cause}"


class PluginLoadError(ConfigurationError):
    """One or more plugins did not load; :attr:`failures` has each of them."""

    code = "plugin_load_error"

    def __init__(self, failures: Sequence[PluginFailure]) -> None:
        self.failures = tuple(failures)
        names = ",".join(dict.fromkeys(failure.plugin for failure in self.failures))
        lines = "\n".join(f"  {failure}" for failure in self.failures)
        super().__init__(
            f"{len(self.failures)} plugin failure(s):\n{lines}\n"
            f"Repair or remove these plugins. To start without them, set COMMON_PLUGINS_BLOCK={names}"
        )
