"""Models to items and back (D3, D4, D6): strict both ways, exact, and never a default in the place of a misfit."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Context, Decimal, localcontext
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from common.dynamo import ANY_SCALE, EntityType, Key
from common.dynamo.exceptions import InvalidItem
from common.exceptions import ConfigurationError, InvalidInput


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Place(BaseModel):
    city: str
    zip_code: str | None = None
    inner: "Place | None" = None


class Everything(BaseModel):
    id: str
    text: str = "text"
    number: int = 7
    amount: Decimal = Decimal("1.50")
    ratio: Decimal = Decimal("0.125")
    flag: bool = True
    raw: bytes = b"\x00\xff"
    at: datetime = datetime(2026, 11, 24, 8, 0, 0, 5, tzinfo=UTC)
    day: date = date(2026, 11, 24)
    key: UUID = UUID(int=7)
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    choice: Literal["yes", "no"] = "yes"
    names: list[str] = ["a"]
    pairs: tuple[int, ...] = (1, 2)
    tags: frozenset[str] = frozenset({"x", "y"})
    counts: set[int] = {1, 2}
    prices: dict[str, Decimal] = {"usd": Decimal("2.00")}
    place: Place = Place(city="Bonn", inner=Place(city="Ulm"))
    places: list[Place] = [Place(city="Kiel")]
    either: int | str = "either"
    anything: Any = {"a": [1, Decimal("1.5"), None, True, "x"]}
    address: IPv4Address = IPv4Address("127.0.0.1")
    wait: timedelta = timedelta(seconds=90)
    note: str | None = None


EVERYTHING = EntityType(
    Everything, "everything", key=Key("E#{id}", "E"), scales={"amount": 2, "ratio": ANY_SCALE, "prices": 2}
)


@pytest.fixture(autouse=True)
def narrow_context() -> Iterator[None]:
    """The process rounds to 28 digits, as Python does by default; nothing here may."""
    with localcontext(Context(prec=28)):
        yield


def test_every_kind_of_field_comes_back_as_it_was() -> None:
    """One round trip over every annotation in the table."""
    model = Everything(id="1")

    assert model == EVERYTHING.decode(EVERYTHING.encode(model))


def test_every_kind_of_field_has_one_stored_form() -> None:
    """Numbers are digits, instants are UTC at fixed width, None is absent at the top and in models."""
    item = EVERYTHING.encode(Everything(id="1"))

    assert {"S": "E#1"} == item["pk"]
    assert {"N": "1.5"} == item["amount"]
    assert {"S": "2026-11-24T08:00:00.000005Z"} == item["at"]
    assert {"BOOL": True} == item["flag"]
    assert {"N": "1"} == item["level"]
    assert {"SS": ["x", "y"]} == item["tags"]
    assert {"M": {"city": {"S": "Bonn"}, "inner": {"M": {"city": {"S": "Ulm"}}}}} == item["place"]
    assert {"S": "everything"} == item["_t"]
    assert {"N": "1"} == item["_s"]
    assert "note" not in item


@pytest.mark.parametrize("text", ["12345678901234567.89", "0.01", "-99999999999999999999999999999999999.99", "0"])
def test_scaled_numbers_are_exact_at_any_size(text: str) -> None:
    """38 digits go through a process whose context has 28, and come back at their scale."""
    back = EVERYTHING.decode(EVERYTHING.encode(Everything(id="1", amount=Decimal(text))))

    assert Decimal(text) == back.amount
    assert -2 == back.amount.as_tuple().exponent


@given(st.decimals(-(10**30), 10**30, places=2, allow_nan=False))
def test_any_amount_survives_the_round_trip(amount: Decimal) -> None:
    """Value and scale, for numbers of up to 32 digits."""
    back = EVERYTHING.decode(EVERYTHING.encode(Everything(id="1", amount=amount)))

    assert amount.as_tuple() == back.amount.as_tuple() or (amount == 0 == back.amount)


def test_a_number_of_39_digits_is_refused() -> None:
    """At build; nothing is sent."""
    with pytest.raises(InvalidInput, match="ratio: more than 38 significant digits"):
        EVERYTHING.encode(Everything(id="1", ratio=Decimal("1" * 39)))


def test_a_value_finer_than_its_scale_is_refused_not_rounded() -> None:
    """On the way in and on the way out."""
    with pytest.raises(InvalidInput, match="amount: it does not fit 2 decimal places"):
        EVERYTHING.encode(Everything(id="1", amount=Decimal("1.005")))
    with pytest.raises(InvalidItem) as caught:
        EVERYTHING.decode({**EVERYTHING.encode(Everything(id="1")), "amount": {"N": "1.005"}})
    assert "amount" == caught.value.field


def test_a_scale_may_depend_on_the_row() -> None:
    """The function sees the other fields, and the key within a dict."""

    class Line(BaseModel):
        id: str
        asset: str
        quantity: Decimal
        fees: dict[str, Decimal] = {}

    scales = {"USD": 2, "BTC": 8}
    line = EntityType(
        Line,
        "line",
        key=Key("L#{id}", "L"),
        scales={"quantity": lambda row, key: scales[row["asset"]], "fees": lambda row, key: scales[key]},
    )
    stored = line.encode(Line(id="1", asset="BTC", quantity=Decimal(1), fees={"USD": Decimal(3)}))

    assert "1.00000000" == str(line.decode(stored).quantity)
    assert "3.00" == str(line.decode(stored).fees["USD"])
    with pytest.raises(InvalidInput, match="does not fit 2 decimal places"):
        line.encode(Line(id="1", asset="USD", quantity=Decimal("0.001")))
    with pytest.raises(InvalidInput, match="scale cannot be told"):
        line.encode(Line(id="1", asset="EUR", quantity=Decimal(1)))


WRONG: dict[str, dict[str, Any]] = {
    "S": {"S": "not a fit"},
    "N": {"N": "1.255"},
    "B": {"B": b"x"},
    "BOOL": {"BOOL": True},
    "NULL": {"NULL": True},
    "L": {"L": [{"BOOL": True}]},
    "M": {"M": {"x": {"BOOL": True}}},
    "SS": {"SS": ["x"]},
    "NS": {"NS": ["1.5"]},
    "BS": {"BS": [b"x"]},
}
FITTING = {
    "text": {"S"},
    "ratio": {"N"},
    "flag": {"BOOL"},
    "raw": {"B"},
    "tags": {"SS", "NULL"},
    "counts": {"NULL"},
    "either": {"S"},
    "anything": set(WRONG),
    "note": {"S", "NULL"},
}


@pytest.mark.parametrize("tag", WRONG)
@pytest.mark.parametrize("field", [name for name in Everything.model_fields if name != "id"])
def test_a_stored_value_of_another_type_is_an_error_never_a_default(field: str, tag: str) -> None:
    """Each field against each type of attribute value: the error names field and type, and holds no value."""
    item = {**EVERYTHING.encode(Everything(id="1")), field: WRONG[tag]}
    if tag in FITTING.get(field, set()):
        EVERYTHING.decode(item)
        return

    with pytest.raises(InvalidItem) as caught:
        EVERYTHING.decode(item)

    assert (field, tag) == (caught.value.field, caught.value.stored_type)
    assert "everything" == caught.value.entity
    assert {"pk": {"S": "E#1"}, "sk": {"S": "E"}} == caught.value.key
    assert "not a fit" not in str(caught.value)
    assert "E#1" not in str(caught.value)


def test_a_value_of_the_right_type_that_does_not_fit_is_told_as_such() -> None:
    """And not by the type that was wanted, which it has."""
    item = EVERYTHING.encode(Everything(id="1"))

    with pytest.raises(InvalidItem, match="number is stored as N; what it holds is no int"):
        EVERYTHING.decode({**item, "number": {"N": "1.5"}})
    with pytest.raises(InvalidItem, match="names is stored as L; what it holds does not fit"):
        EVERYTHING.decode({**item, "names": {"L": [{"N": "1"}]}})


def test_a_required_field_that_is_absent_is_an_error() -> None:
    """A field with a default may be absent: it is newer than the item."""
    item = EVERYTHING.encode(Everything(id="1"))
    del item["text"]
    assert "text" == EVERYTHING.decode(item).text

    del item["id"]
    with pytest.raises(InvalidItem, match="id is absent"):
        EVERYTHING.decode(item)


def test_an_item_of_another_type_at_the_key_is_an_error() -> None:
    """The discriminator is checked before anything is decoded."""
    item = {**EVERYTHING.encode(Everything(id="1")), "_t": {"S": "something"}}

    with pytest.raises(InvalidItem, match="stands an item of type 'something'"):
        EVERYTHING.decode(item)


def test_constraints_of_the_model_hold_for_stored_data() -> None:
    """What a validator refuses is no item either."""

    class Positive(BaseModel):
        id: str
        count: Annotated[int, Field(gt=0)]

    positive = EntityType(Positive, "positive", key=Key("P#{id}", "P"))

    with pytest.raises(InvalidItem, match="count is stored as N; greater_than"):
        positive.decode({**positive.encode(Positive(id="1", count=1)), "count": {"N": "0"}})


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("text", 7, "text must be text"),
        ("text", "\ud800", "text holds a lone surrogate"),
        ("number", True, "number must be an int"),
        ("flag", 1, "flag must be a bool"),
        ("amount", "1.00", "amount must be a Decimal"),
        ("ratio", Decimal("NaN"), "not a finite number"),
        ("at", datetime(2026, 1, 1), "without a time zone"),  # noqa: DTZ001 - what is refused
        ("day", datetime(2026, 1, 1, tzinfo=UTC), "day must be a date"),
        ("colour", "red", "colour must be a Colour"),
        ("choice", "maybe", "one of the declared choices"),
        ("names", ("a",), "names must be a list"),
        ("tags", {"a"}, "tags must be a frozenset"),
        ("prices", {1: Decimal(1)}, "keys are texts"),
        ("anything", 1.5, "float is refused"),
        ("place", {"city": "x"}, "place must be a Place"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_model_that_was_changed_to_the_wrong_type_is_refused(field: str, value: Any, told: str) -> None:
    """Pydantic does not watch assignments; the codec does, and names the field without the value."""
    model = Everything(id="1")
    setattr(model, field, value)

    with pytest.raises(InvalidInput, match=told) as caught:
        EVERYTHING.encode(model)

    assert f"/{field}" == caught.value.errors[0].pointer


def test_instants_come_back_in_utc() -> None:
    """The moment stays, its time zone does not."""
    local = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    back = EVERYTHING.decode(EVERYTHING.encode(Everything(id="1", at=local)))

    assert local == back.at
    assert timedelta(0) == back.at.utcoffset()


def test_none_and_empty_sets_survive_where_absence_means_something_else() -> None:
    """A field whose default is not None stores NULL, so that None does not read back as the default."""

    class Defaults(BaseModel):
        id: str
        note: str | None = "default"
        tags: set[str] = {"default"}

    defaults = EntityType(Defaults, "defaults", key=Key("D#{id}", "D"))
    model = Defaults(id="1", note=None, tags=set())

    assert model == defaults.decode(defaults.encode(model))


def test_a_spread_dict_is_stored_as_top_level_attributes() -> None:
    """a_<key> each, at the field's scale; no key is an empty dict."""

    class Account(BaseModel):
        id: str
        assets: dict[str, Decimal] = {}

    account = EntityType(Account, "account", key=Key("A#{id}", "A"), spread={"assets": "a_"}, scales={"assets": 2})
    item = account.encode(Account(id="1", assets={"USD": Decimal(1), "EUR": Decimal("2.50")}))

    assert {"N": "1"} == item["a_USD"]
    assert {"N": "2.5"} == item["a_EUR"]
    assert {"USD": Decimal("1.00"), "EUR": Decimal("2.50")} == account.decode(item).assets
    assert {} == account.decode(account.encode(Account(id="1"))).assets


