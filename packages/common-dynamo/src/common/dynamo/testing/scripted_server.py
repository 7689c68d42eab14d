"""A server on a loopback port that treats each request as a script says: whole answers, and every way to break one.

For what no engine does on demand: half an answer, a lie about its length, silence, rubbish. A script is a row of
:class:`Step` values, one per request, the last one for ever::

    with ScriptedServer(whole(b"HTTP/1.1 502 Bad Gateway\\r\\nContent-Length: 2\\r\\n\\r\\nno"), answer({"Item": {}})) as server:
        ...
    assert 2 == len(server.requests)
"""

import contextlib
import itertools
import json
import select
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import responses
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

__all__ = [
    "Script",
    "ScriptedServer",
    "SeenRequest",
    "Step",
    "answer",
    "chunked",
    "closing",
    "cut",
    "dripping",
    "head",
    "message",
    "refusal",
    "resetting",
    "silent",
    "split",
    "whole",
]

Afterwards: TypeAlias = Literal["keep", "close", "reset", "hang"]
"""What becomes of the connection: it waits for the next request, ends, ends with an RST, or says nothing any more."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the server does with one request."""

    pieces: tuple[bytes, ...] = ()
    """What it sends, each piece in a segment of its own."""
    pause: float = 0.0
    """Seconds before each piece but the first."""
    afterwards: Afterwards = "keep"
    delay: float = 0.0
    """Seconds between the last piece and what comes afterwards."""
    reads: int | None = None
    """Bytes of the request that it reads before it acts; ``None`` for all. The request is recorded all the same."""


Script: TypeAlias = "Step | Callable[[SeenRequest], Step]"
"""A step, or what makes one of the request."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it came."""

    raw: bytes = field(repr=False)
    connection: int
    """Which of the connections brought it, counted from 1."""

    @property
    def start(self) -> str:
        """The request line."""
        return self.raw.partition(b"\r\n")[0].decode("latin-1")

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        """What follows the head."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def parameters(self) -> Any:
        """The body, as the JSON that it is."""
        return json.loads(self.body)

    @property
    def operation(self) -> str:
        """Such as ``GetItem``."""
        return self.headers["x-amz-target"].rpartition(".")[2]


class ScriptedServer:
    """A thread per connection, on a free port of 127.0.0.1; it stops at the end of its ``with`` block.

    Args:
        script: What to do with each request, in the order in which they begin; the last entry stays.
        tls: For an https server.
    """

    def __init__(self, *script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script: list[Script] = list(script) or [answer({})]
        self._tls = tls
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.answered = 0
        """Requests whose step has been done, up to what comes afterwards."""
        self.refused_handshakes = 0
        self._open: dict[int, socket.socket] = {}
        self._changes = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections have not ended yet."""
        return len(self._open)

    def then(self, *script: Script) -> None:
        """Go on with *script* from the next request on."""
        with self._changes:
            self._script[:] = script

    def wait_until(self, condition: Callable[["ScriptedServer"], bool], seconds: float = 10.0) -> None:
        """Wait until *condition* holds, such as a number of requests seen or connections ended.

        Raises:
            TimeoutError: It does not hold after *seconds*.
        """
        with self._changes:
            if not self._changes.wait_for(lambda: condition(self), seconds):
                raise TimeoutError("the server has not got where it was waited for")

    def drop_connections(self) -> None:
        """Close every connection now, the idle ones as well as the others."""
        with self._changes:
            victims = list(self._open.values())
        for victim in victims:
            _shut(victim)
        self.wait_until(lambda server: not any(each in victims for each in server._open.values()))

    def stop(self) -> None:
        """Close all sockets."""
        _shut(self._socket)
        self._thread.join(10)
        self.drop_connections()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    # One thread accepts, and one has each conversation

    def _accept(self) -> None:
        with self._socket:
            while True:
                try:
                    client, _ = self._socket.accept()
                except OSError:
                    return
                with self._changes:
                    self.connections += 1
                    number = self.connections
                    self._open[number] = client
                    self._changes.notify_all()
                threading.Thread(target=self._serve, args=(number, client), daemon=True).start()

    def _serve(self, number: int, client: socket.socket) -> None:
        try:
            with self._wrapped(number, client) as connection:
                while self._converse(number, connection):
                    pass
        except OSError:
            pass
        finally:
            with self._changes:
                del self._open[number]
                self._changes.notify_all()

    def _wrapped(self, number: int, client: socket.socket) -> socket.socket:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return client
        try:
            wrapped = self._tls.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            with self._changes:
                self.refused_handshakes += 1
            raise
        self._open[number] = wrapped
        return wrapped

    def _converse(self, number: int, connection: socket.socket) -> bool:
        """Treat one request; tell whether the connection goes on."""
        first = connection.recv(1)
        if not first:
            return False
        with self._changes:
            script = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        limit = script.reads if isinstance(script, Step) else None
        request = SeenRequest(_read(connection, first, limit), number)
        with self._changes:
            self.requests.append(request)
            self._changes.notify_all()
        step = script if isinstance(script, Step) else script(request)
        _send(step, connection)
        with self._changes:
            self.answered += 1
            self._changes.notify_all()
        return _end(step, connection)


