"""What a hook's results must be: declared by the distribution that owns the hook, beside its specification.

:class:`common.core.Plugins` knows no type of another distribution. A ``hookspecs`` module of the family therefore ends
with ``RULES``, one :class:`HookRule` per collected hook; loading reads them together with the specifications.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Shape(Enum):
    """How the return value of one implementation becomes contributions."""

    ITEMS = "items"
    """An iterable; each item is one contribution."""
    VALUE = "value"
    """One object, or ``None`` for no contribution."""
    MAPPING = "mapping"
    """A mapping; it is one contribution, and its keys are claimed."""
    BOUND = "bound"
    """The implementation is not called while loading: it becomes a plain callable that takes the hook's arguments in
    the order of its specification, whichever of them the implementation itself names."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that one plugin alone may give, such as that of a health check."""

    kind: str
    """What bears the name, as error messages call it: ``"health check"``."""
    key: str = ""
    """The name; empty where there may be only one of its kind."""
    value: object = None
    """Two claims of one key agree where both have an equal value other than ``None``."""

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r}" if self.key else self.kind

    def agrees_with(self, other: "Claim") -> bool:
        """Whether both plugins say the same, so that neither has to give way."""
        return self.value is not None and self.value == other.value


def claims_nothing(_value: object) -> Iterable[Claim]:
    """Return no claims: the default of :attr:`HookRule.claims`."""
    return ()


@dataclass(frozen=True, slots=True)
class HookRule(Generic[T]):
    """How the results of one hook are checked and combined.

    >>> from common.core.hook_rules import Claim, HookRule, Shape
    >>> GREETINGS: HookRule[str] = HookRule(
    ...     "common_greetings",
    ...     wants="a greeting (str)",
    ...     accepts=lambda value: isinstance(value, str),
    ...     claims=lambda greeting: [Claim("greeting", greeting)],
    ... )
    >>> GREETINGS.accepts(7)
    False
    """

    hook: str
    """The name of the hook."""
    wants: str
    """One contribution in words, for error messages: ``"a HealthCheck (spec, check)"``."""
    accepts: Callable[[object], bool]
    """Whether an object is a contribution. An exception counts as no. May import what is costly inside."""
    shape: Shape = Shape.ITEMS
    claims: Callable[[T], Iterable[Claim]] = claims_nothing
    """The names that a contribution claims; a name claimed twice fails the later plugin and names both."""
    family_yields: bool = False
    """Where true, one contribution counts: that of a plugin from outside the family, of which there may be one, else
    the family's own."""
