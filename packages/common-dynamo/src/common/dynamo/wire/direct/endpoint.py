"""Where the engine is: scheme, host, port and path of an endpoint's address."""

import re
import socket
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["Endpoint"]

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
"""Labels of a host name (RFC 1123, section 2.1), with the underscore that names of containers have."""
_WRITTEN: Final = re.compile(r"[!-~]+")
"""What a request line and a Host header can carry: visible ASCII."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address that requests go to, and the only one that credentials are shown to.

    >>> Endpoint.parse("http://127.0.0.1:8000").authority
    '127.0.0.1:8000'
    >>> Endpoint.parse("https://dynamodb.eu-central-1.amazonaws.com")
    Endpoint(scheme='https', host='dynamodb.eu-central-1.amazonaws.com', port=443, path='/')
    """

    scheme: Literal["http", "https"]
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int
    path: str = "/"

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Return the endpoint that *url* names.

        Raises:
            ConfigurationError: It is no address of an HTTP server, or holds a user, a query or a fragment. The text does
                not repeat it, since it may hold a password.
        """
        # A URL is split leniently: white space within it would be dropped without a word.
        if not _WRITTEN.fullmatch(url):
            raise _malformed("has white space, or letters that no address has")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _malformed("has a host or a port that cannot be read") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise _malformed("names no http or https server")
        if "@" in parts.netloc or "?" in url or "#" in url:
            raise _malformed("has a user, a query or a fragment, which is sent to no engine")
        if port == 0 or not _is_host(parts):
            raise _malformed("has a host or a port that cannot be read")
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path or "/")  # type: ignore[arg-type]

    @property
    def authority(self) -> str:
        """The value of the Host header: the port is left out where it is the scheme's own (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" not in parts.netloc:
        return _HOST.fullmatch(host) is not None
    try:
        socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return False
    return True


def _malformed(fault: str) -> ConfigurationError:
    return ConfigurationError(
        f"The endpoint {fault}. Give one as endpoint_url= that looks like http://127.0.0.1:8000, or none for AWS."
    )
