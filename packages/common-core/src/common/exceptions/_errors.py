"""The errors themselves; the public door is :mod:`common.exceptions`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


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

    def __reduce__(self) -> tuple[Callable[..., "CommonError"], tuple[Any, ...]]:
        # Exceptions are rebuilt from their arguments, which is the text alone: subclasses take others.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[CommonError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> CommonError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


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
            "errors": [{"pointer": error.pointer, "code": error.code, "detail": error.message} for error in self.errors]
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
    """Why one plugin did not load or start."""

    plugin: str
    dist: str | None
    """The distribution that brought it; ``None`` for a plugin registered in code."""
    version: str | None
    hook: str | None
    """The hook that failed; ``None`` where the plugin itself could not be imported or registered."""
    cause: str
    """One line; for the operator."""
    error: BaseException | None = None
    """What was raised, with its traceback; ``None`` where nothing was raised, such as for a duplicate."""

    def __str__(self) -> str:
        brought_by = "registered in code" if self.dist is None else f"{self.dist} {self.version}"
        at = f", hook {self.hook}" if self.hook else ""
        return f"{self.plugin} ({brought_by}{at}): {self.cause}"


class PluginLoadError(ConfigurationError):
    """One or more plugins did not load; :attr:`failures` has each of them."""

    code = "plugin_load_error"

    def __init__(self, failures: Sequence[PluginFailure], *, blocked: Sequence[str] = ()) -> None:
        """Describe *failures*, one line each, and the way past them.

        Args:
            failures: At least one.
            blocked: What ``COMMON_PLUGINS_BLOCK`` names already, so that the value shown can replace it as it is.
        """
        self.failures = tuple(failures)
        names = dict.fromkeys([*blocked, *(failure.plugin for failure in self.failures)])
        count = len(self.failures)
        lines = "\n".join(f"  {failure}" for failure in self.failures)
        super().__init__(
            f"{count} plugin {'failure' if count == 1 else 'failures'}:\n{lines}\n"
            f"Repair or remove what is named here, or start without it: COMMON_PLUGINS_BLOCK={','.join(names)}"
        )


class PluginStartError(ConfigurationError):
    """A plugin's ``common_startup`` raised; :attr:`failure` says whose, and the cause is chained."""

    code = "plugin_start_error"

    def __init__(self, failure: PluginFailure) -> None:
        self.failure = failure
        super().__init__(
            f"A plugin did not start: {failure}. Repair it, or block it: COMMON_PLUGINS_BLOCK={failure.plugin}"
        )
