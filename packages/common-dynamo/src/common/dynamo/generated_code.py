"""Functions made for one entity type from its declaration, as :mod:`dataclasses` makes them: one pass, no call for plain values.

The source is made of declarations alone, names and literals by their ``repr``; no stored or given value ever becomes a part of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from common.dynamo.value_classes import dataclass

__all__ = ["Constants", "Inline", "define"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """Source by which generated code handles the usual values of a field itself, without a call.

    Each text is a format of :attr:`names`, so literal braces are doubled; ``v`` is the value.
    """

    reads: str = ""
    """Expression for the Python value in the attribute value ``v``; empty: the decoder is called."""
    accepts: str = ""
    """Condition on the Python value ``v`` under which :attr:`writes` holds; else the encoder is called."""
    becomes: str = ""
    """Expression for ``v`` as it reads back, which :attr:`writes` takes; empty: as it is."""
    writes: str = ""
    """Expression for what is stored; empty: the encoder is called."""
    names: Mapping[str, Any] = field(default_factory=dict)
    """What the texts refer to."""


class Constants(dict[str, Any]):
    """What the source of one function refers to, each under a name of its own."""

    def taking(self, inline: Inline, number: int) -> Inline:
        """Return *inline* with its names filled in, after taking what they stand for; *number* tells it from others."""
        called = {name: f"{name}_{number}" for name in inline.names}
        self.update({called[name]: value for name, value in inline.names.items()})
        return Inline(
            reads=inline.reads.format(**called),
            accepts=inline.accepts.format(**called),
            becomes=inline.becomes.format(**called),
            writes=inline.writes.format(**called),
        )


def define(name: str, parameter: str, body: Sequence[str], constants: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return the function *name* of one *parameter*, made of the lines of *body*, which refer to *constants*."""
    source = "\n    ".join([f"def {name}({parameter}):", *body])
    namespace: dict[str, Any] = dict(constants)
    exec(compile(source, f"<{name} of an entity type>", "exec"), namespace)  # noqa: S102 - of declarations alone
    function: Callable[[Any], Any] = namespace[name]
    return function
