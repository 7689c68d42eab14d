"""Sends spoofed identity headers through a real gateway, and tells which of them arrive behind it.

Behind the gateway there must be an endpoint that answers by the headers it got:
:func:`~common.auth.gateway.header_echo.header_echo`, or any that answers JSON with a member ``headers`` (pairs, or a
mapping to a text or a list of texts) or ``multiValueHeaders``. Pairs are best: only they show what arrived twice.
"""

import json
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.gateway.header_echo import MARKER
from common.auth.gateway.raw_headers import ASSERTION, IDENTITY_HEADERS, REQUEST_ID, ROLES, SIGNATURE, SOURCE, USER_ID

__all__ = ["GatewayProbe", "ProbeResult", "Spoof", "Verdict", "spoofs"]

Pairs = Sequence[tuple[str, str]]

_WRITTEN: Final = {
    USER_ID: "X-User-ID",
    ROLES: "X-User-Role",
    REQUEST_ID: "X-Request-ID",
    SOURCE: "X-Source-Service",
    ASSERTION: "X-Identity-Assertion",
    SIGNATURE: "X-Identity-Signature",
}
_LOOK_ALIKES: Final = ("X_User_ID", "X-User_ID", "X.User.ID", "X_Identity_Assertion")
_LONGEST_ECHO: Final = 1 << 20
_OK, _CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 200, 400, 429, 500


class Verdict(StrEnum):
    """What became of a header that a client made up."""

    DROPPED = "dropped"
    OVERWRITTEN = "overwritten"
    """It arrived with a value that is not the client's."""
    REFUSED = "refused"
    """The request was answered by 4xx."""
    PASSED = "passed"
    """It arrived as the client sent it."""
    APPENDED = "appended"
    """It arrived beside the gateway's own value; most frameworks take the first, the client's."""
    STRIPPED = "stripped"
    """The client made the gateway's own header vanish, by naming it in ``Connection``."""
    UNKNOWN = "unknown"
    """The answer was 429, 5xx or no echo."""

    @property
    def is_harmful(self) -> bool:
        """Whether a service that trusts plain headers can be fooled."""
        return self in (Verdict.PASSED, Verdict.APPENDED, Verdict.STRIPPED)


