"""The functions that are made for a model do what its codec does field by field, only faster."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from common.dynamo import ANY_SCALE, EntityType, Key
from common.dynamo.assignments import AssignmentForm, Assignments
from common.dynamo.requests import Constant, IfNotExists, Path
from common.dynamo.whole_items import whole_item_update
from common.exceptions import InvalidInput


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Thing(BaseModel):
    owner: str
    number: int
    colour: Colour
    level: Level
    price: Decimal
    ratio: Decimal
    sold: bool
    at: datetime
    day: date
    mark: UUID
    raw: bytes
    names: list[str]
    prices: list[Decimal]
    labels: dict[str, str]
    tags: set[str] = set()
    note: str | None = None
    limit: int | None = 5


THING = EntityType(
    Thing,
    "thing",
    key=Key("O#{owner}#{colour}", "N#{number:6}"),
    scales={"price": 2, "ratio": ANY_SCALE, "prices": 3},
)

TEXTS = st.one_of(st.text(st.characters(codec="utf-8"), max_size=8), st.sampled_from(["ü", "#$%", "x" * 20]))
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=30))]))
WHOLE = st.integers(0, 10**6 - 1)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "owner": TEXTS.filter(bool),
    "number": WHOLE,
    "colour": st.sampled_from(Colour),
    "level": st.sampled_from(Level),
    "price": st.one_of(st.decimals(places=2, allow_nan=False, allow_infinity=False), st.just(Decimal("-0"))),
    "ratio": st.decimals(-5, 5, places=4),
    "sold": st.booleans(),
    "at": MOMENTS,
    "day": st.dates(),
    "mark": st.uuids(),
    "raw": st.binary(max_size=4),
    "names": st.lists(TEXTS, max_size=3),
    "prices": st.lists(st.decimals(places=3, allow_nan=False, allow_infinity=False), max_size=2),
    "labels": st.dictionaries(TEXTS, TEXTS, max_size=2),
    "tags": st.sets(TEXTS, max_size=2),
    "note": st.one_of(st.none(), TEXTS),
    "limit": st.one_of(st.none(), WHOLE),
}
ODD: list[Any] = [
    None,
    "",
    "red",
    "a\ud800",
    True,
    -1,
    10**38,
    1.5,
    Decimal("NaN"),
    Decimal("Infinity"),
    Decimal("0.001"),
    datetime(2026, 11, 24),  # noqa: DTZ001 - a naive one is what is tried
    b"raw",
    bytearray(b"raw"),
    ["a", 1],
    ("a",),
    {1: "a"},
    {"a": 1},
    {"a\ud800": "a"},
    {"a", 1},
]
ROWS = st.builds(
    lambda row, odd: row | odd,
    st.fixed_dictionaries(FIELDS),
    st.dictionaries(st.sampled_from(list(FIELDS)), st.sampled_from(ODD), max_size=1),
)
CODEC = THING.mapped.codec


def outcome(function: Any, *arguments: Any) -> object:
    """Return what *function* gives, or the refusal's text: whether two ways agree is asked of both alike."""
    try:
        return function(*arguments)
    except InvalidInput as refused:
        return str(refused)
    except Exception as error:
        return type(error)


@given(ROWS)
def test_what_is_written_is_what_going_field_by_field_gives(row: dict[str, Any]) -> None:
    """Values that no field accepts are refused in the same words, and all others become the same attributes."""
    assert outcome(CODEC._written, row) == outcome(CODEC.encode, row)


@given(ROWS)
def test_a_put_tells_the_model_that_a_reader_sees(row: dict[str, Any]) -> None:
    """Without reading it back: at its scale, in UTC, without the sign of a zero."""

    def by_reading() -> tuple[object, str]:
        item = THING.mapped.encode_row(row)
        return item, repr(THING.mapped.read_back(item))

    def at_once() -> tuple[object, str]:
        item, model = THING.mapped.store(row)
        return item, repr(model)

    assert outcome(by_reading) == outcome(at_once)


