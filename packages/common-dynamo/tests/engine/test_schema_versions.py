"""Schema versions (D37): older items are read through the upcast steps, and a write keeps the result."""

from collections.abc import Callable
from typing import Any

import pytest

from common.dynamo import Database, EntityType, Key, View
from common.dynamo.exceptions import (
    AlreadyExists,
    InvalidItem,
    TransactionCanceled,
)
from common.dynamo.requests import AttributeValue
from common.dynamo.testing import spend
from common.dynamo.testing.generations import (
    BY_STATE,
    CARD_2,
    CARD_3,
    Card1,
    Card2,
    Card3,
    Task1,
    Task2,
    Task3,
    gather_phones,
    rename_name,
)
from common.exceptions import ConfigurationError

ADA_1 = Card1(id="1", name="Ada", phone="12")
ADA_3 = Card3(id="1", title="Ada", phones=["12"])


# Reading


def test_every_read_gives_the_new_form_and_leaves_the_item_alone(fleet: Any) -> None:
    """Whatever the route; nothing is written."""
    fleet.cards(1).create(ADA_1)
    stored = fleet.item(fleet.cards(1), "1")
    cards = fleet.cards(3)
    title = View("title", CARD_3, lambda card: card.title)
    phones = View("phones", CARD_3, lambda card: card.phones)

    with spend(wcu=0):
        assert ADA_3 == cards.get("1")
        assert ADA_3 == cards.require("1")
        assert "Ada" == cards.view("1", title)
        assert ("Ada", ["12"]) == cards.views("1", title, phones)
        assert [ADA_3, None] == cards.batch_get(["1", "2"])
        assert [ADA_3] == cards.query(id="1").all()
        assert [ADA_3] == list(cards.query(id="1"))
        assert [ADA_3] == cards.query(id="1").page(1).items
        assert [ADA_3] == list(cards.scan(name="cards"))
        assert (ADA_3,) == fleet.releases[2].read((cards, "1"))
        assert [ADA_3] == fleet.releases[2].collection({"id": "1"}, [CARD_3]).all().of(CARD_3)
        assert ADA_3 == CARD_3.decode(stored)
        assert "Ada" == title.decode(stored)
    assert stored == fleet.item(cards, "1")


