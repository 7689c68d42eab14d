"""Bytes in and out of a socket that never blocks."""

import select
import socket
from typing import Final, Protocol

__all__ = ["CHUNK", "PlainStream", "Stream", "open_stream"]

CHUNK: Final = 64 * 1024
"""Bytes that are read at a time, at most."""


class Stream(Protocol):
    """What a connection needs of its socket."""

    waits_for: int
    """The ``poll`` event that the last call which could do nothing has to wait for."""

    def send(self, some: bytes | memoryview) -> int:
        """Send a part of *some*; return how many bytes, 0 where the socket takes none now."""
        ...

    def receive(self) -> bytes | None:
        """Return what has come: empty at the end of the stream, ``None`` where there is nothing now."""
        ...

    def holds_more(self) -> bool:
        """Tell whether bytes wait that ``poll`` does not see."""
        ...


class PlainStream:
    """A socket as it is."""

    __slots__ = ("_receive", "_send", "waits_for")

    def __init__(self, sock: socket.socket) -> None:
        self._send, self._receive = sock.send, sock.recv
        self.waits_for = select.POLLIN

    def send(self, some: bytes | memoryview) -> int:
        """Same as :meth:`Stream.send`."""
        try:
            return self._send(some)
        except BlockingIOError:
            self.waits_for = select.POLLOUT
            return 0

    def receive(self) -> bytes | None:
        """Same as :meth:`Stream.receive`."""
        try:
            return self._receive(CHUNK)
        except BlockingIOError:
            self.waits_for = select.POLLIN
            return None

    def holds_more(self) -> bool:
        """Never: ``poll`` sees all."""
        return False


def open_stream(sock: socket.socket) -> Stream:
    """Return the stream of *sock*, which does not block any more."""
    sock.setblocking(False)
    if type(sock) is socket.socket:
        return PlainStream(sock)
    # The ssl module is dear to import, and a local engine needs none of it.
    from common.dynamo.wire.direct.tls_stream import TlsStream

    return TlsStream(sock)  # type: ignore[arg-type]  # nothing but TLS wraps a socket here
