"""One kept-alive HTTP/1.1 connection: a request out, its answer in, both before a deadline.

Framing is httptools' (llhttp, the parser of Node.js). The socket never blocks: each wait is one ``poll`` that ends at the
deadline, so that neither a silent server nor one that drips byte by byte outlasts it.
"""

import select
import socket
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from common.dynamo.wire import AnswerLost, NotSent
from common.dynamo.wire.direct.streams import open_stream

__all__ = ["Connection", "RawAnswer", "Stale"]

_HEAD_LIMIT: Final = 64 * 1024
"""Bytes of status line and headers, at most."""
_WANTED: Final = frozenset(
    {b"x-amzn-requestid", b"x-amz-crc32", b"x-amz-id-2", b"x-amzn-errortype", b"date", b"content-length"}
)
"""Headers that something below reads; the others are not kept."""


class Stale(Exception):
    """The server has closed a kept-alive connection before a byte of the request was sent: take another one."""


class _TooLarge(Exception):
    """An answer announces more than is taken."""


class RawAnswer(NamedTuple):
    """A whole answer, its checksum verified."""

    status: int
    headers: dict[bytes, bytes]
    """By lower-case name; those that are of use."""
    body: bytes


class Connection:
    """A connection for one request after the other, in the hands of one thread at a time.

    Args:
        sock: Connected and, for TLS, with its handshake done.
        largest_answer: Bytes of a body, at most.
        timer: Seconds of a monotonic clock, the same that deadlines are on.
    """

    __slots__ = (
        "_body",
        "_headers",
        "_keeps_alive",
        "_largest",
        "_messages",
        "_parser",
        "_poll",
        "_size",
        "_socket",
        "_stream",
        "_timer",
        "_whole",
        "is_reusable",
        "used_at",
    )

    def __init__(
        self, sock: socket.socket, *, largest_answer: int, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket = sock
        self._stream = open_stream(sock)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._largest = largest_answer
        self._timer = timer
        self._parser: Any = HttpResponseParser(self)
        self.is_reusable = True
        """Whether another request may follow; false after anything unusual, and while one is on its way."""
        self.used_at: float | None = None
        """When the last answer had come; ``None`` for a new connection."""

    def close(self) -> None:
        """Close our end without a word to the other, which after a fork may still talk to the parent."""
        self.is_reusable = False
        self._socket.close()

    def exchange(self, request: bytes, deadline: float) -> RawAnswer:
        """Send *request* and return its answer.

        Args:
            request: Head and body.
            deadline: On the connection's timer.

        Raises:
            Stale: The kept-alive connection was dead; nothing was sent.
            NotSent: The new connection failed before anything was sent.
            AnswerLost: Some of it was sent, and no whole, sound answer has come back.
        """
        kept = self.used_at is not None
        self.is_reusable = False
        if kept and self._poll.poll(0) and not self._is_alive():
            raise Stale
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = self._messages = 0
        self._whole = self._keeps_alive = False
        self._transmit(request, deadline, kept=kept)
        answer = self._receive(deadline)
        self.used_at = self._timer()
        self.is_reusable = self._messages == 1 and self._keeps_alive
        return answer

    def _is_alive(self) -> bool:
        """Tell what a readable idle socket means: TLS had something of its own to say, or the server has closed."""
        try:
            return self._stream.receive() is None
        except OSError:
            return False

    # Sending

    def _transmit(self, request: bytes, deadline: float, *, kept: bool) -> None:
        sent = 0
        try:
            sent = self._stream.send(request)
            while sent < len(request):
                some = self._stream.send(memoryview(request)[sent:])
                sent += some
                if not some:
                    self._wait_for_room(deadline)
        except OSError as error:  # TimeoutError is one
            if sent:
                raise AnswerLost("the connection broke while the request was being sent") from error
            if kept:
                raise Stale from None
            raise NotSent("the connection broke before the request was sent") from error

    def _wait_for_room(self, deadline: float) -> None:
        self._poll.modify(self._socket, self._stream.waits_for)
        try:
            self._wait(deadline)
        finally:
            self._poll.modify(self._socket, select.POLLIN)

    def _wait(self, deadline: float) -> None:
        left = deadline - self._timer()
        if left <= 0 or not self._poll.poll(left * 1000.0):
            raise TimeoutError("the deadline has passed")

    # Receiving

    def _receive(self, deadline: float) -> RawAnswer:
        stream, feed, outer = self._stream, self._parser.feed_data, sys.exception()
        try:
            while not self._whole:
                if not stream.holds_more():
                    self._wait(deadline)
                chunk = stream.receive()
                if chunk is None:
                    continue
                if not chunk:
                    raise ConnectionError("the server has closed the connection")
                feed(chunk)
                self._count(len(chunk))
        except (HttpParserError, HttpParserUpgrade) as error:
            _raise_foreign(error, outer)
            if not self._whole:
                raise AnswerLost("the answer is no HTTP, or larger than is taken") from error
            self._messages += 1  # something follows the answer that nobody has asked for
        except OSError as error:
            raise AnswerLost("no whole answer came, or not before the deadline") from error
        return self._checked()

    def _count(self, received: int) -> None:
        """Bound what is received in all, so that no endless head or chain of chunks is taken."""
        self._size += received
        if self._size > self._largest + _HEAD_LIMIT:
            raise ConnectionError("the answer is larger than is taken")

    def _checked(self) -> RawAnswer:
        headers, parts = self._headers, self._body
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        checksum = headers.get(b"x-amz-crc32")
        if checksum is not None and checksum != b"%d" % zlib.crc32(body):
            raise AnswerLost("the checksum of the answer does not fit its body")
        return RawAnswer(self._parser.get_status_code(), headers, body)

    # What the parser tells

    def on_message_begin(self) -> None:
        """Count the messages: one is expected."""
        self._messages += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that is of use."""
        name = name.lower()
        if name in _WANTED and self._messages == 1:
            self._headers[name] = value
            if name == b"content-length" and not (value.isdigit() and int(value) <= self._largest):
                raise _TooLarge

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        if not self._whole:
            self._body.append(part)

    def on_message_complete(self) -> None:
        """Take an informational answer (1xx) for none, any other for the answer."""
        if self._parser.get_status_code() < 200:
            self._messages -= 1
            self._headers.clear()
        elif not self._whole:
            self._whole, self._keeps_alive = True, self._parser.should_keep_alive()


def _raise_foreign(error: Exception, outer: BaseException | None) -> None:
    """Raise what a signal handler raised while the parser called us, such as KeyboardInterrupt: httptools wraps it.

    Where the caller of the wire is handling an exception, *outer*, Python has put that one in its place.
    """
    foreign = error.__context__
    if isinstance(error, HttpParserCallbackError) and foreign is not outer and not isinstance(foreign, _TooLarge):
        raise foreign or error
