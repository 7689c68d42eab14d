"""Where an issuer publishes its keys, and one bounded way to ask for them: ``http.client``, no redirect, no proxy."""

import io
import ipaddress
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, cast
from urllib.parse import SplitResult, urlsplit

from common.auth.exceptions import ConfigurationError, KeySourceUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["LARGEST_JWKS", "SECONDS_TO_FETCH", "FetchedJwks", "JwksEndpoint", "JwksFetcher"]

LARGEST_JWKS: Final = 512 * 1024
"""Bytes of the longest key set that is read."""
SECONDS_TO_FETCH: Final = 5.0
"""Seconds from the beginning of a connection to the last byte of the answer."""

_ROOM_FOR_HEADERS: Final = 64 * 1024
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)
_OK: Final = 200
_HEADERS: Final = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "common-auth",
}


@dataclass(frozen=True, slots=True)
class FetchedJwks:
    """What an issuer answered."""

    document: Mapping[str, object] = field(repr=False)
    """The JSON object, as it was."""
    max_age: float | None = None
    """Seconds that the issuer lets it be cached for (RFC 9111, section 5.2.2.1); ``None`` where it does not say."""


class JwksFetcher(Protocol):
    """Asks for a key set. :class:`JwksEndpoint` is one; another may use a client of its own, or read a file."""

    def fetch(self) -> FetchedJwks:
        """Return what is published now; called on a thread of its own, one call at a time.

        Raises:
            KeySourceUnavailable: There is no usable answer; whatever else is raised counts the same.
        """
        ...


class JwksEndpoint:
    """One address of a key set (RFC 7517, section 5).

    An answer is taken if its status is 200, it has at most 512 KiB, is whole within 5 s, is not compressed and is a JSON
    object in which no member occurs twice. A redirect is not followed: whoever can answer for the address cannot send
    this process elsewhere. Proxies of the environment are not used.

    Args:
        url: ``https``; ``http`` for a numeric loopback address alone, such as that of a sidecar or a test.
        tls: Verifies the server; by default the system's trust store.
        seconds: Time from the beginning of a connection to the last byte; at most 5.
        monotonic: Measures that time.

    Raises:
        ConfigurationError: The address or the context cannot be used.

    >>> JwksEndpoint("https://id.example/.well-known/jwks.json")
    JwksEndpoint('https://id.example/.well-known/jwks.json')
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS_TO_FETCH,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = _address(url)
        if not 0 < seconds <= SECONDS_TO_FETCH:
            raise ConfigurationError(f"A key set is fetched within {SECONDS_TO_FETCH} s or less.", reason="bad_limits")
        if tls is not None and (tls.verify_mode != ssl.CERT_REQUIRED or not tls.check_hostname):
            raise ConfigurationError(
                "The TLS context of a key set must verify certificate and host name.", reason="unverified_tls"
            )
        self._tls = tls
        self._seconds = seconds
        self._monotonic = monotonic

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is; it is not to a loopback address without TLS."""
        return self._address.scheme == "https"

    def fetch(self) -> FetchedJwks:
        """Return what is published now.

        Raises:
            KeySourceUnavailable: ``reason`` is ``unreachable``, ``too_slow``, ``redirected``, ``wrong_status``,
                ``too_large``, ``compressed`` or ``not_json``.
        """
        deadline = self._monotonic() + self._seconds
        connection = self._connection()
        try:
            connection.connect()
            connection.request("GET", self._target(), headers=_HEADERS)
            timed = _TimedSocket(connection.sock, deadline, self._monotonic)
            answer = HTTPResponse(cast("socket.socket", timed), method="GET")
            answer.begin()
            return _read(answer)
        except TimeoutError as error:
            raise _unavailable("took too long", "too_slow") from error
        except (OSError, HTTPException, ValueError) as error:
            raise _unavailable("did not answer", "unreachable") from error
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if not self.is_encrypted:
            return HTTPConnection(host, port, timeout=self._seconds)
        if self._tls is None:
            self._tls = ssl.create_default_context()  # reads the trust store, so not before it is needed
        return HTTPSConnection(host, port, timeout=self._seconds, context=self._tls)

    def _target(self) -> str:
        path = self._address.path or "/"
        return f"{path}?{self._address.query}" if self._address.query else path

    def __repr__(self) -> str:
        shown = self._address._replace(query="***" if self._address.query else "")
        return f"JwksEndpoint({shown.geturl()!r})"


@dataclass(frozen=True, slots=True)
class _TimedSocket:
    """Stands for a connected socket in :class:`HTTPResponse`, which asks it for a file and nothing else."""

    connected: socket.socket
    deadline: float
    monotonic: Callable[[], float]

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        """Return what the answer is read from."""
        return io.BufferedReader(_TimedReader(self))


class _TimedReader(io.RawIOBase):
    """Reads what comes before the deadline, and no more than an answer may have.

    The timeout of a socket begins anew with every byte, so by it alone a server could drip an answer for hours.
    """

    def __init__(self, source: _TimedSocket) -> None:
        self._source = source
        self._room = LARGEST_JWKS + _ROOM_FOR_HEADERS

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
            raise _unavailable("sent too much", "too_large")
        return count


def _address(url: str) -> SplitResult:
    address = None
    if isinstance(url, str) and _VISIBLE.fullmatch(url):
        try:
            address = urlsplit(url)
            _ = address.port
        except ValueError:
            address = None
    if address is None or not address.hostname or address.username is not None or address.fragment:
        raise ConfigurationError(
            "The address of a key set must be an absolute URL of visible ASCII, without user and fragment.",
            reason="bad_url",
        )
    if address.scheme != "https" and not (address.scheme == "http" and _is_loopback(address.hostname)):
        raise ConfigurationError(
            "The address of a key set must begin with https://. Plain http is for 127.0.0.1 and [::1] alone.",
            reason="not_https",
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, even "localhost", is whatever a resolver says


def _read(answer: HTTPResponse) -> FetchedJwks:
    if answer.status != _OK:
        redirected = 300 <= answer.status < 400
        raise _unavailable(f"answered {answer.status}", "redirected" if redirected else "wrong_status")
    if answer.getheader("Content-Encoding", "identity").strip().lower() != "identity":
        raise _unavailable("compressed its answer", "compressed")
    body = answer.read(LARGEST_JWKS + 1)
    if len(body) > LARGEST_JWKS:
        raise _unavailable("sent too much", "too_large")
    if answer.length:
        raise _unavailable("broke off", "unreachable")
    stated = _MAX_AGE.search(answer.getheader("Cache-Control", ""))
    return FetchedJwks(_object(body), None if stated is None else float(stated.group(1)))


def _object(body: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise _unavailable("sent no JSON", "not_json") from error
    if not isinstance(document, dict):
        raise _unavailable("sent no JSON object", "not_json")
    return document


def _once(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    pairs = list(pairs)
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError("no JSON number")


def _unavailable(what: str, reason: str) -> KeySourceUnavailable:
    return KeySourceUnavailable(f"The address of the key set {what}.", reason=reason)
