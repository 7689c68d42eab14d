"""Connections that wait for their next request: bounded, last in first out, shared by threads, left alone after a fork."""

import queue
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from common.dynamo.forks import begin_anew_after_fork
from common.dynamo.wire import NotSent
from common.dynamo.wire.direct.connection import Connection

if TYPE_CHECKING:
    import ssl

    from common.dynamo.wire.direct.endpoint import Endpoint

__all__ = ["Pool"]


_LOOK: Final = 0.1
"""Seconds after which a thread that waits looks by itself, since who should have rung may have been interrupted."""


class Pool:
    """At most *size* connections to one endpoint. Thread-safe and fork-safe.

    A thread takes one, makes its exchange, and gives it back whatever has happened. The one that was used last is taken
    first, so that the others grow old and are closed.

    Args:
        endpoint: Where they lead.
        tls: For an https endpoint, gives the context; asked for at the first connection.
        size: Connections at most; a thread that finds all of them taken waits until its deadline.
        connect_timeout: Seconds for one connection and its TLS handshake, name resolution aside.
        idle: Seconds after which an unused connection is not trusted any more.
        largest_answer: Bytes of a body, at most.
        timer: Seconds of a monotonic clock, the same that deadlines are on.
    """

    def __init__(
        self,
        endpoint: "Endpoint",
        tls: Callable[[], "ssl.SSLContext"] | None,
        *,
        size: int,
        connect_timeout: float,
        idle: float,
        largest_answer: int,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._size = size
        self._connect_timeout = connect_timeout
        self._idle_limit = idle
        self._largest = largest_answer
        self._timer = timer
        self._is_closed = False
        self._refill()
        begin_anew_after_fork(self)

    def _refill(self) -> None:
        self._idle: list[Connection] = []  # append and pop are atomic
        # Who uses a connection or waits for one, in the order in which they came. A thread is in it once, whatever an
        # exception out of a signal handler keeps it from doing, so that no cancelled call costs a place (decision 0292).
        # One that waits has a bell, which is rung when it is its turn.
        self._users: dict[int, queue.SimpleQueue[None] | None] = {}

    def take(self, deadline: float) -> Connection:
        """Return a connection that nobody else uses: the one used last that is fresh enough, else a new one.

        Raises:
            NotSent: None could be made, or none was given back, before *deadline*.
        """
        try:
            self._users[get_ident()] = None
            if len(self._users) > self._size:
                self._wait_for_place(deadline)
            return self._fresh() or self._connect(deadline)
        except BaseException:
            self._depart()
            raise

    def _wait_for_place(self, deadline: float) -> None:
        """Wait until this thread is among the first that came."""
        bell = self._users[get_ident()] = queue.SimpleQueue()
        while get_ident() not in list(self._users)[: self._size]:
            left = deadline - self._timer()
            if left <= 0:
                raise NotSent("all connections are in use")
            with suppress(queue.Empty):
                bell.get(timeout=min(left, _LOOK))

    def _depart(self) -> None:
        """Leave the place of this thread to others."""
        self._users.pop(get_ident(), None)
        if len(self._users) >= self._size:
            next_one = list(self._users.values())[self._size - 1 : self._size]
            for bell in next_one:  # none where others have left meanwhile
                if bell is not None:
                    bell.put(None)

    def give_back(self, connection: Connection) -> None:
        """Keep *connection* for the next request, or close it where it is in no state for one."""
        if connection.is_reusable and not self._is_closed:
            self._idle.append(connection)
            if len(self._idle) > 1:
                self._close_oldest(connection.used_at or 0.0)
        else:
            connection.close()
        self._depart()

    def replace(self, connection: Connection, deadline: float) -> Connection:
        """Close *connection* and return a new one in its place; see :meth:`take`. Others as old are closed too."""
        connection.close()
        self._close_idle()
        return self._connect(deadline)

    def close(self) -> None:
        """Close the connections that wait, and the others as soon as they are given back."""
        self._is_closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # another thread was faster
                return

    def _fresh(self) -> Connection | None:
        oldest = self._timer() - self._idle_limit
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if connection.used_at is not None and connection.used_at > oldest:
                return connection
            connection.close()
        return None

    def _close_oldest(self, now: float) -> None:
        """Close the connection that has waited longest, where it has waited too long."""
        try:
            # It stays where it is meanwhile: who found it missing would open another one.
            if (self._idle[0].used_at or 0.0) <= now - self._idle_limit:
                self._idle.pop(0).close()
        except IndexError:  # another thread was faster
            return

    def begin_anew(self) -> None:
        """After a fork: close our copies of the sockets, whose other end goes on talking to the parent."""
        idle = self._idle
        self._refill()
        for connection in idle:
            connection.close()

    # Connecting

    def _connect(self, deadline: float) -> Connection:
        """Connect to the first address of the host that answers."""
        endpoint, failure = self._endpoint, OSError("the host has no address")
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                endpoint.host, endpoint.port, type=socket.SOCK_STREAM
            ):
                left = min(self._connect_timeout, deadline - self._timer())
                if left <= 0:
                    raise TimeoutError("the deadline has passed")
                try:
                    sock = self._open(socket.socket(family, kind, protocol), address, left)
                    return Connection(sock, largest_answer=self._largest, timer=self._timer)
                except OSError as error:  # ssl.SSLError and TimeoutError are such
                    failure = error
            raise failure
        except OSError as error:
            raise NotSent(f"no connection to the engine: {type(error).__name__}") from error

    def _open(self, sock: socket.socket, address: "tuple[Any, ...]", timeout: float) -> socket.socket:
        try:
            sock.settimeout(timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.connect(address)
            if self._tls is not None:
                return self._tls().wrap_socket(sock, server_hostname=self._endpoint.host)
        except BaseException:
            sock.close()
            raise
        return sock
