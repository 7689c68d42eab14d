"""Who may see the page: a browser or a process on this machine, and no website that such a browser has open."""

from http import HTTPStatus
from ipaddress import ip_address

from common.observability.asgi import Scope, header

__all__ = ["refusal"]


def refusal(scope: Scope, *, allow_remote: bool) -> HTTPStatus | None:
    """Return the status with which a request is refused, or ``None``.

    Refused are clients on other machines, names other than this machine's (an outside name may be made to resolve to
    the loopback address: DNS rebinding), and what another origin's page has asked for (W3C Fetch Metadata).

    Args:
        scope: Of the request (ASGI).
        allow_remote: Whether clients and names from elsewhere are welcome; other origins' pages never are.
    """
    if _is_from_elsewhere(scope):
        return HTTPStatus.FORBIDDEN
    if allow_remote:
        return None
    client = scope.get("client")
    if client is not None and not _is_loopback(str(client[0])):
        return HTTPStatus.FORBIDDEN
    return None if _is_loopback(_host_name(header(scope, b"host") or "")) else HTTPStatus.MISDIRECTED_REQUEST


def _is_from_elsewhere(scope: Scope) -> bool:
    """Return whether another origin's page asks; a link that somebody follows is no question of that page."""
    if (header(scope, b"sec-fetch-site") or "none") in ("none", "same-origin"):
        return False
    return (header(scope, b"sec-fetch-mode"), header(scope, b"sec-fetch-dest")) != ("navigate", "document")


def _host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without port and brackets (RFC 9110, section 7.2)."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
