"""Problem details for HTTP APIs (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.exceptions._errors import CommonError

PROBLEM_CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """An HTTP answer that reports an error: status, headers and the members of its JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, object]


def to_problem(error: BaseException, *, instance: str | None = None, request_id: str | None = None) -> Problem:
    """Turn *error* into problem details that tell a client what it may know, and nothing else.

    An error from outside the family becomes the root's answer: status 500, code ``internal_error``.

    Args:
        error: What was raised.
        instance: URI reference of this occurrence, usually the request's path.
        request_id: Shown as the extension member ``request_id``, so that a client can quote it.

    >>> to_problem(ZeroDivisionError("secret")).body["detail"]
    'The request could not be completed.'
    """
    known = error if isinstance(error, CommonError) else CommonError()
    body: dict[str, object] = {
        "type": f"urn:common:error:{known.code}",
        "title": known.code.replace("_", " ").capitalize(),
        "status": known.status,
        "detail": known.public_message,
        "code": known.code,
        "retryable": known.retryable,
    }
    if instance is not None:
        body["instance"] = instance
    if request_id is not None:
        body["request_id"] = request_id
    body.update((name, value) for name, value in known.extensions().items() if name not in body)
    return Problem(known.status, {"Content-Type": PROBLEM_CONTENT_TYPE, **known.headers()}, body)
