"""Key templates: injective, and in the order of their values.

A template is text with components in braces, ``INV#{tenant}``. In a component the characters U+0000 to U+0024 are written
as ``$`` and two lower-case hex digits. So ``#`` never occurs inside one, ends it, and sorts below all content; the byte
order of keys is the order of the tuples they were made of, component by component (DynamoDB sorts text by its UTF-8
bytes, which is the order of code points).

============================  ==================================================================================
component                     written as
============================  ==================================================================================
``{name}`` text, enum, UUID   the escaped text
``{n:10}`` int                a sign and 10 digits; negative ones complemented, so that they sort below and in order
``{price:12.2}`` Decimal      the same over 12 integer digits and 2 decimals, without a point
``{at}`` datetime             UTC, ``2026-11-24T08:00:00.000000Z``; aware ones only
``{day}`` date                ``2026-11-24``
``{flag}`` bool               ``0`` or ``1``
============================  ==================================================================================

>>> BoundTemplate.bind("INV#{tenant}#{number:4}", {"tenant": str, "number": int}).build(("a#b", -7))
'INV#a$23b#09992'
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from string import Formatter
from typing import Any, Final

from common.dynamo.generated_code import Inline
from common.dynamo.key_components import Component, ComponentEncoder, component_encoder, inline_component, is_spec
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError, FieldError, InvalidInput

__all__ = ["BoundTemplate", "Key", "Template", "templates_overlap"]

PARTITION_LIMIT: Final = 2048
"""Bytes of a partition key, at most (Developer Guide, "Quotas")."""
SORT_LIMIT: Final = 1024
"""Bytes of a sort key, at most."""
SHARDS_LIMIT: Final = 100
"""Shards of a key, at most: each of them is a round trip of every page."""


@dataclass(frozen=True)
class Template:
    """A parsed template: literals around components, ``literals[0] components[0] literals[1] ...``."""

    text: str
    literals: tuple[str, ...] = field(init=False, repr=False)
    components: tuple[Component, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_text(self.text)
        literals: list[str] = [""]
        components: list[Component] = []
        try:
            for literal, name, spec, conversion in Formatter().parse(self.text):
                literals[-1] += literal
                if name is not None:
                    components.append(_component(self.text, name, spec or "", conversion))
                    literals.append("")
        except ValueError as error:
            raise ConfigurationError(f"Key template {self.text!r} cannot be read: {error}.") from None
        object.__setattr__(self, "literals", tuple(literals))
        object.__setattr__(self, "components", tuple(components))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it is made of, in order, each once."""
        return tuple(dict.fromkeys(component.field for component in self.components))


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise ConfigurationError(f"A key template must be a text such as 'NOTE#{{id}}', not {type(text).__name__}.")
    if not text:
        raise ConfigurationError("A key template is empty; write at least a literal such as 'PROFILE'.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("A key template holds a lone surrogate, which is no text.") from None


def _component(text: str, name: str, spec: str, conversion: str | None) -> Component:
    if not name.isidentifier() or conversion:
        raise ConfigurationError(f"Key template {text!r}: {{{name}}} is not the name of a field.")
    if spec and not is_spec(spec):
        raise ConfigurationError(f"Key template {text!r}: {spec!r} is neither a width nor 'digits.decimals'.")
    return Component(name, spec)


@dataclass(frozen=True)
class Key:
    """The templates of a partition key and a sort key.

    >>> Key("INV#{tenant}", "N#{number:10}").fields
    ('tenant', 'number')
    >>> Key("LO#{asset}", "{price:12.2}", shards=8).stored_partition.literals
    ('LO#', '#', '')
    """

    partition: Template
    sort: Template
    shards: int

    def __init__(self, partition: str, sort: str, *, shards: int = 1) -> None:
        """Take both templates.

        Args:
            partition: Of the partition key.
            sort: Of the sort key.
            shards: Over how many partitions the items are spread that would share one, by a hash of their primary key
                (:mod:`common.dynamo.shards`); 1 to 100. Reads cost a round trip for each. On an index it may grow
                while there are items, from 2 on, and must not shrink; on a table it never changes.

        Raises:
            ConfigurationError: A template cannot be read, or *shards* is out of range.
        """
        if not isinstance(shards, int) or isinstance(shards, bool) or not 1 <= shards <= SHARDS_LIMIT:
            raise ConfigurationError(f"Key {partition!r}: shards is a number from 1 to {SHARDS_LIMIT}.")
        object.__setattr__(self, "partition", Template(partition))
        object.__setattr__(self, "sort", Template(sort))
        object.__setattr__(self, "shards", shards)

    @property
    def partition_fields(self) -> tuple[str, ...]:
        """The fields of the partition template, each once."""
        return self.partition.fields

    @property
    def components(self) -> tuple[Component, ...]:
        """The components of both templates, partition first."""
        return self.partition.components + self.sort.components

    @property
    def stored_partition(self) -> Template:
        """What partition keys are made by: the partition template, and the shard where there are several."""
        return self.partition if self.shards == 1 else Template(f"{self.partition.text}#{{_shard}}")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of both templates, partition first, each once: the order of a key tuple."""
        return tuple(dict.fromkeys(self.partition.fields + self.sort.fields))

    @property
    def text(self) -> str:
        """Both templates, as errors and spans show them."""
        return f"{self.partition_text} / {self.sort.text}"

    @property
    def partition_text(self) -> str:
        """The partition template in words, with its shards."""
        return self.partition.text if self.shards == 1 else f"{self.partition.text} in {self.shards} shards"

    @property
    def sort_text(self) -> str:
        """The sort template."""
        return self.sort.text

    @property
    def shape(self) -> str:
        """Both templates without the names of their components: types of one shape would share keys."""
        return f"{'{}'.join(self.stored_partition.literals)} / {'{}'.join(self.sort.literals)}"


# Templates over typed fields ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoundTemplate:
    """A template whose components know their types; builds keys and the bounds of key ranges."""

    template: Template
    fields: tuple[str, ...]
    """One per component, in order; a field may occur twice."""
    encoders: tuple[ComponentEncoder, ...]
    make: Callable[[Sequence[Any]], str]
    """Makes the text of encodable values."""
    limit: int
    """Bytes of a key made by it, at most."""
    inlines: tuple[Inline | None, ...] = ()
    """How generated code makes each component; see :func:`inline_component`."""

    @classmethod
    def bind(cls, template: Template | str, kinds: Mapping[str, type], *, limit: int = SORT_LIMIT) -> "BoundTemplate":
        """Bind *template* to the types of its fields.

        Args:
            template: The template, or its text.
            kinds: For each field its type without ``None``: str, int, Decimal, bool, datetime, date, UUID or an
                enumeration of texts.
            limit: Bytes of a key made by it, at most.

        Raises:
            ConfigurationError: A field is unknown, cannot be part of a key, or keys would not be injective.
        """
        template = Template(template) if isinstance(template, str) else template
        encoders: list[ComponentEncoder] = []
        inlines: list[Inline | None] = []
        for position, component in enumerate(template.components):
            try:
                if component.field not in kinds:
                    raise ValueError("the model has no such field")
                encoders.append(component_encoder(component, kinds[component.field]))
                inlines.append(inline_component(component, kinds[component.field]))
                _check_end(component, template.literals[position + 1], last=position + 1 == len(template.components))
            except ValueError as error:
                raise ConfigurationError(f"Key template {template.text!r}, {{{component.field}}}: {error}.") from None
        fields = tuple(component.field for component in template.components)
        return cls(template, fields, tuple(encoders), _maker(template.literals, encoders), limit, tuple(inlines))

    def parts(self) -> Iterator[tuple[str, ComponentEncoder, Inline | None, str]]:
        """Yield each component: its field, its encoder, how generated code makes it, and the literal after it."""
        return zip(self.fields, self.encoders, self.inlines, self.template.literals[1:], strict=True)

    def build(self, values: Sequence[Any]) -> str:
        """Return the key of *values*, one per entry of :attr:`fields`.

        Raises:
            InvalidInput: A value is missing, empty, of another type or too wide, or the key is too long.
        """
        try:
            text = self.make(values)
        except (TypeError, ValueError):
            raise self._refusal(values) from None
        if len(text) * 4 > self.limit and len(text.encode()) > self.limit:
            raise _invalid("", "key_too_long", f"The key of {self.template.text!r} is over {self.limit} bytes.")
        return text

    def _refusal(self, values: Sequence[Any]) -> InvalidInput:
        for name, encode, value in zip(self.fields, self.encoders, values, strict=False):
            try:
                if value is None:
                    raise ValueError("is missing; a key needs it")
                encode(value)
            except UnicodeEncodeError:
                return _invalid(name, "invalid_key", f"{name} holds a lone surrogate, which is no text.")
            except ValueError as error:
                return _invalid(name, "invalid_key", f"{name} {error}.")
            except TypeError as error:
                return _invalid(name, "invalid_key", f"{name} must be {error}, not {type(value).__name__}.")
        return _invalid(
            "", "invalid_key", f"The key {self.template.text!r} has {len(self.fields)} parts; {len(values)} were given."
        )

    def prefix(self, values: Sequence[Any]) -> str:
        """Return what all keys with these leading *values* begin with, up to the next component.

        Raises:
            InvalidInput: A value is missing, empty, of another type or too wide.
        """
        if len(values) >= len(self.fields):
            return self.build(values)
        if not values:
            return self.template.literals[0]
        return self._head(len(values)).build(values)

    def _head(self, count: int) -> "BoundTemplate":
        encoders = self.encoders[:count]
        make = _maker(self.template.literals[: count + 1], encoders)
        return BoundTemplate(self.template, self.fields[:count], encoders, make, self.limit)

    def bounds(self, values: Sequence[Any], low: Any, high: Any) -> tuple[str, str | None]:
        """Return the lowest and highest key whose next component lies from *low* to *high*, both included.

        Args:
            values: The leading components.
            low: The least value of the next component; ``None`` leaves that end open.
            high: The greatest value of it; ``None`` leaves that end open.

        Returns:
            Both ends, included. The upper one is ``None`` where the template has no literal to end at.
        """
        count = len(values)
        if count >= len(self.fields):
            raise _invalid("", "invalid_key", f"The key {self.template.text!r} has no component left to range over.")
        prefix = self.prefix(values)
        lowest = prefix if low is None else self._head(count + 1)._up_to([*values, low])
        if high is None:
            return lowest, successor(prefix)
        highest = self._head(count + 1)._up_to([*values, high])
        # What follows the component begins with "#", so "$" ends it; "$" alone is never part of a key.
        return lowest, highest if count + 1 == len(self.fields) and not self.template.literals[-1] else highest + "$"

    def _up_to(self, values: Sequence[Any]) -> str:
        make = _maker((*self.template.literals[: len(values)], ""), self.encoders)
        return BoundTemplate(self.template, self.fields, self.encoders, make, self.limit).build(values)


def _maker(literals: Sequence[str], encoders: Sequence[ComponentEncoder]) -> Callable[[Sequence[Any]], str]:
    """Return what makes a key's text of values; keys of none or one component, which are most, need no loop."""
    if not encoders:
        (literal,) = literals
        return lambda values: literal
    if len(encoders) == 1:
        (head, tail), (encode,) = literals, encoders
        return lambda values: head + encode(values[0]) + tail
    form = "%s".join(literal.replace("%", "%%") for literal in literals)
    each = tuple(encoders)
    return lambda values: form % tuple([encode(value) for encode, value in zip(each, values, strict=True)])


def _check_end(component: Component, following: str, *, last: bool) -> None:
    """A component of varying length must be ended by ``#`` or the end of the key, else two tuples share a key."""
    if component.spec or (last and not following) or following.startswith("#"):
        return
    raise ValueError("a component of varying length must be followed by '#' or end the key")


def successor(prefix: str) -> str | None:
    """Return a text above every text with *prefix*, and below what sorts after them."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else None


def _invalid(field_name: str, code: str, message: str) -> InvalidInput:
    pointer = f"/{field_name}" if field_name else ""
    return InvalidInput(message, errors=[FieldError(pointer, code, message)])


# Overlap --------------------------------------------------------------------------------------------------------------


def templates_overlap(one: Template, other: Template) -> bool:
    """Tell whether some text could be made by both templates.

    Components hold no ``#``, so both fall into the same number of segments or never meet; two segments can meet when
    what they begin and end with can. The answer may be yes for templates that only types keep apart.
    """
    left, right = _segments(one), _segments(other)
    return len(left) == len(right) and all(map(_segments_overlap, left, right))


def _segments(template: Template) -> list[str]:
    """The template cut at ``#``, with each component as one NUL."""
    return "\0".join(template.literals).split("#")


def _segments_overlap(left: str, right: str) -> bool:
    if "\0" not in left and "\0" not in right:
        return left == right
    heads, tails = (left.split("\0")[0], right.split("\0")[0]), (left.split("\0")[-1], right.split("\0")[-1])
    if "\0" not in left or "\0" not in right:
        literal, (head, tail) = (left, (heads[1], tails[1])) if "\0" not in left else (right, (heads[0], tails[0]))
        return len(literal) > len(head) + len(tail) and literal.startswith(head) and literal.endswith(tail)
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
        tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    )
