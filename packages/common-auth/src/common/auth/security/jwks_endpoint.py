"""Where an issuer publishes its keys."""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from common.auth.exceptions import KeySourceUnavailable
from common.auth.security.https_get import GetFailed, HttpsGet

__all__ = ["LARGEST_JWKS", "SECONDS_TO_FETCH", "FetchedJwks", "JwksEndpoint", "JwksFetcher"]

LARGEST_JWKS: Final = 512 * 1024
"""Bytes of the longest key set that is read."""
SECONDS_TO_FETCH: Final = 5.0
"""Seconds from the beginning of a connection to the last byte of the answer."""

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)


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
        self._server = HttpsGet(
            url,
            of="a key set",
            largest=LARGEST_JWKS,
            seconds=seconds,
            longest=SECONDS_TO_FETCH,
            headers={"Accept": "application/jwk-set+json, application/json"},
            tls=tls,
            monotonic=monotonic,
        )

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is; it is not to a loopback address without TLS."""
        return self._server.is_encrypted

    def fetch(self) -> FetchedJwks:
        """Return what is published now.

        Raises:
            KeySourceUnavailable: ``reason`` is ``unreachable``, ``too_slow``, ``redirected``, ``wrong_status``,
                ``too_large``, ``compressed`` or ``not_json``.
        """
        try:
            answer = self._server.get()
        except GetFailed as error:
            raise _unavailable(error.what, error.reason) from error.__cause__
        stated = _MAX_AGE.search(answer.headers.get("cache-control", ""))
        return FetchedJwks(_object(answer.body), None if stated is None else float(stated.group(1)))

    def __repr__(self) -> str:
        return f"JwksEndpoint({self._server.shown!r})"


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
