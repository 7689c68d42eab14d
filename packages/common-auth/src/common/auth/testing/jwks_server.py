"""An issuer on the loopback address that publishes keys, for tests of whoever fetches them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from common.auth.security.keys import KeyRing
from common.auth.security.signing_keys import SigningKey
from common.auth.testing import ISSUER

__all__ = ["Answer", "JwksServer", "answering", "jwks_document", "public_jwk", "publishing", "serving"]

Answer = Callable[[BaseHTTPRequestHandler], None]
"""Writes the answer to one request."""


def public_jwk(key: SigningKey, **changes: object) -> dict[str, Any]:
    """Return the public members of *key*, with *changes* made to them."""
    published: Any = KeyRing([key], issuer=ISSUER, algorithms=[key.alg]).public_jwks()["keys"]
    return {**published[0], **changes}


def jwks_document(*keys: SigningKey, members: tuple[object, ...] = ()) -> bytes:
    """Return the JSON of a set of *members*, as they are, and of *keys*."""
    return json.dumps({"keys": [*members, *(public_jwk(key) for key in keys)]}).encode()


def answering(body: bytes, status: int = 200, **headers: Any) -> Answer:
    """Answer by *body*; a header's name is written with underscores, such as ``Cache_Control``."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def publishing(*keys: SigningKey, **headers: Any) -> Answer:
    """Answer by the set of *keys*."""
    return answering(jwks_document(*keys), **headers)


class JwksServer(ThreadingHTTPServer):
    """Publishes *keys* until :attr:`answer` is replaced, and counts who asks.

    >>> from common.auth.security.remote_jwks import JwksEndpoint
    >>> with serving(JwksServer(SigningKey.generate("EdDSA", kid="k1"))) as issuer:
    ...     [jwk["kid"] for jwk in JwksEndpoint(issuer.url).fetch().document["keys"]]
    ['k1']
    """

    daemon_threads = True

    def __init__(self, *keys: SigningKey) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Answer = publishing(*keys)
        self.asked = 0
        """Requests so far."""

    @property
    def url(self) -> str:
        """Where the set is."""
        return f"http://127.0.0.1:{self.server_port}/jwks.json"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: JwksServer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: JwksServer) -> Iterator[JwksServer]:
    """Serve on a thread until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
