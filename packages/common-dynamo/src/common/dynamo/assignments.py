"""SET clauses that differ in their values alone, as storing whole models makes them. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.dynamo.requests import AttributeValue, Constant, IfNotExists, Path, SetValue
from common.dynamo.value_classes import dataclass

__all__ = ["AssignmentForm", "Assignments"]


@dataclass(frozen=True, slots=True, eq=False)
class AssignmentForm:
    """What many SET clauses have in common: the paths, while each has values of its own. Compared by identity."""

    paths: tuple[Path, ...]
    only_if_absent: frozenset[Path] = frozenset()
    """Those that are assigned only where there is no such attribute."""


class Assignments(Sequence[tuple[Path, SetValue]]):
    """A SET clause of constants: a form and one attribute value per path. Equal to the tuple of the same assignments.

    Storing a whole model makes the same clause each time; so the pairs are made only for those who look at them.
    """

    __slots__ = ("form", "values")

    def __init__(self, form: AssignmentForm, values: tuple[AttributeValue, ...]) -> None:
        self.form = form
        self.values = values

    def _pairs(self) -> tuple[tuple[Path, SetValue], ...]:
        kept = self.form.only_if_absent
        return tuple(
            [
                (path, IfNotExists(path, Constant(value)) if path in kept else Constant(value))
                for path, value in zip(self.form.paths, self.values, strict=True)
            ]
        )

    def __iter__(self) -> Iterator[tuple[Path, SetValue]]:
        return iter(self._pairs())

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, position: Any) -> Any:
        return self._pairs()[position]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Assignments | tuple):
            return NotImplemented
        return self._pairs() == (other if isinstance(other, tuple) else other._pairs())

    def __hash__(self) -> int:
        return hash(self._pairs())

    def __repr__(self) -> str:
        return repr(self._pairs())
