"""Observers of every call, contributed by plugins through ``common_dynamo_interceptors``."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from common.dynamo.requests import Request
from common.dynamo.value_classes import dataclass

if TYPE_CHECKING:
    from common.dynamo.execution import Result

__all__ = ["Call", "Interceptor", "InterceptorChain"]

_log: Final = logging.getLogger("common.dynamo.interceptors")


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way: a single call, a page, a chunk of a batch or a transaction."""

    pattern: str
    """The access pattern, such as ``Invoice.get``."""
    request: Request
    """As built by the pure core; the same value for all attempts. It holds keys and values: never log it."""


@runtime_checkable
class Interceptor(Protocol):
    """Sees every request value and what came of it. It observes and changes nothing.

    All methods are called in the thread of the call and inside its span, so they should take microseconds. What one
    raises is logged with the class of the interceptor and the class of the exception, and neither the request nor the
    other interceptors notice.
    """

    def on_request(self, call: Call, /) -> None:
        """Called once per request, before its first attempt."""
        ...

    def on_result(self, call: Call, result: "Result", /) -> None:
        """Called once per request that succeeded, after its last attempt."""
        ...

    def on_error(self, call: Call, error: BaseException, /) -> None:
        """Called once per request that failed, after its last attempt, with what is raised."""
        ...


@dataclass(frozen=True, slots=True)
class InterceptorChain:
    """The interceptors of one database, in order."""

    interceptors: Sequence[Interceptor] = ()

    def request(self, call: Call) -> None:
        """Tell all interceptors of a request before its first attempt."""
        for interceptor in self.interceptors:
            try:
                interceptor.on_request(call)
            except Exception as error:  # noqa: BLE001 - a broken observer never breaks what it observes
                _report(interceptor, error)

    def result(self, call: Call, result: "Result") -> None:
        """Tell all interceptors of a success."""
        for interceptor in self.interceptors:
            try:
                interceptor.on_result(call, result)
            except Exception as error:  # noqa: BLE001 - see request
                _report(interceptor, error)

    def error(self, call: Call, error: BaseException) -> None:
        """Tell all interceptors of a failure."""
        for interceptor in self.interceptors:
            try:
                interceptor.on_error(call, error)
            except Exception as raised:  # noqa: BLE001 - see request
                _report(interceptor, raised)


def _report(interceptor: Interceptor, error: Exception) -> None:
    # The text of the exception may hold what the request held.
    _log.error("Interceptor %s raised %s; the call went on.", type(interceptor).__qualname__, type(error).__qualname__)
