"""Random models (D3, D4, D13): classes made up field by field are stored and read exactly, or refused before anything is sent."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Any, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, DrawFn
from pydantic import BaseModel, create_model

from common.dynamo import ANY_SCALE, DAO, Database, EntityType, Key
from common.dynamo.testing import Engine, fresh_table_name, spend
from common.dynamo.testing.contract.comparison import differences, expected_values
from common.dynamo.testing.contract.strategies import texts, untried_models
from common.exceptions import ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

ON_A_NETWORK = os.environ.get("COMMON_TEST_ENGINE", "embedded") != "embedded"


class Colour(StrEnum):
    RED = "red"
    BLUE = "#bleu "


class Level(IntEnum):
    LOW = -1
    HIGH = 10**12


class Kind(Enum):
    TEXT = "1"
    NUMBER = 1


SCALARS: list[Any] = [
    *(str, int, bool, bytes, datetime, date, UUID, Decimal),
    *(Colour, Level, Kind, Literal["a", 7], Literal["only"], Any, timedelta, time, IPv4Address),
]
IN_SETS: list[Any] = [str, int, bytes, UUID, Decimal, Colour, datetime]
UNIONS: list[Any] = [
    str | int,
    int | None,
    bytes | str | None,
    bool | Decimal,
    list[str] | dict[str, int],
    Colour | Level,
]


@dataclass
class Declaration:
    """A model that is made up, and the scales of its Decimals."""

    scales: dict[str, Any] = field(default_factory=dict)
    models: int = 0


@st.composite
def entity_types(draw: DrawFn) -> EntityType[Any]:
    """Draw a type of one to five fields beside its key."""
    declaration = Declaration()
    model = draw_model(draw, declaration, "", depth=0)
    version = "count" if draw(st.booleans()) else None
    return EntityType(
        model, "random", key=Key("RANDOM#{id}", "{number:12}"), scales=declaration.scales, version=version
    )


def draw_model(draw: DrawFn, declaration: Declaration, path: str, *, depth: int) -> type[BaseModel]:
    """Draw a model whose fields stand below *path*."""
    declaration.models += 1
    fields: dict[str, Any] = {} if path else {"id": (str, ...), "number": (int, ...), "count": (int, 0)}
    for position in range(draw(st.integers(1, 3 if depth else 5))):
        name = f"field_{position}"
        fields[name] = (draw_annotation(draw, declaration, path + name, depth=depth), ...)
    return create_model(f"Random{declaration.models}", **fields)


def draw_annotation(draw: DrawFn, declaration: Declaration, path: str, *, depth: int) -> Any:
    """Draw an annotation that can be stored, for the field or member at *path*."""
    form = draw(st.sampled_from(["plain", "plain", "optional", "union", "set", "list", "dict", "model"]))
    if form in ("plain", "union", "set") or depth >= 2:
        pool = {"union": UNIONS, "set": IN_SETS}.get(form, SCALARS)
        chosen = draw(st.sampled_from(pool))
        if "Decimal" in str(chosen):
            declaration.scales[path] = draw(st.one_of(st.integers(0, 20), st.just(ANY_SCALE)))
        if form == "set":
            return set[chosen] if draw(st.booleans()) else frozenset[chosen]
        return chosen
    if form == "model":
        return draw_model(draw, declaration, f"{path}.", depth=depth + 1)
    inner = draw_annotation(draw, declaration, path, depth=depth + 1)
    if form == "optional":
        return Optional[inner]  # noqa: UP045 - `inner | None` is no annotation for every inner
    return dict[str, inner] if form == "dict" else (list[inner] if draw(st.booleans()) else tuple[inner, ...])


# Stored exactly -------------------------------------------------------------------------------------------------------


def keep_exactly(engine: Engine, data: DataObject) -> None:
    """Write random models of a random type on every route, read them in every way, and compare."""
    entity = data.draw(entity_types(), label="type")
    models = untried_models(entity)
    first, second = data.draw(models, label="first"), data.draw(models, label="second")
    moved = second.model_copy(update={name: getattr(first, name) for name in ("id", "number", "count")})
    with engine.open(table=fresh_table_name(), entity_types=[entity]) as db:
        dao = db.dao(entity)
        expect(dao, first, dao.create(first), 1)
        stored = dao.require(first)
        seen = {"count": 1} if entity.version is not None else {}
        expect(dao, moved, dao.put(moved.model_copy(update=seen)), 2)
        update_all(dao, dao.require(first), first)
        expect_values(dao, first)
        dao.delete(dao.require(first))
        dao.batch_write([dao.plan.create(second)])
        expect(dao, second, second, 1)
        with db.transaction() as tx:
            tx.delete(dao, dao.require(second))
            if dao.plan.mapped.item_key(first) != dao.plan.mapped.item_key(second):
                tx.create(dao, first)
        assert dao.get(second) is None or stored == dao.require(first)


def expect(dao: DAO[Any], wanted: Any, returned: Any, version: int) -> None:
    """Expect that *wanted* was returned and is read, by get, by batch and by query."""
    values = expected_values(dao.plan.entity, wanted, version)
    found = [dao.require(wanted), *dao.batch_get([wanted]), *dao.query(id=wanted.id, consistent=True)]
    for one in found if returned is wanted else [returned, *found]:
        assert {} == differences(dao.plan.entity, values, one)


def update_all(dao: DAO[Any], stored: Any, wanted: Any) -> None:
    """Set every field of *stored* to *wanted*'s value, in one update."""
    names = [name for name in type(stored).model_fields if name.startswith("field_")]

    def change(change: Any, it: Any) -> None:
        for name in names:
            change.set(getattr(it, name), getattr(wanted, name))

    dao.update(stored, change)