@dataclass(frozen=True, slots=True)
class Spoof:
    """One thing that a client may try."""

    name: str
    """What is tried, for people."""
    headers: tuple[tuple[str, str], ...]
    """Names and values to send; ``{}`` in a value stands for the marker."""
    name_behind: str
    """The header to look for behind the gateway, in lower case; look-alikes count too."""
    is_identity: bool = True
    """Whether it says who is asking. A request id does not: a client's own is a matter of taste."""
    strips: bool = False


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What became of a spoof."""

    spoof: Spoof
    verdict: Verdict

    @property
    def is_finding(self) -> bool:
        """Whether something should be changed at the gateway."""
        return self.verdict.is_harmful and self.spoof.is_identity


def spoofs(set_by_gateway: Sequence[bytes] = ()) -> Iterator[Spoof]:
    """Yield what is tried; *set_by_gateway* are the identity headers that a harmless request arrives with."""
    for name in IDENTITY_HEADERS:
        written, is_identity = _WRITTEN[name], name != REQUEST_ID
        yield Spoof(written, ((written, "{}"),), name.decode(), is_identity)
        yield Spoof(f"{written} twice", ((written, "{}"), (written.swapcase(), "{}")), name.decode(), is_identity)
        yield Spoof(f"{written} joined", ((written, "{},{}"),), name.decode(), is_identity)
    for written in _LOOK_ALIKES:
        yield Spoof(written, ((written, "{}"),), written.lower())
    for name in set_by_gateway:
        written = _WRITTEN[name]
        hidden = (("Connection", f"close, {written}"),)
        yield Spoof(f"Connection: {written}", hidden, name.decode(), name != REQUEST_ID, strips=True)


class GatewayProbe:
    """Asks one address behind a gateway.

    Args:
        url: Of the echo, as clients call it: ``https://`` or ``http://``.
        headers: Of every request, such as ``Authorization``.
        tls: Verifies the gateway; by default the system's trust store.
        timeout: Seconds for each step of a request.

    Raises:
        ConfigurationError: The address or a header cannot be used.
    """

    def __init__(
        self, url: str, *, headers: Pairs = (), tls: ssl.SSLContext | None = None, timeout: float = 10.0
    ) -> None:
        address = _split(url)
        if timeout <= 0:
            raise ConfigurationError("The probe needs a timeout above zero.", reason="bad_limits")
        self._address = address
        self._headers = tuple(headers)
        self._tls = tls
        self._timeout = timeout

    def run(self) -> tuple[ProbeResult, ...]:
        """Send a harmless request, then each spoof.

        Raises:
            AuthUnavailable: Nothing can be learnt: the gateway does not answer, or the harmless request gets no echo.
        """
        marker = secrets.token_hex(16)
        echoed = self._ask(marker, ())
        if not isinstance(echoed, tuple):
            raise AuthUnavailable(
                f"The harmless request was answered by {echoed}, not by an echo. Put common.auth.gateway.header_echo "
                "behind this address, and pass the credentials that it needs.",
                reason="no_echo",
            )
        arrived = {name for name, _ in echoed}
        tried = spoofs([name for name in IDENTITY_HEADERS if name.decode() in arrived])
        return tuple(ProbeResult(spoof, self._verdict(spoof, marker)) for spoof in tried)

    def _verdict(self, spoof: Spoof, marker: str) -> Verdict:
        echoed = self._ask(marker, [(name, value.replace("{}", marker)) for name, value in spoof.headers])
        if isinstance(echoed, int):
            is_refusal = _CLIENT_ERROR <= echoed < _SERVER_ERROR and echoed != _TOO_MANY
            return Verdict.REFUSED if is_refusal else Verdict.UNKNOWN
        if spoof.strips:
            return Verdict.DROPPED if spoof.name_behind in dict(echoed) else Verdict.STRIPPED
        wanted = _squeezed(spoof.name_behind)
        return _judged([value for name, value in echoed if _squeezed(name) == wanted], marker)

    def _ask(self, marker: str, spoofed: Pairs) -> tuple[tuple[str, str], ...] | int:
        """Return the headers that arrived, by lower-case name; or the status of an answer that is no echo."""
        connection = self._connection()
        try:
            connection.putrequest("GET", self._target(), skip_accept_encoding=True)
            for name, value in (("Accept", "application/json"), (MARKER.decode(), marker), *self._headers, *spoofed):
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read(_LONGEST_ECHO)
        except ValueError as error:
            raise ConfigurationError("A header of the probe is no header.", reason="bad_header") from error
        except (OSError, HTTPException) as error:
            raise AuthUnavailable("The gateway does not answer.", reason="unreachable") from error
        finally:
            connection.close()
        echoed = _echoed(body) if answer.status == _OK else None
        return answer.status if echoed is None else echoed

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout)
        return HTTPSConnection(host, port, timeout=self._timeout, context=self._tls or ssl.create_default_context())

    def _target(self) -> str:
        path = self._address.path or "/"
        return f"{path}?{self._address.query}" if self._address.query else path


def _split(url: str) -> SplitResult:
    if url.isascii() and url.isprintable() and " " not in url:
        try:
            address = urlsplit(url)
            if address.scheme in ("http", "https") and address.hostname and address.port != 0:
                return address
        except ValueError:
            pass  # a port that is no number: said below
    raise ConfigurationError("The probe needs an address such as https://api.example/echo.", reason="bad_url")


def _squeezed(name: str) -> str:
    """Return what a server may make of a name that turns it into a variable, such as ``HTTP_X_USER_ID``."""
    return "".join(filter(str.isalnum, name)).lower()


def _judged(values: Sequence[str], marker: str) -> Verdict:
    """Return what became of a header that arrived with *values*, several of them perhaps joined by commas."""
    parts = [part.strip() for value in values for part in value.split(",")]
    if not parts:
        return Verdict.DROPPED
    if not any(marker in part for part in parts):
        return Verdict.OVERWRITTEN
    return Verdict.PASSED if all(marker in part for part in parts) else Verdict.APPENDED


def _echoed(body: bytes) -> tuple[tuple[str, str], ...] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, Mapping):
        return None
    headers = document.get("multiValueHeaders") or document.get("headers")
    if isinstance(headers, Mapping):
        headers = [(name, one) for name, value in headers.items() for one in _listed(value)]
    if not isinstance(headers, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in headers):
        return None
    return tuple((str(name).lower(), str(value)) for name, value in headers)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
