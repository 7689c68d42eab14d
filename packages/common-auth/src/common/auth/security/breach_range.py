"""Breached passwords asked of a service that learns five digits of their hash: k-anonymity by ranges.

The protocol is that of Pwned Passwords, version 3: ``GET /range/21BD1`` answers with all suffixes of the range, one a
line, ``suffix:count``. ``Add-Padding`` makes the service add lines with a count of 0, so that not even the length of
the encrypted answer tells which range it was.
"""

import re
import ssl
from typing import Final

from common.auth.exceptions import AuthUnavailable
from common.auth.security.breaches import BreachHash, PasswordHashes
from common.auth.security.https_get import GetFailed, HttpsGet

__all__ = ["BreachRange"]

_PREFIX: Final = 5
_LARGEST: Final = 1024 * 1024
_LONGEST_WAIT: Final = 10.0
_LINE: Final = re.compile(r"([0-9A-F]{27}(?:[0-9A-F]{8})?):([0-9]{1,18})")


class BreachRange:
    """Asks a range service. It sees the first five digits of the hash, and nothing else of the password.

    Args:
        url: Of the ranges, such as ``https://…/range``; ``http`` for a numeric loopback address alone.
        kind: Which hashes it holds; for NTLM put ``?mode=ntlm`` behind the address, where the service wants it.
        seconds: Time that one question may take; at most 10.
        tls: Verifies the server; by default the system's trust store.
        name: Of this checker.

    Raises:
        ConfigurationError: The address, the time or the context cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        kind: BreachHash = BreachHash.SHA1,
        seconds: float = 2.0,
        tls: ssl.SSLContext | None = None,
        name: str = "breach-range",
    ) -> None:
        self._server = HttpsGet(
            url,
            of="a breach range",
            largest=_LARGEST,
            seconds=seconds,
            longest=_LONGEST_WAIT,
            headers={"Add-Padding": "true", "Accept": "text/plain"},
            tls=tls,
        )
        self._kind = BreachHash(kind)
        self._name = name

    @property
    def name(self) -> str:
        """See :class:`~common.auth.security.breaches.BreachChecker`."""
        return self._name

    def occurrences(self, hashes: PasswordHashes, /) -> int:
        """Return the count beside the suffix in its range; 0 where it is not there, or only there as padding.

        Raises:
            AuthUnavailable: The service gave no usable answer; ``reason`` says why.
        """
        sought = hashes.by(self._kind)
        try:
            body = self._server.get(f"/{sought[:_PREFIX]}").body
        except GetFailed as error:
            raise AuthUnavailable(f"The range service {error.what}.", reason=error.reason) from error.__cause__
        return _count(body, sought[_PREFIX:])

    def __repr__(self) -> str:
        return f"BreachRange({self._server.shown!r}, kind={self._kind.value!r})"


def _count(body: bytes, suffix: str) -> int:
    lines = body.decode("ascii", "replace").upper().split()
    pairs = [found.groups() for found in map(_LINE.fullmatch, lines) if found is not None]
    if not pairs or len(pairs) != len(lines) or any(len(each) != len(suffix) for each, _ in pairs):
        raise AuthUnavailable("The range service sent no range.", reason="no_range")
    return max((int(count) for each, count in pairs if each == suffix), default=0)
