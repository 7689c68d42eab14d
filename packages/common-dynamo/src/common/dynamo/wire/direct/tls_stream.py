"""Bytes in and out of a socket behind TLS that never blocks."""

import select
import ssl
from collections.abc import Callable
from typing import Final

from common.dynamo.wire.direct.streams import CHUNK

__all__ = ["TlsStream"]

_RECORD: Final = 16 * 1024
"""Bytes of content that a TLS record has at most (RFC 8446, section 5.1); nobody can read a part of one."""


class TlsStream:
    """A socket behind TLS, which reads and writes for itself too: new session tickets, key updates."""

    __slots__ = ("_pending", "_receive", "_send", "waits_for")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._send, self._receive = sock.send, sock.recv
        self._pending: Callable[[], int] = sock.pending
        self.waits_for = select.POLLIN

    def send(self, some: bytes | memoryview) -> int:
        """Same as :meth:`Stream.send`; one record at most, so that none of *some* has left where 0 is told."""
        try:
            return self._send(some[:_RECORD])
        except ssl.SSLWantWriteError:
            self.waits_for = select.POLLOUT
        except ssl.SSLWantReadError:
            self.waits_for = select.POLLIN
        return 0

    def receive(self) -> bytes | None:
        """Same as :meth:`Stream.receive`."""
        try:
            return self._receive(CHUNK)
        except ssl.SSLWantReadError:
            self.waits_for = select.POLLIN
        except ssl.SSLWantWriteError:
            self.waits_for = select.POLLOUT
        return None

    def holds_more(self) -> bool:
        """Tell whether decrypted bytes wait."""
        return self._pending() > 0
