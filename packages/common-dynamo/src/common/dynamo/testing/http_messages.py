"""HTTP/1.1 messages over asyncio streams, as far as the fault proxy needs them: bodies with a length, no chunks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Message", "read_message"]


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer."""

    start: str
    """The request line or the status line."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    body: bytes = b""

    @property
    def target(self) -> str:
        """The path of a request."""
        return self.start.split(" ")[1]

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.start.split(" ")[0]

    def encode(self) -> bytes:
        """Return the message as it goes over the wire."""
        headers = {**self.headers, "content-length": str(len(self.body))}
        lines = [self.start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message; ``None`` when the other side has closed.

    Raises:
        asyncio.IncompleteReadError: It closed in the middle of a message.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Message(start, headers, body)
