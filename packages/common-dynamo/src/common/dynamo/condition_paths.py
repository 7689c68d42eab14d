"""What conditions look at. Pure."""

from collections.abc import Iterator

from common.dynamo.requests import And, Condition, Not, Or, Path, Size

__all__ = ["attribute_names", "parts_of"]

_OPERANDS = ("path", "left", "right", "operand", "low", "high", "prefix", "member")


def parts_of(condition: Condition) -> Iterator[Condition]:
    """Walk over *condition* and every condition that it is made of."""
    yield condition
    if isinstance(condition, And | Or):
        for part in condition.parts:
            yield from parts_of(part)
    elif isinstance(condition, Not):
        yield from parts_of(condition.part)


def attribute_names(condition: Condition) -> Iterator[str]:
    """Yield the top-level attributes that *condition* looks at."""
    for part in parts_of(condition):
        for name in _OPERANDS:
            operand = getattr(part, name, None)
            path = operand.path if isinstance(operand, Size) else operand
            if isinstance(path, Path):
                yield str(path.parts[0])
        yield from (str(option.parts[0]) for option in getattr(part, "options", ()) if isinstance(option, Path))
