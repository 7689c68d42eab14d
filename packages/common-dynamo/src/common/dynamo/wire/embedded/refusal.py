"""The one internal exception of the embedded wire: a request that DynamoDB would refuse."""

from collections.abc import Mapping
from typing import Any

from common.dynamo.wire import Answer


class Refused(Exception):
    """A refusal, as the error body of the API; nothing was applied."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(code)
        self.body: Mapping[str, Any] = {"__type": code, "message": message, **members}

    def answer(self) -> Answer:
        """Return the refusal as an engine would send it."""
        return Answer(400, self.body)


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
