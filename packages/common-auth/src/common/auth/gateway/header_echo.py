"""What ``common auth probe`` needs behind a gateway: an application that tells which headers reached it."""

import json

from common.auth.gateway.asgi import Receive, Scope, Send

__all__ = ["MARKER", "MASK", "header_echo"]

MARKER = b"x-probe-marker"
"""The header by which a probe says what its own values contain."""
MASK = "***"
_SHORTEST_MARKER = 16


async def header_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request by the raw headers that arrived, in order: ``{"headers": [[name, value], ...]}``.

    A pure ASGI application. A value is shown only if the probe's marker, at least 16 characters, is in it, and is
    ``***`` otherwise: what a gateway adds, such as an assertion, goes back to no client. Take it down after the probe.
    """
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    headers = list(scope["headers"])
    markers = [value for name, value in headers if name.lower() == MARKER and len(value) >= _SHORTEST_MARKER]
    shown = [[name.decode("latin-1"), _shown(value, markers)] for name, value in headers]
    body = json.dumps({"headers": shown}).encode()
    length = str(len(body)).encode()
    content = [(b"content-type", b"application/json"), (b"content-length", length), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": content})
    await send({"type": "http.response.body", "body": body})


def _shown(value: bytes, markers: list[bytes]) -> str:
    return value.decode("latin-1") if any(marker in value for marker in markers) else MASK


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
