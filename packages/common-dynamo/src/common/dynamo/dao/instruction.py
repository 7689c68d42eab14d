"""A caller's request as the ledger keeps it: who, under which id, asking for what."""

from datetime import datetime

from common.core.validation import normalise_user_name, request_id_is_fresh, require_request_id, sortable_request_id
from common.dynamo.dao.input_hash import HashedValue, input_hash
from common.dynamo.value_classes import dataclass
from common.exceptions import FieldError, InvalidInput

__all__ = ["Instruction", "stale_request_id"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One request for a change. Made once per call: its time and hash are the same on every attempt."""

    user: str
    """Normalised user name; empty for what belongs to no account."""
    id: str
    """The request id as ULID text; a UUIDv7 is written as the ULID of the same 128 bits, so that all ids sort by time."""
    input: str
    """Hash of what the caller asked for."""
    at: datetime
    is_fresh: bool
    """Whether the id's time lies within 24 hours of the clock. A stale id can only be a repeat: it is looked up first."""

    @classmethod
    def of(cls, user: str | None, request_id: str, at: datetime, *asked: HashedValue) -> "Instruction":
        """Check and normalise a request.

        Args:
            user: Whose account; ``None`` where it is nobody's.
            request_id: As the caller gave it.
            at: The service's time.
            asked: What the caller asks for: the kind of request and all that came with it; see
                :func:`common.dynamo.dao.input_hash.input_hash`.

        Raises:
            InvalidInput: *user* is no user name, or *request_id* neither a ULID nor a UUIDv7.
        """
        name = "" if user is None else normalise_user_name(user, pointer="/user")
        require_request_id(request_id, pointer="/request_id")
        fresh = request_id_is_fresh(request_id, at)
        return cls(name, sortable_request_id(request_id), input_hash(*asked), at, fresh)


def stale_request_id() -> InvalidInput:
    """Return the error for an id that is more than 24 hours off and belongs to no request so far. Nothing was written."""
    message = "The request id is more than 24 hours off and was never used. Make a new id for a new request."
    return InvalidInput(errors=(FieldError("/request_id", "request_id_stale", message),))