def test_aliases_of_the_model_do_not_reach_the_table() -> None:
    """Attributes are named after fields, or by attributes=."""

    class Aliased(BaseModel):
        id: str
        total: int = Field(alias="totalAmount")

    aliased = EntityType(Aliased, "aliased", key=Key("A#{id}", "A"), attributes={"total": "t"})
    model = Aliased(id="1", totalAmount=5)

    assert {"N": "5"} == aliased.encode(model)["t"]
    assert model == aliased.decode(aliased.encode(model))


class Open(BaseModel, extra="allow"):
    id: str


class Unstorable(BaseModel):
    id: str
    value: Any = None


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (float, "a float is not exact"),
        (Decimal, "needs a scale"),
        (list, "name the members"),
        (dict[int, str], "keys of a dict must be str"),
        (tuple[int, str], "list of one type"),
        (set[bool], "texts, numbers or bytes"),
        (str | UUID, "cannot tell them apart"),
        (SecretStr, "cannot be stored"),
        (Callable[[], int], "cannot be stored"),
        (Literal[True], "texts or integers"),
        (list[Open], "Open allows extra fields"),
    ],
    ids=str,
)
def test_an_annotation_that_cannot_be_stored_exactly_is_a_fault(annotation: Any, told: str) -> None:
    """The fault names the field; it is told before anything is stored."""
    model = type("Odd", (BaseModel,), {"__annotations__": {"id": str, "value": annotation}})
    odd = EntityType(model, "odd", key=Key("O#{id}", "O"))

    assert any("value" in fault and told in fault for fault in odd.faults())
    with pytest.raises(ConfigurationError, match="value"):
        odd.encode(model.model_construct(id="1"))


def test_a_model_that_takes_fields_it_does_not_declare_is_a_fault() -> None:
    """They would be lost without a word."""
    odd = EntityType(Open, "open", key=Key("O#{id}", "O"))

    assert any("extra='allow'" in fault for fault in odd.faults())
    with pytest.raises(ConfigurationError, match="extra fields"):
        odd.encode(Open(id="1", told="more"))
