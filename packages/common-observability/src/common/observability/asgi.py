"""The few words of ASGI 3 that the middlewares of this distribution share. No framework is imported."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["PROBE_PATHS", "ASGIApp", "Message", "Receive", "Scope", "Send", "header", "local_path", "route_template"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBE_PATHS: tuple[str, ...] = (r"/livez", r"/readyz", r"/startupz", r"/info", r"/health(/.*)?")
"""Paths that health answers, as regular expressions for a whole path: no spans and no access lines."""


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first value of the request header *name* (in lower case), or ``None``."""
    for key, value in scope.get("headers", ()):
        if key == name:
            return str(value.decode("latin-1"))
    return None


def local_path(scope: Scope) -> str:
    """Return the path below ``root_path``; servers and frameworks differ on whether ``path`` includes it."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def route_template(scope: Scope) -> str | None:
    """Return the template of the route that answered, such as ``/orders/{id}``, or ``None`` where none is known.

    FastAPI and Starlette leave the route in the scope; another application may set ``scope["path_template"]``.
    """
    template = scope.get("path_template") or getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else None
