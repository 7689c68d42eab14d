"""A gate in front of the server that makes a client open many connections at once: ``python -m peer_benchmark.gate URL``.

It passes requests on, one at a time, and their answers back. Told ``HOLD n`` on a connection, it keeps the requests that come
until *n* wait at once, or until none has come for a second, and lets them all through together. Prints its port.
"""

import asyncio
import sys
from urllib.parse import urlsplit

QUIET = 1.0


class Gate:
    """One server behind it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._wanted = 1
        self._waiting = 0
        self._open = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client."""
        try:
            while (head := await _head(reader)) is not None:
                if head.startswith(b"HOLD "):
                    self._wanted = int(head[5:])
                    continue
                body = await reader.readexactly(_length(head))
                await self._wait()
                writer.write(await self._ask(head + body))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _wait(self) -> None:
        if self._wanted <= 1:
            return
        self._waiting += 1
        gate, seen = self._open, self._waiting
        while not gate.is_set():
            if self._waiting >= self._wanted:
                self._let_through()
                break
            try:
                await asyncio.wait_for(gate.wait(), QUIET)
            except TimeoutError:
                if self._waiting == seen and not gate.is_set():
                    self._let_through()
                seen = self._waiting

    def _let_through(self) -> None:
        self._open.set()
        self._open, self._waiting = asyncio.Event(), 0

    async def _ask(self, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(message)
            head = await _head(reader)
            if head is None:
                raise ConnectionError("The server hung up.")
            return head + await reader.readexactly(_length(head))
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    """Return the head of a message, or a line that begins with HOLD; ``None`` at the end."""
    try:
        first = await reader.readuntil(b"\n")
        return first if first.startswith(b"HOLD ") else first + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


async def run(url: str) -> None:
    """Serve until cancelled."""
    parts = urlsplit(url)
    gate = Gate(parts.hostname or "127.0.0.1", parts.port or 80)
    server = await asyncio.start_server(gate.serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
