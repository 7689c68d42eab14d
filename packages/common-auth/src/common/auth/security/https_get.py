"""One bounded way to ask somebody else's server for something: ``http.client``, no redirect, no proxy."""

import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import SplitResult, urlsplit

from common.auth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["GetFailed", "HttpAnswer", "HttpsGet"]

_ROOM_FOR_HEADERS: Final = 64 * 1024
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_OK: Final = 200
_HEADERS: Final = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "common-auth"}


class GetFailed(Exception):
    """There is no usable answer. It stays inside: whoever asks turns it into an error of its own.

    Args:
        what: What the server did, to go on with in a sentence.
        reason: ``unreachable``, ``too_slow``, ``redirected``, ``wrong_status``, ``too_large`` or ``compressed``.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what)
        self.what = what
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server answered with status 200."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """By name in lower case; what occurs twice is joined by a comma."""


class HttpsGet:
    """Asks one address. Safe to use from any thread; each call makes a connection of its own.

    An answer is taken if its status is 200, it has at most so many bytes, is whole in time and is not compressed. A
    redirect is not followed: whoever can answer for the address cannot send this process elsewhere. Proxies of the
    environment are not used.

    Args:
        url: ``https``; ``http`` for a numeric loopback address alone, such as that of a sidecar or a test.
        of: What is fetched, for messages: ``a key set``.
        largest: Bytes of the longest body.
        seconds: Time from the beginning of a connection to the last byte.
        longest: The most that *seconds* may be.
        headers: Further headers of the request.
        tls: Verifies the server; by default the system's trust store.
        monotonic: Measures the time.

    Raises:
        ConfigurationError: The address, the time or the context cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        of: str,
        largest: int,
        seconds: float,
        longest: float,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = _address(url, of)
        if not 0 < seconds <= longest:
            raise ConfigurationError(f"{of.capitalize()} is fetched within {longest} s or less.", reason="bad_limits")
        if tls is not None and (tls.verify_mode != ssl.CERT_REQUIRED or not tls.check_hostname):
            raise ConfigurationError(
                f"The TLS context of {of} must verify certificate and host name.", reason="unverified_tls"
            )
        self._largest = largest
        self._seconds = seconds
        self._headers = {**_HEADERS, **headers}
        self._tls = tls
        self._monotonic = monotonic

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is; it is not to a loopback address without TLS."""
        return self._address.scheme == "https"

    @property
    def shown(self) -> str:
        """The address, without what its query says."""
        return self._address._replace(query="***" if self._address.query else "").geturl()

    def get(self, below: str = "") -> HttpAnswer:
        """Return what the address answers now.

        Args:
            below: Put behind the path, such as ``/21BD1``.

        Raises:
            GetFailed: There is no usable answer.
        """
        deadline = self._monotonic() + self._seconds
        connection = self._connection()
        try:
            connection.connect()
            connection.request("GET", self._target(below), headers=self._headers)
            room = self._largest + _ROOM_FOR_HEADERS
            timed = _TimedSocket(connection.sock, deadline, self._monotonic, room)
            answer = HTTPResponse(cast("socket.socket", timed), method="GET")
            answer.begin()
            return _read(answer, self._largest)
        except TimeoutError as error:
            raise GetFailed("took too long", "too_slow") from error
        except (OSError, HTTPException, ValueError) as error:
            raise GetFailed("did not answer", "unreachable") from error
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if not self.is_encrypted:
            return HTTPConnection(host, port, timeout=self._seconds)
        if self._tls is None:
            self._tls = ssl.create_default_context()  # reads the trust store, so not before it is needed
        return HTTPSConnection(host, port, timeout=self._seconds, context=self._tls)

    def _target(self, below: str) -> str:
        path = self._address.path.rstrip("/") + below if below else self._address.path or "/"
        return f"{path}?{self._address.query}" if self._address.query else path

    def __repr__(self) -> str:
        return f"HttpsGet({self.shown!r})"


@dataclass(frozen=True, slots=True)
class _TimedSocket:
    """Stands for a connected socket in :class:`HTTPResponse`, which asks it for a file and nothing else."""

    connected: socket.socket
    deadline: float
    monotonic: Callable[[], float]
    room: int

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        """Return what the answer is read from."""
        return io.BufferedReader(_TimedReader(self))


class _TimedReader(io.RawIOBase):
    """Reads what comes before the deadline, and no more than an answer may have.

    The timeout of a socket begins anew with every byte, so by it alone a server could drip an answer for hours.
    """

    def __init__(self, source: _TimedSocket) -> None:
        self._source = source
        self._room = source.room

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        remaining = self._source.deadline - self._source.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._source.connected.settimeout(remaining)
        count = self._source.connected.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise GetFailed("sent too much", "too_large")
        return count


def _address(url: str, of: str) -> SplitResult:
    address = None
    if isinstance(url, str) and _VISIBLE.fullmatch(url):
        try:
            address = urlsplit(url)
            _ = address.port
        except ValueError:
            address = None
    if address is None or not address.hostname or address.username is not None or address.fragment:
        raise ConfigurationError(
            f"The address of {of} must be an absolute URL of visible ASCII, without user and fragment.",
            reason="bad_url",
        )
    if address.scheme != "https" and not (address.scheme == "http" and _is_loopback(address.hostname)):
        raise ConfigurationError(
            f"The address of {of} must begin with https://. Plain http is for 127.0.0.1 and [::1] alone.",
            reason="not_https",
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, even "localhost", is whatever a resolver says


def _read(answer: HTTPResponse, largest: int) -> HttpAnswer:
    if answer.status != _OK:
        redirected = 300 <= answer.status < 400
        raise GetFailed(f"answered {answer.status}", "redirected" if redirected else "wrong_status")
    if answer.getheader("Content-Encoding", "identity").strip().lower() != "identity":
        raise GetFailed("compressed its answer", "compressed")
    body = answer.read(largest + 1)
    if len(body) > largest:
        raise GetFailed("sent too much", "too_large")
    if answer.length:
        raise GetFailed("broke off", "unreachable")
    names = {name.lower() for name, _ in answer.getheaders()}
    return HttpAnswer(body, {name: answer.getheader(name, "") for name in names})