def test_an_index_gives_older_items_in_the_new_form(fleet: Any) -> None:
    """They stand at the keys that their own writer gave them."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="!write"))

    found = fleet.tasks(3).query(BY_STATE, project="p", state="open").all()

    assert [Task3(project="p", number=1, text="!write", priority=1, labels=["migrated"], version=1)] == found


def test_an_item_passes_only_the_steps_after_its_own_schema(fleet: Any) -> None:
    """One of schema 2 passes one of the two."""
    fleet.cards(2).create(Card2(id="1", title="Ada", phone="12"))

    assert ADA_3 == fleet.cards(3).get("1")
    assert {"N": "2"} == fleet.item(fleet.cards(3), "1")["_s"]


def test_items_of_the_current_schema_pass_no_step() -> None:
    """They cost one comparison."""

    def never(item: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
        raise AssertionError

    lazy = EntityType(Card3, "card", key=Key("CARD#{id}", "CARD"), schema=3, upcast={1: never, 2: never})

    assert ADA_3 == lazy.decode(lazy.encode(ADA_3))


def test_an_item_without_a_schema_is_of_the_first() -> None:
    """It may come from before there were any."""
    item = {"pk": {"S": "CARD#1"}, "sk": {"S": "CARD"}, "_t": {"S": "card"}, "name": {"S": "Ada"}}

    assert Card3(id="1", title="Ada") == CARD_3.decode({**item, "id": {"S": "1"}})
    assert (1, True) == (CARD_3.mapped.schema_of(item), CARD_3.mapped.is_outdated(item))


def test_a_newer_item_is_read_by_the_fields_known_here(fleet: Any) -> None:
    """Nothing is said about the others."""
    fleet.tasks(3).create(Task3(project="p", number=1, text="write", priority=2, labels=["x"]))

    assert Task1(project="p", number=1, text="write", version=1) == fleet.tasks(1).get(("p", 1))


def test_a_step_works_on_a_copy(fleet: Any) -> None:
    """It may change what it is given, also deep inside."""

    def clobber(item: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
        item["phones"]["L"].clear()
        item["pk"] = item["_w"] = {"S": "clobbered"}
        return item

    kind = EntityType(Card3, "card", key=Key("CARD#{id}", "CARD"), schema=4, upcast=dict.fromkeys((1, 2, 3), clobber))
    item = CARD_3.encode(ADA_3)
    form = kind.mapped.upcast(item)

    assert item == CARD_3.encode(ADA_3)
    assert {**item, "phones": {"L": []}, "_s": {"N": "4"}} == form


def test_an_error_holds_the_stored_item_in_its_new_form(fleet: Any) -> None:
    """Single and in a transaction."""
    fleet.cards(1).create(ADA_1)

    with pytest.raises(AlreadyExists) as single:
        fleet.cards(3).create(Card3(id="1", title="other"))
    with pytest.raises(TransactionCanceled) as together, fleet.releases[2].transaction() as tx:
        tx.create(fleet.cards(3), Card3(id="1", title="other"))

    assert [ADA_3, ADA_3] == [single.value.stored, together.value.failures[0].stored]


TASK_MODELS: list[Callable[..., Any]] = [
    lambda number, labels: Task1(project="p", number=number, text=f"t{number}"),
    lambda number, labels: Task2(project="p", number=number, text=f"t{number}"),
    lambda number, labels: Task3(project="p", number=number, text=f"t{number}", labels=labels),
]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_filters_judge_older_items_by_their_new_form(fleet: Any, size: int) -> None:
    """Query and scan, pages included: what was renamed is found, and each item once."""
    for number in range(1, 7):
        release = number % 3 + 1
        model = TASK_MODELS[release - 1](number, labels=["migrated" if number < 3 else "other"])
        fleet.tasks(release).create(model)
    tasks = fleet.tasks(3)

    def migrated(it: Task3) -> Any:
        return it.labels[0] == "migrated"

    wanted = [task.number for task in tasks.query(project="p").all() if task.labels == ["migrated"]]
    found, cursor = [], None
    while True:
        page = tasks.query(project="p").where(migrated).page(size, after=cursor)
        found += [task.number for task in page.items]
        cursor = page.next
        if cursor is None:
            break

    assert [1, 2, 3, 4, 6] == wanted == found
    assert wanted == sorted(task.number for task in tasks.scan(name="all").where(migrated))


# Steps that fail


def _broken(item: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    raise KeyError(item["name"]["S"])


BAD_STEPS: list[tuple[Any, str]] = [
    (_broken, "upcast step from schema 1 to 2 raised KeyError"),
    (lambda item: None, "returned NoneType, not a dict"),
    (lambda item: list(item), "returned list, not a dict"),
    (lambda item: {**item, "title": "Ada"}, "returned an attribute title that is no attribute value"),
    (lambda item: {**item, "title": {"S": 5}}, "returned an attribute title"),
    (lambda item: {**item, "title": {"N": "many"}}, "returned an attribute title"),
    (lambda item: {**item, "secret-of-ada": {"X": "Ada"}}, "returned an attribute that is no attribute value"),
    (lambda item: {**item, "other": {"L": [{"S": "x"}, {"SS": ["x", "x"]}]}}, "returned an attribute that"),
    (lambda item: {**item, 5: {"S": "x"}}, "returned an attribute that"),
    (lambda item: item, "after the upcast steps from schema 1, does not fit its model: title is absent"),
    (lambda item: {**item, "id": {"S": "2"}, "title": {"S": "y"}}, "does not hold the fields of its own primary key"),
]


@pytest.mark.parametrize(("step", "told"), BAD_STEPS)
def test_a_bad_step_is_told_with_type_and_step_and_no_value(fleet: Any, step: Any, told: str) -> None:
    """On reads and on writes; nothing is written."""
    fleet.cards(1).create(Card1(id="1", name="Ada-secret"))
    stored = fleet.item(fleet.cards(1), "1")
    kind = EntityType(Card2, "card", key=Key("CARD#{id}", "CARD"), schema=2, upcast={1: step})
    cards = Database(fleet.releases[2].wire, table=fleet.cards(1).plan.table, entity_types=(kind,)).dao(kind)

    calls: list[Callable[[], object]] = [
        lambda: cards.get("1"),
        lambda: cards.query(id="1").all(),
        lambda: cards.query(id="1").where(lambda it: it.title != "x").all(),
        lambda: cards.update("1", lambda change, it: change.set(it.title, "x")),
        lambda: cards.put(Card2(id="1", title="x")),
        lambda: cards.plan.rewrite(stored),
    ]
    for each in calls:
        with pytest.raises(InvalidItem, match=told) as caught:
            each()
        assert ("card", CARD_2.item_key("1")) == (caught.value.entity, caught.value.key)
        assert "secret" not in f"{caught.value} {caught.value!r}"
        assert caught.value.__cause__ is None
    assert stored == fleet.item(fleet.cards(1), "1")


@pytest.mark.parametrize("stamp", [{"S": "2"}, {"N": "0"}, {"N": "-1"}, {"N": "1.5"}])
def test_a_schema_that_is_none_is_an_invalid_item(stamp: AttributeValue) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidItem, match="_s is no schema version") as caught:
        CARD_3.decode({**CARD_3.encode(ADA_3), "_s": stamp})

    assert "_s" == caught.value.field


def test_an_older_item_of_another_shape_is_an_invalid_item() -> None:
    """It was made by hand, since no engine gives one."""
    item = {**CARD_3.encode(ADA_3), "_s": {"N": "1"}, "name": "Ada"}

    with pytest.raises(InvalidItem, match="no attribute value"):
        CARD_3.decode(item)  # type: ignore[arg-type]  # that is what is tried


# Declarations


def test_steps_are_declared_without_gaps() -> None:
    """Told with all other faults of the type."""
    gap = EntityType(Card3, "card", key=Key("CARD#{id}", "CARD"), schema=3, upcast={2: gather_phones})
    late = EntityType(Card3, "card", key=Key("CARD#{id}", "CARD"), schema=1, upcast={1: rename_name})

    assert ("upcast has no step from schema 1 to the next, up to 3",) == gap.faults()
    with pytest.raises(ConfigurationError, match="end below the schema"):
        late.mapped  # noqa: B018 - compiling it is what is tried
