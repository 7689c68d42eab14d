"""What an audit sink must be, checked before the first event."""

import inspect
import re
from collections.abc import Sequence

from common.auth.exceptions import ConfigurationError
from common.core.audit import AuditSink

__all__ = ["check_sinks"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_METHODS = ("write", "flush", "close")


def check_sinks(sinks: Sequence[AuditSink]) -> None:
    """Refuse what cannot serve as a sink.

    Raises:
        ConfigurationError: A sink has no proper name, lacks a method, has an ``async`` one, or two share a name.
    """
    names: set[str] = set()
    for sink in sinks:
        name = getattr(sink, "name", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"{_kind(sink)} is no audit sink: its name must match {_NAME.pattern}.")
        if name in names:
            raise ConfigurationError(f"Two audit sinks are called {name!r}. Rename one of them.")
        names.add(name)
        _check_methods(sink, name)


def _check_methods(sink: AuditSink, name: str) -> None:
    if not isinstance(getattr(sink, "durable", None), bool):
        raise ConfigurationError(f"Audit sink {name!r} ({_kind(sink)}) must say whether it is durable, by a bool.")
    for method in _METHODS:
        function = getattr(sink, method, None)
        if not callable(function):
            raise ConfigurationError(f"Audit sink {name!r} ({_kind(sink)}) has no method {method}().")
        if _is_async(function):
            raise ConfigurationError(
                f"Audit sink {name!r} ({_kind(sink)}): {method}() is async. Each sink has a thread of its own, so make "
                f"it a plain function and block in it."
            )


def _is_async(function: object) -> bool:
    while hasattr(function, "func"):
        function = function.func
    # A callable object is as asynchronous as its class's __call__.
    candidates = (function, type(function).__dict__.get("__call__"))
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in candidates)


def _kind(sink: object) -> str:
    return type(sink).__qualname__