def expect_values(dao: DAO[Any], wanted: Any) -> None:
    """Expect all fields of *wanted* but the version."""
    found = dao.require(wanted)
    assert {} == differences(dao.plan.entity, {**vars(wanted), "count": found.count}, found)


def examples(count: int) -> Callable[[Any], Any]:
    """Run a property on *count* random examples that follow from the code alone."""
    return settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@examples(5 if ON_A_NETWORK else 25)
@given(data=st.data())
def test_random_models_are_stored_and_read_exactly(engine: Engine, data: DataObject) -> None:
    """By create, put, update, batch and transaction; by get, batch and query; every digit, character and type."""
    keep_exactly(engine, data)


@examples(20 if ON_A_NETWORK else 100)
@given(data=st.data())
def test_many_random_models_are_stored_and_read_exactly(engine: Engine, data: DataObject) -> None:
    """The same, for longer."""
    keep_exactly(engine, data)


# Or refused before anything is sent -----------------------------------------------------------------------------------

JUNK: list[Any] = [
    *(None, True, 1, -1, 10**38, 10**200, 1.5, float("nan"), "", "text", "\ud800", "a\x00b", b"", b"bytes"),
    *(Decimal("NaN"), Decimal("Infinity"), Decimal("1.005"), Decimal("1E+200"), Decimal("1E-140"), Decimal(10**37) + 1),
    *(datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), time(1), timedelta(1), UUID(int=0)),  # noqa: DTZ001
    *([], [1], ["\udfff"], [1.5], {}, {"a": 1}, {1: "a"}, {"\ud800": 1}, set(), {"a"}, {1}, {1.5}, frozenset({b"x"})),
    *((), ("a",), object(), Colour.RED, Level.LOW, Kind.TEXT, IPv4Address("10.0.0.1"), float, lambda: None),
]


def refuse_or_keep(engine: Engine, data: DataObject) -> None:
    """Put something into a field of a random type past pydantic: it comes back exactly, or nothing was sent at all."""
    entity = data.draw(entity_types(), label="type")
    model = data.draw(untried_models(entity), label="model")
    name = data.draw(st.sampled_from([name for name in entity.model.model_fields if name != "count"]), label="field")
    junk = data.draw(st.sampled_from(JUNK), label="junk")
    spoiled = model.model_copy(update={name: junk})
    with engine.open(table=fresh_table_name(), entity_types=[entity]) as db:
        dao = db.dao(entity)
        with spend() as meter:
            try:
                dao.create(spoiled)
            except InvalidInput:
                assert 0 == meter.cost.trips
                return
        found = dao.require(spoiled)
        told = differences(entity, expected_values(entity, spoiled, 1), found)
        # A member of an enumeration of texts is a text, and comes back as one.
        assert not told or (isinstance(junk, Enum) and junk == getattr(found, name) == junk.value)


