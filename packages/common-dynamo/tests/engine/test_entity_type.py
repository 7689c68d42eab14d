"""Entity types (D1, D7, D47): mapping apart from the model, every fault told at once."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Index, Key, Unique, View
from common.dynamo.testing.examples import COUNTER, INVOICE, Counter, make_invoice
from common.exceptions import ConfigurationError, InvalidInput


class Thing(BaseModel):
    id: str
    kind: str = "k"
    total: Decimal = Decimal(0)
    version: int = 0
    expires: datetime | None = None
    extra: dict[str, int] = {}


KEY = Key("THING#{id}", "THING")


def thing(**options: Any) -> EntityType[Thing]:
    return EntityType(Thing, options.pop("name", "thing"), **{"key": KEY, "scales": {"total": 2}, **options})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scales": {}}, "total: a Decimal needs a scale"),
        ({"scales": {"total": 99}}, "a scale lies from 0 to 38"),
        ({"scales": {"total": 2, "kind": 2}}, "scales names 'kind', which is no Decimal"),
        ({"ttl": "kind"}, "the TTL field must be a datetime or an int"),
        ({"ttl": "missing"}, "ttl names 'missing'"),
        ({"ttl": "expires", "attributes": {"expires": "exp"}}, "stored as _x"),
        ({"version": "kind"}, "version field kind must be an int"),
        ({"version": "missing"}, "version names 'missing'"),
        ({"attributes": {"kind": "pk"}}, "belongs to the layer"),
        ({"attributes": {"kind": "g1pk"}}, "belongs to the layer"),
        ({"attributes": {"kind": "_kind"}}, "belongs to the layer"),
        ({"attributes": {"kind": "id"}}, "both be stored as 'id'"),
        ({"attributes": {"missing": "m"}}, "attributes names 'missing'"),
        ({"spread": {"kind": "k_"}}, "only a field of type dict"),
        ({"spread": {"extra": ""}}, "prefix of a spread field is empty"),
        ({"spread": {"extra": "k"}}, "also begins the attribute 'kind'"),
        ({"spread": {"extra": "_e"}}, "belongs to the layer"),
        ({"schema": 3, "upcast": {1: dict}}, "no step from schema 2"),
        ({"schema": 1, "upcast": {1: dict}}, "end below the schema"),
        ({"unique": [Unique("kind"), Unique("kind")]}, "unique field kind is named twice"),
        ({"unique": [Unique("missing")]}, "unique names 'missing'"),
        ({"unique": [Unique("kind", key=Key("K#{id}", "K"))]}, "must be made of kind"),
        ({"unique": [Unique("extra")]}, "must be a text or a number"),
        ({"indexes": [Index("GSI1", Key("{nope}", "X"))]}, "no such field"),
        ({"indexes": [Index("BY_KIND", Key("{kind}", "X"))]}, "none of GSI1, GSI2"),
        ({"indexes": [Index("GSI1", Key("{kind}", "X")), Index("GSI1", Key("{id}", "X"))]}, "named twice"),
        ({"indexes": [Index("GSI1", Key("{version:3}", "X"))], "version": "version"}, "changes with every write"),
        ({"key": Key("THING#{expires}", "X")}, "may be None"),
        ({"key": Key("THING#{id}", "{version:3}"), "version": "version"}, "changes with every write"),
        ({"name": "_thing"}, "does not begin with '_'"),
        ({"name": ""}, "is not empty"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_fault_of_a_declaration_is_told_before_first_use(options: Mapping[str, Any], told: str) -> None:
    """Making the entity type never fails, so that all faults of all plugins can be told together."""
    faulty = thing(**options)

    with pytest.raises(ConfigurationError, match=told):
        faulty.item_key("1")


def test_all_faults_of_a_declaration_are_told_together() -> None:
    """One error names each of them."""
    faulty = thing(scales={}, ttl="kind", version="kind", unique=[Unique("missing")])

    assert 4 == len(faulty.faults())
    with pytest.raises(ConfigurationError) as caught:
        faulty.decode({})
    assert all(fault in str(caught.value) for fault in faulty.faults())


def test_an_entity_type_cannot_be_changed() -> None:
    """It is shared by databases and threads."""
    with pytest.raises(AttributeError, match="immutable"):
        INVOICE.name = "other"


def test_one_model_can_be_bound_twice() -> None:
    """Model and mapping are apart: two entity types store one model in two ways, in one table."""
    draft = thing(name="draft", key=Key("DRAFT#{id}", "DRAFT"))
    final = thing(name="final", attributes={"kind": "k"})
    model = Thing(id="1", kind="x")

    assert draft.encode(model)["pk"] != final.encode(model)["pk"]
    assert model == draft.decode(draft.encode(model)) == final.decode(final.encode(model))
    with Database.embedded(entity_types=[draft, final]) as db:
        db.dao(draft).create(model)
        assert db.dao(final).get("1") is None


def test_a_model_needs_nothing_of_the_data_layer() -> None:
    """The module of the family's entities imports without common.dynamo ever being loaded."""
    code = "import sys, common.entities; print('common.dynamo' in sys.modules)"

    assert (
        "False"
        == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def test_the_helpers_for_ready_made_trees_agree_with_the_codec() -> None:
    """Keys by position or name, paths through renaming and spreading, constants in stored form."""
    assert INVOICE.item_key("t1", 7) == INVOICE.item_key(tenant="t1", number=7)
    assert ("a_EUR",) == COUNTER.path("amounts", "EUR").parts
    assert {"N": "1"} == COUNTER.constant("amounts", Decimal("1.00")).value
    assert {"S": "open"} == INVOICE.constant("state", make_invoice().state).value
    assert {"g1pk", "g1sk"} == INVOICE.index_keys(make_invoice()).keys()
    with pytest.raises(ConfigurationError, match="no stored field 'nope'"):
        INVOICE.path("nope")
    with pytest.raises(InvalidInput, match="total"):
        INVOICE.constant("total", Decimal("1.005"))


def test_two_views_of_one_read_agree_and_nothing_is_written_through_them() -> None:
    """One GetItem gives both; a view has no DAO, and its model is no model of the entity."""

    class Balance(BaseModel):
        available: Decimal

    balance = View("balance", COUNTER, lambda counter: Balance(available=counter.amounts["EUR"]))
    names = View("names", COUNTER, lambda counter: sorted(counter.amounts))
    with Database.embedded(entity_types=[COUNTER]) as db:
        counters = db.dao(COUNTER)
        counters.create(Counter(name="c", amounts={"EUR": Decimal("1.50"), "USD": Decimal(2)}))

        assert (Balance(available=Decimal("1.50")), ["EUR", "USD"]) == counters.views("c", balance, names)
        assert Balance(available=Decimal("1.50")) == counters.view("c", balance)
        assert counters.view("nobody", balance) is None
        assert counters.views("nobody", balance, names) is None
        with pytest.raises(ConfigurationError, match="A view is read-only"):
            db.dao(balance)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="counter stores Counter, not Balance"):
            counters.create(Balance(available=Decimal(1)))  # type: ignore[arg-type]
