"""Wires: how a request value reaches an engine and its answer comes back.

A wire executes *one attempt* and nothing else. What an answer means, whether to try again, how long, and what is
measured, is decided above it, the same way for all three: ``embedded`` (SQLite, in process), ``boto`` (any boto3
client) and ``direct`` (signs and speaks HTTP itself).
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from common.dynamo.requests import Request
from common.dynamo.value_classes import dataclass

__all__ = ["Answer", "AnswerLost", "NotSent", "Wire", "WireFailure"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said, in the shape of the DynamoDB API.

    A body with status 200 is the operation's output (``Item``, ``Attributes``, ``Items``, ``LastEvaluatedKey``,
    ``ConsumedCapacity`` — always a list for batches and transactions, a mapping otherwise). Any other status is an
    error body: ``__type`` is the bare error code such as ``ConditionalCheckFailedException``, ``message`` its text,
    with ``Item`` for a failed condition and ``CancellationReasons`` for a cancelled transaction. Attribute values have
    the form of :mod:`common.dynamo.requests`.
    """

    status: int
    body: Mapping[str, Any]
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_attempts: int = 0
    """Attempts that the client made by itself before this answer; above zero only for a foreign boto3 client."""


class WireFailure(Exception):
    """An attempt that brought no answer. Internal: the layer above turns it into an error of the hierarchy."""


class NotSent(WireFailure):
    """Nothing reached the engine: certainly not applied."""


class AnswerLost(WireFailure):
    """The request, or part of it, was sent and no whole answer came back: it may have been applied, or still may."""


class Wire(Protocol):
    """One way to an engine. Implementations are thread-safe and fork-safe."""

    @property
    def name(self) -> str:
        """``embedded``, ``boto`` or ``direct``."""
        ...

    @property
    def reason(self) -> str:
        """Why this wire was chosen, in one line for the operator."""
        ...

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the engine; ``None`` in process."""
        ...

    @property
    def region(self) -> str | None: ...

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, within *timeout* seconds.

        Raises:
            NotSent: Nothing reached the engine.
            AnswerLost: The outcome is not known.
        """
        ...

    def close(self) -> None:
        """Release sockets, files and threads. The wire is not used again."""
        ...
