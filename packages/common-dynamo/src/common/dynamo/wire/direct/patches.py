"""Whether somebody else has a hand in botocore: classes that are patched, and handlers that every new session gets.

Tracers patch classes; moto gives every session a handler that answers in place of AWS. Importing this imports neither
boto3 nor botocore: what has not been imported has not been changed.
"""

import sys
from types import FunctionType
from typing import Any, Final

__all__ = ["handler_of", "stranger_in_botocore"]

_PATHS: Final = (
    ("botocore.client", "BaseClient", "_make_api_call"),
    ("botocore.endpoint", "Endpoint", "make_request"),
    ("botocore.endpoint", "Endpoint", "prepare_request"),
    ("botocore.endpoint", "Endpoint", "_send"),
    ("botocore.httpsession", "URLLib3Session", "send"),
)
"""What every request of a client goes through."""
_TRACER: Final = "opentelemetry.instrumentation.botocore"


def stranger_in_botocore(*, ignores_tracer: bool) -> str | None:
    """Return what of botocore is not its own, in a few words for the operator; ``None`` where all of it is.

    Args:
        ignores_tracer: Whether OpenTelemetry's instrumentation counts for nothing, since its spans are not wanted.
    """
    for module, name, method in _PATHS:
        found = vars(getattr(sys.modules.get(module), name, object)).get(method)
        if found is None or _is_own_function(found) or (ignores_tracer and _wrapper_of(found) == _TRACER):
            continue
        return f"botocore's class {name} is patched"
    for event, handler, *_ in getattr(sys.modules.get("botocore.handlers"), "BUILTIN_HANDLERS", ()):
        owner = handler_of(handler)[0].partition(".")[0]
        if owner not in ("boto3", "botocore"):
            return f"every session has a handler of {owner} for {event}"
    if getattr(sys.modules.get("botocore"), "_INITIALIZERS", ()):
        return "botocore has an initializer of sessions"
    return None


def handler_of(handler: Any) -> tuple[str, str]:
    """Return module and name of the code behind *handler*: of the function, else of the object's class."""
    code = getattr(handler, "__func__", handler)
    named = code if hasattr(code, "__qualname__") else type(code)
    return str(named.__module__), str(named.__qualname__)


def _is_own_function(found: Any) -> bool:
    # By where its code is from: wrappers pretend to be functions, of the module of what they wrap.
    return type(found) is FunctionType and str(found.__globals__.get("__name__")).startswith("botocore.")


def _wrapper_of(found: Any) -> str:
    """Return the module of what wraps a method, where ``wrapt`` did, as instrumentations do."""
    wrapper = getattr(found, "_self_wrapper", None)
    return str(getattr(wrapper, "__module__", ""))
