"""What an engine answers when it is made to refuse: the error bodies of injected faults."""

from random import Random

from common.dynamo.wire import Answer

_MESSAGE = "injected"


def throttled(chance: Random, parts: int) -> Answer:
    """Return a throttle, in one of the forms that DynamoDB has.

    Args:
        chance: Chooses the form.
        parts: How many parts the request has as a transaction; 0 if it is none.
    """
    if parts and chance.random() < 0.5:
        return _cancelled("ThrottlingError", chance.randrange(parts), parts)
    code = chance.choice(("ThrottlingException", "ProvisionedThroughputExceededException"))
    return Answer(400, {"__type": code, "message": _MESSAGE})


def conflicting(chance: Random, parts: int) -> Answer:
    """Return a conflict with another transaction; *parts* as in :func:`throttled`."""
    if parts:
        return _cancelled("TransactionConflict", chance.randrange(parts), parts)
    return Answer(400, {"__type": "TransactionConflictException", "message": _MESSAGE})


def failed(chance: Random) -> Answer:
    """Return an internal error, or that the service is not available."""
    if chance.random() < 0.5:
        return Answer(500, {"__type": "InternalServerError", "message": _MESSAGE})
    return Answer(503, {"__type": "ServiceUnavailable", "message": _MESSAGE})


def _cancelled(code: str, position: int, parts: int) -> Answer:
    reasons = [{"Code": "None"} for _ in range(parts)]
    reasons[position] = {"Code": code, "Message": _MESSAGE}
    body = {"__type": "TransactionCanceledException", "message": _MESSAGE, "CancellationReasons": reasons}
    return Answer(400, body)