def _read(connection: socket.socket, first: bytes, limit: int | None) -> bytes:
    """Return the request that begins with *first*, or its first *limit* bytes."""
    content = bytearray(first)
    wanted = limit
    while wanted is None or len(content) < wanted:
        some = connection.recv(1 << 20 if limit is None else limit - len(content))
        if not some:
            raise ConnectionError("the client has closed within its request")
        content += some
        if wanted is None:
            wanted = _length(content)
    return bytes(content)


def _length(request: bytearray) -> int | None:
    """Return how long *request* will be; ``None`` while its head is not whole."""
    start, end, _ = request.partition(b"\r\n\r\n")
    if not end:
        return None
    lengths = [line.split(b":")[1] for line in start.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return len(start) + len(end) + int(lengths[0] if lengths else 0)


def _send(step: Step, connection: socket.socket) -> None:
    for place, piece in enumerate(step.pieces):
        if place and step.pause:
            time.sleep(step.pause)
        connection.sendall(piece)


def _end(step: Step, connection: socket.socket) -> bool:
    """Do what comes after the answer; tell whether the connection goes on."""
    time.sleep(step.delay)
    if step.afterwards == "hang":
        _wait_for_end(connection)
    if step.afterwards == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return step.afterwards == "keep"


def _wait_for_end(connection: socket.socket) -> None:
    """Wait until the client has closed, and read nothing meanwhile: what it sends on piles up on its side."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll()


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already
        end.shutdown(socket.SHUT_RDWR)


# Answers, as bytes ----------------------------------------------------------------------------------------------------


def head(status: int = 200, *headers: str) -> bytes:
    """Return a status line and *headers*, down to the empty line."""
    reason = responses.get(status, "Unknown")
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *headers, "", ""]).encode("latin-1")


def message(
    body: Mapping[str, Any] | bytes,
    status: int = 200,
    *headers: str,
    crc32: int | bool = True,
    length: int | None = None,
) -> bytes:
    """Return a whole HTTP answer.

    Args:
        body: A JSON object, or the bytes themselves.
        status: Of HTTP.
        headers: Further ones, such as ``Connection: close``.
        crc32: The checksum to tell; ``True`` for the right one, ``False`` for none.
        length: The length to tell; ``None`` for the right one.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = ["Content-Type: application/x-amz-json-1.0", "x-amzn-RequestId: r-1"]
    lines.append(f"Content-Length: {len(content) if length is None else length}")
    if crc32 is not False:
        lines.append(f"x-amz-crc32: {zlib.crc32(content) if crc32 is True else crc32}")
    return head(status, *lines, *headers) + content


# Steps ----------------------------------------------------------------------------------------------------------------


def whole(content: bytes) -> Step:
    """Send *content* as it is, and keep the connection."""
    return Step((content,))


def answer(
    body: Mapping[str, Any] | bytes,
    status: int = 200,
    *headers: str,
    crc32: int | bool = True,
    length: int | None = None,
) -> Step:
    """Send one whole answer and keep the connection; see :func:`message`."""
    return whole(message(body, status, *headers, crc32=crc32, length=length))


def refusal(code: str, status: int = 400, *headers: str, **details: Any) -> Step:
    """Refuse as the engine does, with an error of its namespace."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": f"refused: {code}", **details}
    return answer(body, status, *headers)


def chunked(body: Mapping[str, Any], *, size: int = 7, crc32: int | bool = True, closed: bool = True) -> Step:
    """Send *body* in chunks of *size* bytes, without the last chunk where it is not *closed*."""
    content = json.dumps(body).encode()
    lines = ["Transfer-Encoding: chunked"]
    if crc32 is not False:
        lines.append(f"x-amz-crc32: {zlib.crc32(content) if crc32 is True else crc32}")
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return whole(head(200, *lines) + chunks + (b"0\r\n\r\n" if closed else b""))


def cut(step: Step, at: int) -> Step:
    """Send the first *at* bytes of *step*, and close."""
    return replace(step, pieces=(b"".join(step.pieces)[:at],), afterwards="close")


def split(step: Step, *places: int) -> Step:
    """Send the same bytes in segments that end at *places*."""
    content = b"".join(step.pieces)
    bounds = [0, *sorted(place for place in places if 0 < place < len(content)), len(content)]
    return replace(step, pieces=tuple(content[a:b] for a, b in itertools.pairwise(bounds)))


def dripping(step: Step, pause: float) -> Step:
    """Send the same bytes one by one, *pause* seconds apart."""
    content = b"".join(step.pieces)
    return replace(step, pieces=tuple(content[at : at + 1] for at in range(len(content))), pause=pause)


def closing(step: Step = Step(), *, delay: float = 0.0) -> Step:
    """Close the connection *delay* seconds after *step*; without one, instead of an answer."""
    return replace(step, afterwards="close", delay=delay)


def resetting(step: Step = Step(), *, reads: int | None = None) -> Step:
    """Break the connection off by an RST after *step*, where *reads* is given after so many bytes of the request."""
    return replace(step, afterwards="reset", reads=reads)


def silent(step: Step = Step()) -> Step:
    """Say nothing any more after *step*, and keep the connection open."""
    return replace(step, afterwards="hang")
