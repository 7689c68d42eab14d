"""Mixed fleets (D37): old and new programs at work on one table, and neither undoes what the other one knows."""

import random
from typing import Any

import pytest

from common.dynamo import Change, Plan
from common.dynamo import requests as rq
from common.dynamo.exceptions import ConditionFailed, VersionConflict
from common.dynamo.layout import index_attributes
from common.dynamo.testing import spend
from common.dynamo.testing.generations import BY_STATE, CARD_2, Card1, Card2, Card3, Task1, Task2, Task3
from common.dynamo.testing.routes import ROUTES

KEY = ("p", 1)
NEW = Task3(project="p", number=1, text="write", priority=2, labels=["home"])


def finish(change: Change[Any], it: Any) -> None:
    change.set(it.state, "done")


@pytest.fixture(params=ROUTES)
def way(request: pytest.FixtureRequest) -> str:
    """Each route in turn."""
    name: str = request.param
    return name


@pytest.mark.parametrize("release", [1, 2])
def test_old_code_never_stamps_a_newer_item_down(fleet: Any, way: str, release: int) -> None:
    """By put and update, on every route: the schema stays, and so does what only newer code knows."""
    fleet.tasks(3).create(NEW)
    old, route = fleet.tasks(release), fleet.route(way, release)

    seen = old.require(KEY)
    options = {} if route.reads_by_itself else {"old": seen}
    route("put", old, seen.model_copy(update={"text": "write it"}), **options)
    assert "3" == fleet.item(old, KEY)["_s"]["N"]

    route("update", old, old.require(KEY), finish)
    assert "3" == fleet.item(old, KEY)["_s"]["N"]
    assert NEW.model_copy(update={"text": "write it", "state": "done", "version": 3}) == fleet.tasks(3).require(KEY)
    assert ["done"] == [task.state for task in fleet.tasks(3).query(BY_STATE, project="p", state="done").all()]


@pytest.mark.parametrize("release", [1, 2])
def test_old_code_writes_a_newer_item_in_one_call(fleet: Any, release: int) -> None:
    """No second attempt, nor a read: if_not_exists keeps the higher schema."""
    fleet.cards(3).create(Card3(id="1", title="Ada"))
    model = Card1(id="1", name="Ada") if release == 1 else Card2(id="1", title="Ada")

    with spend(wcu=2, trips=1, indexes={"GSI2": 1}):
        fleet.cards(release).put(model)
    assert "3" == fleet.item(fleet.cards(3), "1")["_s"]["N"]


def test_old_code_deletes_and_asks_by_the_fields_it_knows(fleet: Any, way: str) -> None:
    """Conditions too."""
    fleet.tasks(3).create(NEW)
    old, route = fleet.tasks(2), fleet.route(way, 2)
    seen = old.require(KEY)

    with pytest.raises(ConditionFailed):
        route("delete", old, seen, where=lambda it: it.priority == 5)
    route("delete", old, seen, where=lambda it: it.priority == 2)

    assert fleet.tasks(3).get(KEY) is None
    assert fleet.tasks(3).create(NEW)


def test_a_replacing_put_makes_the_item_one_of_its_own_schema(fleet: Any) -> None:
    """All of it is gone that the writer does not know: then its own schema is what the item is of, and newer code upcasts."""
    fleet.tasks(3).create(NEW)
    fleet.tasks(1).put(fleet.tasks(1).require(KEY), replace=True)

    item = fleet.item(fleet.tasks(3), KEY)
    assert "1" == item["_s"]["N"]
    assert item.keys().isdisjoint({"priority", "labels"})
    assert NEW.model_copy(update={"priority": 5, "labels": ["migrated"], "version": 2}) == fleet.tasks(3).require(KEY)


def test_old_code_creates_and_new_code_takes_over(fleet: Any, way: str) -> None:
    """Back and forth: each reads what the other one wrote, and the version runs through."""
    fleet.route(way, 1)("create", fleet.tasks(1), Task1(project="p", number=1, text="!write"))
    for release in (3, 1, 2, 3, 1):
        dao = fleet.tasks(release)
        seen = dao.require(KEY)
        fleet.route(way, release)("update", dao, seen, lambda change, it: change.set(it.state, f"by {release}"))  # noqa: B023

    item = fleet.item(fleet.tasks(3), KEY)
    assert ("3", "6", "by 1") == (item["_s"]["N"], item["version"]["N"], item["state"]["S"])
    assert (1, ["migrated"]) == (fleet.tasks(3).require(KEY).priority, fleet.tasks(3).require(KEY).labels)


