"""The contract suite (K6): one call tries every law on an entity type, and says which field breaks which."""

import sys
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from common.dynamo import ANY_SCALE, Database, EntityType, Index, Key, MultiKey, Unique
from common.dynamo.testing import BrokenContract, Engine, check_entity_type, models_of
from common.dynamo.testing.contract.checking import LAWS
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE, Note, make_invoice
from common.exceptions import CommonError, ConfigurationError

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]


@pytest.fixture
def examples(engine: Engine) -> int:
    """How many a law is tried on: fewer over a network, where the same laws hold."""
    return 5 if engine.is_embedded else 2


@pytest.mark.parametrize("entity", [NOTE, INVOICE, COUNTER], ids=lambda entity: entity.name)
def test_the_example_types_keep_the_contract(database: Database, entity: EntityType[Any], examples: int) -> None:
    """With strategies derived from their annotations."""
    report = check_entity_type(database, entity, examples=examples)

    assert {} == report.broken
    assert report.examples >= len(report.kept) * examples
    assert {law.name for law in LAWS} == {*report.kept, *report.skipped}


class Currency(StrEnum):
    EUR = "eur"
    USD = "usd"


class Line(BaseModel):
    article: str
    price: Decimal
    tags: frozenset[str] = frozenset()
    parts: "list[Line]" = []


class Order(BaseModel):
    """A model with every kind of annotation, key component and option."""

    shop: UUID
    currency: Currency
    day: date
    rank: Decimal
    placed: datetime
    urgent: bool = False
    note: Annotated[str, Field(max_length=50)] | None = "none yet"
    code: Annotated[str, Field(pattern=r"\A[A-Z]{2}\d{3}\z")]
    lines: list[Line] = []
    weights: dict[str, Decimal | None] = {}
    raw: bytes = b""
    anything: Any = None
    hits: Annotated[int, Field(ge=0, lt=10**20)] = 0
    share: Decimal
    until: int | None = None
    revision: int = 0


ORDER = EntityType(
    Order,
    "order",
    key=Key("SHOP#{shop}#{currency}", "{day}#{rank:6.2}#{urgent}"),
    indexes=[Index("GSI1", Key("ORD#{note}", "{placed}")), Index("GSI2", Key("CODE#{code}", "{hits:20}"), "KEYS_ONLY")],
    unique=[Unique("code", scope=("shop", "currency")), Unique("note")],
    version="revision",
    ttl="until",
    scales={"rank": 2, "lines.price": 4, "weights": ANY_SCALE, "share": lambda row, key: 2 + row["urgent"]},
    attributes={"hits": "h"},
)


def test_a_type_with_every_option_keeps_the_contract(engine: Engine, table_name: str) -> None:
    """Every law is tried, but the one that a version makes needless."""
    with engine.open(table=table_name, entity_types=[ORDER]) as db:
        report = check_entity_type(db, ORDER, models_of(ORDER), examples=2)

    assert {"additions": "its version protects every addition"} == report.skipped
    assert len(LAWS) - 1 == len(report.kept)


class Session(BaseModel):
    model_config = ConfigDict(frozen=True)

    user: str
    id: int
    until: datetime


def test_a_model_that_is_frozen_and_always_expires_keeps_the_contract(database: Database, examples: int) -> None:
    """Every field but the expiry is in its key, so the laws of updates are left out, and the report says so."""
    session = EntityType(Session, "session", key=Key("S#{user}", "{id:9}"), ttl="until")
    report = check_entity_type(database, session, examples=examples)

    assert "every field is in the key, so nothing can be updated" == report.skipped["existence"]
    assert {"expiry", "round trip", "pages"} <= set(report.kept)


class Offer(BaseModel):
    asset: str
    id: str
    price: int
    owner: str | None = None
    placed: datetime


OFFER = EntityType(
    Offer,
    "offer",
    key=Key("OFFER#{asset}", "{id}", shards=4),
    indexes=[
        Index("GSI1", Key("OWN#{owner}", "{price:10}", shards=3)),
        Index("GSI2", MultiKey("owner", ["price", "placed"])),
    ],
    schema=2,
    upcast={1: dict},
)


def test_a_type_in_shards_with_keys_of_its_own_attributes_keeps_the_contract() -> None:
    """Of a second schema; on the embedded engine, which has such keys."""
    with Database.embedded(entity_types=[OFFER]) as db:
        report = check_entity_type(db, OFFER, examples=2)

    assert {"index keys", "pages", "own items"} <= set(report.kept)


def test_the_report_lists_every_law(database: Database) -> None:
    """With its requirements, and how many examples were run or why none was."""
    report = check_entity_type(database, NOTE, examples=2, seed=7)
    lines = str(report).splitlines()

    assert "note, seed 7:" == lines[0]
    assert "  round trip (D3, D5, D13): holds on 2 examples" in lines
    assert "  versions (D18): skipped: the type has no version" in lines
    assert len(LAWS) + 1 == len(lines)


# What is found --------------------------------------------------------------------------------------------------------


