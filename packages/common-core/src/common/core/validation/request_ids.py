"""Request ids: the caller's idempotency keys, ULID or UUIDv7 text."""

from datetime import datetime, timedelta
from typing import Final

from common.core.utils.identifiers import identifier_time, is_identifier, to_ulid
from common.core.validation.refusals import invalid

REQUEST_ID_TOLERANCE: Final = timedelta(hours=24)
"""How far the time in a request id may lie from the service's clock, either way."""


def require_request_id(request_id: str, *, pointer: str = "") -> str:
    """Return *request_id* unchanged.

    Only canonical text passes (ULID in upper case, UUIDv7 in lower case with hyphens), so that one id has one text.

    Raises:
        InvalidInput: *request_id* is neither, or its time lies beyond the year 9999.
    """
    if isinstance(request_id, str) and is_identifier(request_id):
        return request_id
    raise invalid("request_id", "Use a ULID (26 upper-case characters) or a UUIDv7 (36 lower-case ones).", pointer)


def request_id_time(request_id: str) -> datetime:
    """Return when the caller says *request_id* was made: UTC, to the millisecond.

    Raises:
        InvalidInput: *request_id* is neither a ULID nor a UUIDv7.
    """
    return identifier_time(require_request_id(request_id))


def request_id_is_fresh(request_id: str, now: datetime, *, tolerance: timedelta = REQUEST_ID_TOLERANCE) -> bool:
    """Tell whether the time in *request_id* lies within *tolerance* of *now*, both ends included.

    A stale id is not an error by itself: whoever gets False looks for the request by a consistent read first.

    Args:
        request_id: ULID or UUIDv7.
        now: The service's time, aware; a naive one is a ``TypeError``.
        tolerance: Distance allowed in either direction.

    Raises:
        InvalidInput: *request_id* is neither a ULID nor a UUIDv7.
    """
    return abs(now - request_id_time(request_id)) <= tolerance


def sortable_request_id(request_id: str, *, pointer: str = "") -> str:
    """Return the ULID text of the same 128 bits, so that ids of both kinds sort by time in one key space.

    Raises:
        InvalidInput: *request_id* is neither a ULID nor a UUIDv7.
    """
    return to_ulid(require_request_id(request_id, pointer=pointer))
