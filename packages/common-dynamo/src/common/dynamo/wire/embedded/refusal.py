"""The one internal exception of the embedded wire: a request that DynamoDB would refuse."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.dynamo.wire import Answer


class Refused(Exception):
    """A refusal, as the error body of the API; nothing was applied."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(code)
        self.body: Mapping[str, Any] = {"__type": code, "message": message, **members}

    def answer(self) -> Answer:
        """Return the refusal as an engine would send it."""
        return Answer(400, self.body)


class SchemaMismatch(Refused):
    """A key that does not fit its table: in a transaction, a reason for its cancellation."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def invalid(message: str) -> Refused:
    """Return the refusal of a request that is wrong in itself; *message* holds no attribute value."""
    return Refused("ValidationException", message)


def condition_failed(stored: Mapping[str, Any] | None) -> Refused:
    """Return the refusal of a write whose condition did not hold, with the *stored* item (ALL_OLD)."""
    members = {} if stored is None else {"Item": stored}
    return Refused("ConditionalCheckFailedException", "The conditional request failed", **members)


def not_found(table: str) -> Refused:
    """Return the refusal of a request on a table that does not exist."""
    return Refused("ResourceNotFoundException", f"Requested resource not found: Table: {table} not found")


_REASONS: Final = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ValidationException": "ValidationError",
}


def reason(refusal: Refused) -> Mapping[str, Any]:
    """Return *refusal* as the reason that one part of a transaction gives for its cancellation."""
    found = {"Code": _REASONS[refusal.body["__type"]], "Message": refusal.body["message"]}
    if "Item" in refusal.body:
        found["Item"] = refusal.body["Item"]
    return found


def cancelled(reasons: Sequence[Mapping[str, Any]]) -> Refused:
    """Return the refusal of a transaction, with one reason per part, ``None`` for parts that would have done."""
    codes = ", ".join(each["Code"] for each in reasons)
    return Refused(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=list(reasons),
    )