def test_a_field_that_does_not_come_back_is_named(database: Database) -> None:
    """With the law, the field, what came back, the model, and how to repeat it."""

    def shout(text: str) -> str:
        return text.upper()

    class Shouted(BaseModel):
        id: str
        text: Annotated[str, AfterValidator(shout)]

    models = st.builds(lambda id, text: Shouted.model_construct(id=id, text=text), st.just("1"), st.just("quiet"))
    shouted = EntityType(Shouted, "shouted", key=Key("SH#{id}", "SH"))

    with pytest.raises(BrokenContract) as caught:
        check_entity_type(database, shouted, models, only=["round trip"])

    assert (
        "shouted breaks 1 of its laws:\n"
        "  round trip (D3, D5, D13): text: after a create (single), 'quiet' came back as 'QUIET'\n"
        "    with Shouted(id='1', text='quiet')\n"
        "Repeat it with seed=0; one law alone with only=('round trip',)."
    ) == str(caught.value)
    assert ["round trip"] == list(caught.value.report.broken)


def test_a_model_that_the_type_cannot_store_is_a_broken_law(database: Database) -> None:
    """Here the numbers of the model are wider than the key's."""

    class Wide(BaseModel):
        number: int

    wide = EntityType(Wide, "wide", key=Key("W#{number:2}", "W"))
    models = st.builds(Wide, number=st.integers(100, 999))

    with pytest.raises(BrokenContract, match="InvalidInput: number is wider than the 2 digits") as caught:
        check_entity_type(database, wide, models, only=["round trip"])
    assert "Wide(number=100)" in str(caught.value)


def test_examples_follow_from_the_seed(database: Database) -> None:
    """The same seed makes the same models, another one others."""

    def drawn(seed: int) -> list[Note]:
        seen: list[Note] = []
        models = models_of(NOTE).map(lambda note: seen.append(note) or note)
        check_entity_type(database, NOTE, models, examples=5, seed=seed, only=["batches"])
        return seen

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_law_that_found_no_example_is_reported_as_skipped(database: Database) -> None:
    """Where the strategy makes one model alone, nobody believes that a law of two models was tried."""
    report = check_entity_type(database, NOTE, st.just(Note(id="1", text="x")), only=["batches", "round trip"])

    assert "no example could be used" in report.skipped["batches"]
    assert ("round trip",) == report.kept


# What it asks for -----------------------------------------------------------------------------------------------------


def test_a_table_with_items_is_refused_and_left_alone(database: Database) -> None:
    """The suite empties its table between examples."""
    database.dao(INVOICE).create(make_invoice())

    with pytest.raises(ConfigurationError, match="a table of its own"):
        check_entity_type(database, INVOICE)
    assert database.dao(INVOICE).get(("t1", 1)) is not None


def test_the_table_is_empty_afterwards(database: Database) -> None:
    """So that types are tried one after the other on one database."""
    check_entity_type(database, NOTE, examples=1, only=["round trip"])
    check_entity_type(database, INVOICE, examples=1, only=["round trip"])


def test_a_law_that_does_not_exist_is_refused(database: Database) -> None:
    """The error names those that do."""
    with pytest.raises(ConfigurationError, match="no law roundtrip; there are round trip, misfits"):
        check_entity_type(database, NOTE, only=["roundtrip"])


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        ((Note,), {}, "entity must be an EntityType"),
        ((NOTE,), {"examples": 0}, "examples"),
        ((NOTE,), {"only": "versions"}, "only"),
        ((NOTE,), {"examples": 1.5}, "examples"),
    ],
    ids=["no type", "no examples", "a text", "half an example"],
)
def test_arguments_that_cannot_be_meant_are_refused(
    database: Database, arguments: tuple[Any, ...], options: dict[str, Any], told: str
) -> None:
    """Before anything is tried."""
    with pytest.raises(CommonError, match=told):
        check_entity_type(database, *arguments, **options)


def test_fields_whose_values_cannot_be_derived_are_named() -> None:
    """The error says what to give, and with that it works."""

    def even(number: int) -> int:
        if number != 123_456_789:
            raise ValueError("not the one")
        return number

    class Picky(BaseModel):
        id: str
        number: Annotated[int, AfterValidator(even)]

    picky = EntityType(Picky, "picky", key=Key("P#{id}", "P"))

    with pytest.raises(ConfigurationError, match=r"it refuses number. .*models_of\(\.\.\., number=\.\.\.\)"):
        models_of(picky)
    assert models_of(picky, number=st.just(123_456_789)) is not None
    with pytest.raises(ConfigurationError, match="Picky has no field nummer"):
        models_of(picky, nummer=st.just(1))


def test_without_hypothesis_the_error_says_what_to_install(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of the kit needs it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)

    with pytest.raises(ConfigurationError, match="to the test dependencies of your distribution"):
        check_entity_type(database, NOTE)
    with pytest.raises(ConfigurationError, match="hypothesis"):
        models_of(NOTE)


def test_a_derived_model_fits_its_type() -> None:
    """Within the widths of keys, at its scales, with keys that are not empty."""
    seen: list[Mapping[str, Any]] = []
    from hypothesis import given, settings

    @settings(max_examples=30, database=None, deadline=None)
    @given(models_of(ORDER))
    def encode(order: Order) -> None:
        seen.append(ORDER.encode(order))

    encode()
    assert len(seen) >= 30
