"""The types of ASGI 3, and the parts of its messages that the gateway's middleware touches."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from common.auth.gateway.raw_headers import IDENTITY_HEADERS, REQUEST_ID
from common.exceptions import to_problem

__all__ = [
    "ASGIApp",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "begins_answer",
    "problem_messages",
    "raw_path_of",
    "raw_target",
    "stamped",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_BEGINS_ANSWER = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


def raw_path_of(scope: Scope) -> bytes:
    """Return the path as it was sent, percent-encoded; the decoded one where the server does not tell, as ASGI permits."""
    raw = scope.get("raw_path")
    return raw if isinstance(raw, bytes) else str(scope.get("path", "")).encode("utf-8", "surrogatepass")


def raw_target(scope: Scope) -> bytes:
    """Return path and query as they were sent."""
    query = scope.get("query_string", b"")
    path = raw_path_of(scope)
    return path + b"?" + query if query else path


def begins_answer(message: Message) -> bool:
    """Tell whether *message* is the one that has the headers of an answer."""
    return message["type"] in _BEGINS_ANSWER


def stamped(message: Message, request_id: str) -> Message:
    """Return *message* with the request id as its only identity header: no assertion goes back to a client."""
    headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in IDENTITY_HEADERS]
    return {**message, "headers": [*headers, (REQUEST_ID, request_id.encode("ascii"))]}


def problem_messages(error: BaseException, request_id: str) -> tuple[Message, Message]:
    """Return the two messages of an answer with problem details (RFC 9457)."""
    problem = to_problem(error, request_id=request_id)
    body = json.dumps(problem.body, separators=(",", ":")).encode("ascii")
    headers = {**problem.headers, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    start = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()],
    }
    return stamped(start, request_id), {"type": "http.response.body", "body": body}
