"""What a mutation of the ledger answers: applied, or what is known about a request whose answer was lost."""

from enum import StrEnum
from typing import Generic, TypeVar

from common.dynamo.value_classes import dataclass

__all__ = ["Applied", "Resolution", "ResolutionState"]

E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Applied(Generic[E_co]):
    """The request has been applied, exactly once.

    A refusal is raised (:class:`common.dynamo.exceptions.LedgerRefusal`), so whoever holds this value has a yes.
    """

    entry: E_co
    """What was written; of an order, a profile or a price its present state when *replayed*."""
    replayed: bool
    """Whether an earlier call with the same request id had written it; nothing was written by this one."""


class ResolutionState(StrEnum):
    """What is known about a request id."""

    APPLIED = "applied"
    """Done, exactly once."""
    ABSENT = "absent"
    """Not done so far; a copy of the request that is still on its way may land later."""
    FENCED = "fenced"
    """Not done, and it never will be: a tombstone stands under the id."""


@dataclass(frozen=True, slots=True)
class Resolution(Generic[E_co]):
    """The answer to "what became of this request?"."""

    state: ResolutionState
    entry: E_co | None = None
    """What the request wrote; ``None`` unless *state* is ``APPLIED``."""