def test_a_conflict_is_a_conflict_across_releases(fleet: Any) -> None:
    """Whoever has seen an older version loses, whichever program it is."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    seen = {release: fleet.tasks(release).require(KEY) for release in (1, 2, 3)}
    fleet.tasks(2).update(seen[2], finish)

    for release in (1, 3):
        with pytest.raises(VersionConflict):
            fleet.tasks(release).update(seen[release], finish)
        with pytest.raises(VersionConflict):
            fleet.tasks(release).put(seen[release])


def test_a_unique_value_has_one_owner_across_releases(fleet: Any) -> None:
    """The lock of an item does not change with its schema."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    fleet.tasks(3).update(KEY, finish, unlocked=True)

    with pytest.raises(ConditionFailed):
        fleet.tasks(2).create(Task2(project="p", number=2, text="Write"))
    fleet.tasks(1).delete(KEY, unlocked=True)
    assert fleet.tasks(2).create(Task2(project="p", number=2, text="Write"))


@pytest.mark.parametrize("seed", range(4))
def test_random_work_of_three_releases_keeps_every_rule(fleet: Any, seed: int) -> None:
    """Against a model of what should be there: fields, versions, index keys, unknown attributes, a schema that never sinks."""
    chance = random.Random(seed)
    expected: dict[int, dict[str, Any]] = {}
    for step in range(60):
        number, release, way = chance.randrange(1, 5), chance.choice((1, 2, 3)), chance.choice(ROUTES)
        dao, route = fleet.tasks(release), fleet.route(way, release)
        before = fleet.item(dao, ("p", number))
        verb = "create" if not before else chance.choice(("put", "update", "update", "delete"))
        _work(verb, dao, route, number, step)
        after = fleet.item(dao, ("p", number))
        _expect(expected, verb, release, number, step)
        if before and after:
            assert int(after["_s"]["N"]) >= int(before["_s"]["N"])

        for each in (1, 2, 3, 4):
            found = fleet.tasks(3).get(("p", each))
            wanted = expected.get(each)
            assert wanted == (None if found is None else found.model_dump(include=set(wanted or ())))
            _has_right_index_keys(fleet.item(dao, ("p", each)))


def _work(verb: str, dao: Any, route: Any, number: int, step: int) -> None:
    model = dao.plan.entity.model
    if verb == "create":
        extra = {"labels": [f"l{step}"]} if "labels" in model.model_fields else {}
        route("create", dao, model(project="p", number=number, text=f"t{number}", state=f"s{step}", **extra))
        return
    seen = dao.require(("p", number))
    if verb == "put":
        options = {} if route.reads_by_itself else {"old": seen}
        route("put", dao, seen.model_copy(update={"state": f"s{step}"}), **options)
    elif verb == "update":
        route("update", dao, seen, lambda change, it: change.set(it.state, f"s{step}"))
    else:
        route("delete", dao, seen)


def _expect(expected: dict[int, dict[str, Any]], verb: str, release: int, number: int, step: int) -> None:
    if verb == "delete":
        del expected[number]
    elif verb == "create":
        labels = [f"l{step}"] if release == 3 else ["migrated"]
        expected[number] = {"text": f"t{number}", "state": f"s{step}", "priority": 5, "labels": labels, "version": 1}
    else:
        was = expected[number]
        expected[number] = {**was, "state": f"s{step}", "version": was["version"] + 1}


def _has_right_index_keys(item: dict[str, Any]) -> None:
    if item:
        partition, sort = index_attributes(BY_STATE.name)
        number = f"{10**6 + int(item['number']['N'])}"
        assert (f"TASK#p#{item['state']['S']}", number) == (item[partition]["S"], item[sort]["S"])


def test_a_put_writes_the_schema_only_where_there_is_none() -> None:
    """The request as a value: one call, whatever is stored."""
    plan = Plan(CARD_2, CARD_2.mapped, "table", lambda: 0.0, lambda: "w")
    main = plan.put(Card2(id="1", title="Ada")).request()

    assert isinstance(main, rq.UpdateItem)
    schema = rq.Path(("_s",))
    assert dict(main.update.set)[schema] == rq.IfNotExists(schema, rq.Constant({"N": "2"}))
    assert rq.Or((rq.NotExists(rq.Path(("pk",))), rq.Compare(">=", schema, rq.Constant({"N": "2"})))) == main.condition
