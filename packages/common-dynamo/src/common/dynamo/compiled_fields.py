"""The fields of a model, read and written in one pass by functions made for that model; see :mod:`.generated_code`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.dynamo.annotations import FieldPlan
from common.dynamo.generated_code import Constants, define
from common.dynamo.requests import AttributeValue, Item
from common.dynamo.value_codec import NULL, ValueCodec

__all__ = ["CompiledFields"]

Read = Callable[[Item], dict[str, Any]]
Write = Callable[[Mapping[str, Any]], dict[str, AttributeValue]]
Store = Callable[[Mapping[str, Any]], tuple[dict[str, AttributeValue], dict[str, Any]]]


class CompiledFields:
    """Reads and writes the fields of one model. The functions are made when they are first needed.

    They raise whatever a misfit makes Python raise; who calls them then goes field by field, to tell which one it was.

    Args:
        plans: How each field is stored.
        blank: What absent attributes read as, by input name.
    """

    __slots__ = ("_blank", "_plans", "read", "store", "write")

    def __init__(self, plans: Sequence[FieldPlan], blank: Mapping[str, Any]) -> None:
        self._plans = plans
        self._blank = blank
        self.read: Read = self._first_read
        """Item to the values that the model's validator takes, by input name."""
        self.write: Write = self._first_write
        """Field values to attributes."""
        self.store: Store = self._first_store
        """Field values to attributes, and to what reading these would give, by input name."""

    def reader(self) -> Read:
        """Return :attr:`read` for many items."""
        if self.read == self._first_read:
            self.read = _compiled_read(self._plans, self._blank)
        return self.read

    def _first_read(self, item: Item) -> dict[str, Any]:
        return self.reader()(item)

    def _first_write(self, values: Mapping[str, Any]) -> dict[str, AttributeValue]:
        self.write = _compiled_write(self._plans)
        return self.write(values)

    def _first_store(self, values: Mapping[str, Any]) -> tuple[dict[str, AttributeValue], dict[str, Any]]:
        self.store = _compiled_store(self._plans, self._blank)
        return self.store(values)


def _compiled_read(plans: Sequence[FieldPlan], blank: Mapping[str, Any]) -> Read:
    """Return the function that reads the fields of *plans*: those that every item has at once, the others one by one."""
    constants = Constants(blank=dict(blank))
    there, perhaps, pairs = ["get = item.get"], [], ["**blank"] if blank else []
    for number, plan in enumerate(plans):
        source = _read_source(plan.codec, number, constants)
        if plan.may_be_absent:
            perhaps += [f"v = get({plan.attribute!r})", f"if v is not None: values[{plan.input!r}] = {source}"]
        else:
            there += [f"v = item[{plan.attribute!r}]", f"v{number} = {source}"]
            pairs.append(f"{plan.input!r}: v{number}")
    return define("read", "item", [*there, f"values = {{{', '.join(pairs)}}}", *perhaps, "return values"], constants)


def _read_source(codec: ValueCodec, number: int, constants: Constants) -> str:
    if codec.inline is None or not codec.inline.reads:
        constants[f"decode_{number}"] = codec.decode
        return f"decode_{number}(v)"
    source = constants.taking(codec.inline, number).reads
    return f"None if 'NULL' in v else {source}" if codec.nullable else source


def _compiled_write(plans: Sequence[FieldPlan]) -> Write:
    constants = Constants(NULL=NULL)
    body = ["attributes = {}"]
    for number, plan in enumerate(plans):
        body += [f"v = values[{plan.field!r}]", *_write_lines(plan, number, constants, reads_back=False)]
    return define("write", "values", [*body, "return attributes"], constants)


def _compiled_store(plans: Sequence[FieldPlan], blank: Mapping[str, Any]) -> Store:
    constants = Constants(NULL=NULL, blank=dict(blank))
    body = ["attributes = {}", "stored = blank.copy()"]
    for number, plan in enumerate(plans):
        body += [f"v = values[{plan.field!r}]", *_write_lines(plan, number, constants, reads_back=True)]
    return define("store", "values", [*body, "return attributes, stored"], constants)


def _write_lines(plan: FieldPlan, number: int, constants: Constants, *, reads_back: bool) -> list[str]:
    codec, target = plan.codec, f"attributes[{plan.attribute!r}]"
    constants[f"encode_{number}"], constants[f"decode_{number}"] = codec.encode, codec.decode
    as_is = f"; stored[{plan.input!r}] = v" if reads_back else ""
    decoded = f"; stored[{plan.input!r}] = decode_{number}(v)" if reads_back else ""
    unless_null = "" if plan.keeps_null else "if v is not NULL: "
    other = [f"v = encode_{number}(v)", f"{unless_null}{target} = v{decoded}"]
    if codec.inline is None or not codec.inline.writes:
        return other
    inline = constants.taking(codec.inline, number)
    becomes = f"v = {inline.becomes}; " if inline.becomes else ""
    lines = [f"if {inline.accepts}:", f"    {becomes}{target} = {inline.writes}{as_is}"]
    if codec.nullable and not plan.keeps_null:
        lines += ["elif v is None:", "    pass"]
    return [*lines, "else:", *(f"    {line}" for line in other)]