@given(ROWS, st.sampled_from(list(FIELDS)), st.sampled_from([None, {"S": "7"}, {"N": "7"}, {"NULL": True}, {}, "junk"]))
def test_what_is_read_is_what_going_field_by_field_gives(row: dict[str, Any], field: str, found: Any) -> None:
    """Whatever stands in one attribute, or nothing: the same values, or both ways find a misfit."""
    written = outcome(CODEC.encode, row)
    if not isinstance(written, dict):
        return
    item = {**written, field: found}
    if found is None:
        del item[field]

    by_field = outcome(CODEC._read, item)
    at_once = outcome(CODEC.fields.read, item)
    assert by_field == at_once or isinstance(at_once, type)


@given(
    st.one_of(TEXTS, st.sampled_from(ODD)), st.sampled_from([*Colour, "red"]), st.one_of(WHOLE, st.sampled_from(ODD))
)
def test_a_key_is_what_its_templates_make(owner: Any, colour: Any, number: Any) -> None:
    """The text is the templates' own, and so is the refusal."""
    key, row = THING.mapped.key, {"owner": owner, "colour": colour, "number": number}

    def by_templates() -> dict[str, Any]:
        return {"pk": {"S": key.partition.build([owner, colour])}, "sk": {"S": key.sort.build([number])}}

    assert outcome(by_templates) == outcome(key.attributes, row)


def test_a_mutable_default_is_no_models_own() -> None:
    """Two models that were read from items without a set do not share one."""
    item = {name: value for name, value in THING.encode(thing()).items() if name != "tags"}
    first, second = THING.mapped.decode(item), THING.mapped.decode(item)
    first.tags.add("mine")

    assert set() == second.tags


def thing(**changed: Any) -> Thing:
    given: dict[str, Any] = {
        "owner": "o",
        "number": 1,
        "colour": Colour.RED,
        "level": Level.LOW,
        "price": Decimal("1.5"),
        "ratio": Decimal("0.5"),
        "sold": True,
        "at": datetime(2026, 11, 24, tzinfo=UTC),
        "day": date(2026, 11, 24),
        "mark": UUID(int=1),
        "raw": b"raw",
        "names": ["a"],
        "prices": [Decimal(1)],
        "labels": {"a": "b"},
        "tags": {"t"},
    }
    return Thing(**given | changed)


def test_a_stored_model_shares_nothing_with_the_given_one() -> None:
    """What a put returns may be changed without a trace in what was given."""
    given_model = thing()
    _, stored = THING.mapped.store(vars(given_model))
    stored.names.append("b")
    stored.labels["c"] = "d"
    stored.tags.add("u")

    assert (["a"], {"a": "b"}, {"t"}) == (given_model.names, given_model.labels, given_model.tags)


# SET clauses of a common form ---------------------------------------------------------------------------------------


def test_assignments_are_the_tuple_of_their_pairs() -> None:
    """Whoever looks at a SET clause sees pairs of path and value, however it was made."""
    kept, path = Path(("_s",)), Path(("a",))
    form = AssignmentForm((kept, path), frozenset({kept}))
    assigned = Assignments(form, ({"N": "1"}, {"S": "x"}))
    pairs = ((kept, IfNotExists(kept, Constant({"N": "1"}))), (path, Constant({"S": "x"})))

    assert pairs == assigned == Assignments(form, ({"N": "1"}, {"S": "x"}))
    assert assigned != Assignments(form, ({"N": "1"}, {"S": "y"}))
    assert (2, pairs[1], list(pairs)) == (len(assigned), assigned[1], list(assigned))
    assert repr(pairs) == repr(assigned)
    assert assigned != 7
    with pytest.raises(TypeError, match="unhashable"):
        hash(assigned)


def test_the_forms_of_a_type_are_bounded() -> None:
    """A type whose items have ever other attributes does not fill the memory."""
    mapped = EntityType(Thing, "bounded", key=THING.key, scales=THING.scales).mapped
    for number in range(300):
        item = {**mapped.encode(thing()), f"extra{number}": {"S": "x"}}
        whole_item_update(mapped, "table", item, None, counts=False)

    assert len(mapped.forms) <= 256