@examples(10 if ON_A_NETWORK else 60)
@given(data=st.data())
def test_what_cannot_be_stored_is_refused_before_anything_is_sent(engine: Engine, data: DataObject) -> None:
    """Values of other types, NaN, lone surrogates, naive datetimes, 39 digits: an error of ours, and no call."""
    refuse_or_keep(engine, data)


@examples(20 if ON_A_NETWORK else 300)
@given(data=st.data())
def test_whatever_cannot_be_stored_is_refused_before_anything_is_sent(engine: Engine, data: DataObject) -> None:
    """The same, for longer."""
    refuse_or_keep(engine, data)


@pytest.mark.parametrize(
    "annotation",
    [float, list[float], dict[int, str], tuple[int, str], set[bool], set[list[str]], list, dict, int | bool | Level,
     str | UUID, type, Callable[[], None], Decimal | int],
    ids=str,
)  # fmt: skip
def test_an_annotation_that_cannot_be_stored_exactly_is_refused_when_it_is_declared(annotation: Any) -> None:
    """Before there is anything to store; the error names the field."""
    model = create_model("Refused", id=(str, ...), odd=(annotation, ...))
    refused = EntityType(
        model, "refused", key=Key("REFUSED#{id}", "R"), scales={"odd": 2} if "Decimal" in str(annotation) else {}
    )

    assert any(fault.startswith("odd") for fault in refused.faults())
    with pytest.raises(ConfigurationError, match="odd"):
        Database.embedded(entity_types=[refused])


def test_one_model_may_have_other_scales_at_other_places(engine: Engine) -> None:
    """Each place where it stands has its own path."""

    class Price(BaseModel):
        amount: Decimal

    class Quote(BaseModel):
        id: str
        retail: Price
        bulk: list[Price]

    quote = EntityType(Quote, "quote", key=Key("QUOTE#{id}", "Q"), scales={"retail.amount": 2, "bulk.amount": 6})
    with engine.open(table=fresh_table_name(), entity_types=[quote]) as db:
        stored = db.dao(quote).create(
            Quote(id="1", retail=Price(amount=Decimal(1)), bulk=[Price(amount=Decimal("0.5"))])
        )

    assert ("1.00", "0.500000") == (str(stored.retail.amount), str(stored.bulk[0].amount))
    with pytest.raises(InvalidInput, match="retail"):
        quote.encode(Quote(id="1", retail=Price(amount=Decimal("0.001")), bulk=[]))


@pytest.mark.parametrize(
    ("annotation", "empty", "full"),
    [
        (set[str] | None, set(), {"a"}),
        (frozenset[int] | str, frozenset(), frozenset({1})),
        (list[set[str] | None], [set()], [{"a"}, None]),
    ],
    ids=str,
)
def test_an_empty_set_is_never_read_as_something_else(annotation: Any, empty: Any, full: Any) -> None:
    """DynamoDB has none: where a set has an alternative, the empty one is refused; alone, it is an absent attribute."""
    model = create_model("Tagged", id=(str, ...), tags=(annotation, ...), plain=(set[str], set()))
    tagged = EntityType(model, "tagged", key=Key("T#{id}", "T"))

    with pytest.raises(InvalidInput, match="empty set"):
        tagged.encode(model(id="1", tags=empty))
    stored = tagged.encode(model(id="1", tags=full))
    assert "plain" not in stored
    assert (full, set()) == (tagged.decode(stored).tags, tagged.decode(stored).plain)


def test_texts_hold_awkward_characters_and_no_lone_surrogates() -> None:
    """What the properties above are about is really drawn."""
    drawn: list[str] = []

    @settings(max_examples=200, database=None, derandomize=True)
    @given(texts())
    def draw(text: str) -> None:
        drawn.append(text)

    draw()
    characters = set("".join(drawn))
    assert {"\x00", "#", "$"} <= characters
    assert any(character > "\uffff" for character in characters)
    assert not any("\ud800" <= character <= "\udfff" for character in characters)
