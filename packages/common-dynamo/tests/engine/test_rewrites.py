"""Rewrites (D37): what refers to the fields of an older item finds them in the new form, and nobody else is overwritten."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Change, Database, EntityType, Key, Pattern, Unique, metered
from common.dynamo import requests as rq
from common.dynamo.exceptions import (
    ConditionFailed,
    NotFound,
    OutcomeUnknown,
    TransactionCanceled,
    Unavailable,
    UniqueViolation,
    VersionConflict,
)
from common.dynamo.requests import AttributeValue
from common.dynamo.testing import Fault, FaultPlan, FaultRates, spend
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.testing.generations import (
    BY_TITLE,
    CARD_3,
    TASK_3,
    Card1,
    Card3,
    Task1,
    Task3,
)
from common.exceptions import InvalidInput

RAW = Pattern("Test.raw", "UpdateItem")

ADA_1 = Card1(id="1", name="Ada", phone="12")
ADA_3 = Card3(id="1", title="Ada", phones=["12"])


def retitle(change: Change[Card3], it: Card3) -> None:
    change.set(it.title, "Lady Ada")


def call(change: Change[Card3], it: Card3) -> None:
    change.append(it.phones, ["34"])


def finish(change: Change[Task3], it: Task3) -> None:
    change.set(it.state, "done")


def strange(db: Database, dao: DAO[Any], key: Any) -> None:
    """Give the item an attribute that no release knows."""
    update = rq.Update(set=((rq.Path(("strange",)), rq.Constant({"S": "kept"})),))
    db.execute(rq.UpdateItem(table=dao.plan.table, key=dao.plan.mapped.item_key(key), update=update), RAW)


@pytest.fixture(params=["single", "batch", "transaction"])
def way(request: pytest.FixtureRequest) -> str:
    """Each route in turn."""
    name: str = request.param
    return name


# Writing


def test_a_write_keeps_the_new_form(fleet: Any, way: str) -> None:
    """On every route: what the steps dropped is gone, what nobody knows stays, and the schema is the writer's."""
    for verb, arguments in (("update", ("1", retitle)), ("put", (Card3(id="1", title="Lady Ada", phones=["12"]),))):
        fleet.cards(1).put(ADA_1, replace=True)
        strange(fleet.releases[0], fleet.cards(1), "1")

        fleet.route(way, 3)(verb, fleet.cards(3), *arguments)

        item = fleet.item(fleet.cards(3), "1")
        assert Card3(id="1", title="Lady Ada", phones=["12"]) == fleet.cards(3).require("1")
        assert ("3", "kept") == (item["_s"]["N"], item["strange"]["S"])
        assert item.keys().isdisjoint({"name", "phone"})
        assert ["1"] == [card.id for card in fleet.cards(3).query(BY_TITLE, title="Lady Ada").all()]


def test_a_change_refers_to_the_new_form(fleet: Any) -> None:
    """Appending to a list that the stored item does not have yet."""
    fleet.cards(1).create(ADA_1)

    assert ["12", "34"] == fleet.cards(3).update("1", call).phones
    assert ["12", "34"] == fleet.cards(3).require("1").phones


def test_the_first_write_of_an_older_item_costs_a_rewrite(fleet: Any) -> None:
    """Refused, rewritten, sent again: three trips and one write unit more, in one operation; afterwards one trip."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    tasks = fleet.tasks(3)
    seen = tasks.require(("p", 1))

    with spend(wcu=2 + 1 + 2, trips=3, indexes={"GSI1": 3}):
        seen = tasks.update(seen, finish)
    with spend(wcu=1 + 2, trips=1, indexes={"GSI1": 2}):
        tasks.update(seen, lambda change, it: change.set(it.state, "open"))


def test_types_of_the_first_schema_pay_nothing(database: Database) -> None:
    """Their changes and conditions do not know of schemas."""
    notes = database.dao(NOTE)
    update = notes.plan.update("1", lambda change, it: change.set(it.text, "x"), where=lambda it: it.text == "y")
    delete = notes.plan.delete("1", where=lambda it: it.text == "y")

    assert "'_s'" not in repr((update.main, delete.main))
    assert [False, False] == [update.needs_form, delete.needs_form]
    assert notes.plan.put(Note(id="1", text="x")).request().condition is None


def test_conditions_refer_to_the_new_form(fleet: Any, way: str) -> None:
    """Renamed fields are compared as they are called now; on every route, for update and delete."""
    fleet.cards(1).create(ADA_1)
    cards, route = fleet.cards(3), fleet.route(way, 3)

    with pytest.raises(ConditionFailed) as caught:
        route("update", cards, "1", retitle, where=lambda it: it.title == "Eve")
    assert ADA_3 == caught.value.stored

    fleet.cards(1).put(ADA_1, replace=True)
    route("update", cards, "1", call, where=lambda it: it.title == "Ada")
    assert ["12", "34"] == cards.require("1").phones

    fleet.cards(1).put(ADA_1, replace=True)
    with pytest.raises(ConditionFailed):
        route("delete", cards, "1", where=lambda it: it.title == "Eve")
    fleet.cards(1).put(ADA_1, replace=True)
    route("delete", cards, "1", where=lambda it: it.title == "Ada")
    assert cards.get("1") is None


def test_a_check_refers_to_the_new_form(fleet: Any) -> None:
    """Of an older item beside another one that is changed."""
    fleet.cards(1).create(ADA_1)
    fleet.cards(1).create(Card1(id="2", name="Eve"))
    cards = fleet.cards(3)

    with metered() as meter, fleet.releases[2].transaction() as tx:
        tx.check(cards, "1", lambda it: it.title == "Ada")
        tx.update(cards, "2", call)
        tx.create(cards, Card3(id="3", title="Bob"))

    assert [ADA_3, ["34"], "Bob"] == [cards.get("1"), cards.require("2").phones, cards.require("3").title]
    assert (4, meter.cost) == (meter.cost.trips, tx.cost)


def test_a_transaction_tells_real_failures_after_the_rewrite(fleet: Any) -> None:
    """The older item is no failure; the one beside it is, at its own position."""
    fleet.cards(1).create(ADA_1)
    cards = fleet.cards(3)

    def both() -> None:
        with fleet.releases[2].transaction() as tx:
            tx.update(cards, "1", call)
            tx.update(cards, "nobody", call)

    with pytest.raises(NotFound) as caught:
        both()

    assert isinstance(caught.value, TransactionCanceled)
    assert [1] == [failure.position for failure in caught.value.failures]
    assert ADA_3 == cards.get("1")


def test_upsert_changes_an_older_item(fleet: Any) -> None:
    """And stores the default where there is none."""
    fleet.cards(1).create(ADA_1)

    assert ["12", "34"] == fleet.cards(3).upsert("1", call, default=ADA_3).phones
    assert ADA_3.model_copy(update={"id": "2"}) == fleet.cards(3).upsert(
        "2", call, default=ADA_3.model_copy(update={"id": "2"})
    )


def test_a_request_id_goes_with_a_rewrite(fleet: Any) -> None:
    """A repeat of the whole call changes nothing."""
    fleet.cards(1).create(ADA_1)
    for _ in range(2):
        found = fleet.cards(3).update("1", call, request_id="r-1")

    assert ["12", "34"] == found.phones == fleet.cards(3).require("1").phones


def test_a_transaction_with_a_request_id_is_applied_once(fleet: Any) -> None:
    """The rewrite is no part of it; the repeat finds the record of the first call."""
    fleet.cards(1).create(ADA_1)
    for _ in range(2):
        with fleet.releases[2].transaction(request_id="r-1") as tx:
            tx.update(fleet.cards(3), "1", call)

    assert ["12", "34"] == fleet.cards(3).require("1").phones


def test_a_stale_writer_loses_without_a_rewrite(fleet: Any) -> None:
    """In whatever form the item is."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    stale = fleet.tasks(3).require(("p", 1))
    fleet.tasks(1).update(fleet.tasks(1).require(("p", 1)), finish)
    stored = fleet.item(fleet.tasks(3), ("p", 1))

    with pytest.raises(VersionConflict) as caught, spend(trips=1):
        fleet.tasks(3).update(stale, finish)

    assert (1, 2) == (caught.value.expected, caught.value.stored.version)
    assert stored == fleet.item(fleet.tasks(3), ("p", 1))


def test_an_expired_older_item_is_as_absent_as_any(fleet: Any) -> None:
    """For update; a put and a create store over it, whole in the new form."""
    past = datetime.now(UTC) - timedelta(hours=1)
    fleet.tasks(1).create(Task1(project="p", number=1, text="write", due=past))
    tasks = fleet.tasks(3)

    with pytest.raises(NotFound):
        tasks.update(("p", 1), finish, unlocked=True)
    created = tasks.create(Task3(project="p", number=1, text="write", labels=[]))

    assert created == tasks.get(("p", 1))


def test_the_version_is_counted_by_changes_alone(fleet: Any) -> None:
    """A rewrite changes the form, not the content: whoever has read the item before may still write."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    tasks = fleet.tasks(3)
    seen = tasks.require(("p", 1))
    fleet.releases[2].dao(TASK_3).batch_write([tasks.plan.rewrite(fleet.item(tasks, ("p", 1)))])

    assert seen == tasks.require(("p", 1))
    assert 2 == tasks.update(seen, finish).version


def test_a_type_may_gain_a_version(database: Database) -> None:
    """Its older items are read as version 1, and the next change makes 2 of it."""

    class Counted(BaseModel):
        id: str
        text: str
        version: int = 0

    counted = EntityType(
        Counted, "note", key=Key("NOTE#{id}", "NOTE"), version="version", schema=2, upcast={1: lambda item: item}
    )
    newer = Database(database.wire, table=database.table_of(NOTE), entity_types=(counted,))
    database.dao(NOTE).create(Note(id="1", text="x"))
    seen = newer.dao(counted).require("1")

    assert Counted(id="1", text="x", version=1) == seen
    assert 2 == newer.dao(counted).put(seen.model_copy(update={"text": "y"})).version
    assert 3 == newer.dao(counted).put(newer.dao(counted).require("1"), replace=True).version


def test_threads_change_one_older_item_and_lose_nothing(fleet: Any) -> None:
    """Each may find it old; one rewrites, the others look again."""
    fleet.cards(1).create(ADA_1)

    def work(number: int) -> None:
        fleet.cards(3).update("1", lambda change, it: change.append(it.phones, [str(number)]), deadline=30)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"12", *map(str, range(8))} == set(fleet.cards(3).require("1").phones)
    assert 9 == len(fleet.cards(3).require("1").phones)


# Lost answers


@pytest.mark.parametrize("lost", [Fault.DROP_AFTER, Fault.ERROR_AFTER])
def test_a_rewrite_whose_answer_was_lost_has_succeeded(fleet: Any, faults: FaultPlan, lost: Fault) -> None:
    """It finds its own write id, and the change goes on."""
    fleet.cards(1).create(ADA_1)
    faults.script(None, lost)

    assert ["12", "34"] == fleet.cards(3).update("1", call).phones


def test_a_rewrite_that_cannot_be_done_leaves_the_change_undone(fleet: Any, faults: FaultPlan) -> None:
    """So the call is unavailable, not unknown: it may be repeated as it is."""
    fleet.cards(1).create(ADA_1)
    faults.script(None, *[Fault.DROP_BEFORE] * 50)

    with pytest.raises(Unavailable, match="nothing else was applied"):
        fleet.cards(3).update("1", call, deadline=0.2)
    faults.heal()
    assert ADA_3 == fleet.cards(3).require("1")


def test_an_older_item_after_an_unknown_attempt_proves_nothing(fleet: Any, faults: FaultPlan) -> None:
    """The attempt may have been applied, and older code may have replaced the item since."""
    fleet.cards(1).create(ADA_1)
    faults.script(Fault.DROP_BEFORE)

    with pytest.raises(OutcomeUnknown):
        fleet.cards(3).update("1", retitle)
    assert "Lady Ada" == fleet.cards(3).update("1", retitle).title


@pytest.mark.parametrize("together", [False, True], ids=["single", "transaction"])
def test_a_bad_day_neither_loses_nor_doubles_a_change_of_an_older_item(
    fleet: Any, faults: FaultPlan, together: bool
) -> None:
    """Lost answers, lost requests, errors: what is said to be applied is applied once, and what is said not to be is not."""
    for number in range(40):
        fleet.tasks(1).create(Task1(project="p", number=number, text=f"t{number}"))
        fleet.cards(1).create(Card1(id=f"{number}", name="Ada", phone="12"))
    # A request that the network doubles is done twice, unless a token or a version protects it: here, in transactions.
    doubled = 0.05 if together else 0.0
    faults.rates = FaultRates(drop_before=0.05, drop_after=0.1, error_after=0.05, error_before=0.05, duplicate=doubled)
    outcomes: dict[int, str] = {}
    for number in range(40):
        try:
            if together:
                with fleet.releases[2].transaction(deadline=20) as tx:
                    tx.update(fleet.cards(3), f"{number}", call)
                    tx.update(fleet.tasks(3), ("p", number), finish, expect=1, known={"text": f"t{number}"})
            else:
                fleet.cards(3).update(f"{number}", call, deadline=20)
            outcomes[number] = "applied"
        except OutcomeUnknown:
            outcomes[number] = "unknown"
        except Unavailable:
            outcomes[number] = "not applied"
    faults.heal()

    for number, outcome in outcomes.items():
        phones = fleet.cards(3).require(f"{number}").phones
        allowed = {"applied": [1], "unknown": [0, 1], "not applied": [0]}[outcome]
        assert phones.count("34") in allowed, outcome
        if together:
            assert fleet.tasks(3).require(("p", number)).version == 1 + phones.count("34")
    assert "applied" in outcomes.values()


# Rewriting


def test_a_rewrite_changes_what_differs_and_nothing_else(fleet: Any) -> None:
    """A value: what is set, what is removed, and on what condition."""
    fleet.cards(1).create(ADA_1)
    item = fleet.item(fleet.cards(1), "1")
    write = fleet.cards(3).plan.rewrite(item)
    main = write.request()

    assert isinstance(main, rq.UpdateItem)
    assert {"_s", "_w", "title", "phones", "g2pk", "g2sk"} == {path.parts[0] for path, _ in main.update.set}
    assert {"name", "phone"} == {path.parts[0] for path in main.update.remove}
    assert (ADA_3, "rewrite card") == (write.model, write.operation)


@pytest.mark.parametrize("rival", ["old", "new"])
def test_a_rewrite_of_what_has_changed_since_is_refused(fleet: Any, rival: str) -> None:
    """By whatever program."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    tasks = fleet.tasks(3)
    write = tasks.plan.rewrite(fleet.item(tasks, ("p", 1)))
    writer = fleet.tasks(1) if rival == "old" else tasks
    writer.update(writer.require(("p", 1)), finish)
    stored = fleet.item(tasks, ("p", 1))

    with pytest.raises(VersionConflict):
        tasks.batch_write([write])
    assert stored == fleet.item(tasks, ("p", 1))


def test_a_rewrite_of_an_unversioned_item_goes_by_its_write_id(fleet: Any) -> None:
    """Also where the rival changed what the type does not know; and an item that is gone is not found."""
    fleet.cards(1).create(ADA_1)
    cards = fleet.cards(3)
    write = cards.plan.rewrite(fleet.item(cards, "1"))
    fleet.cards(1).put(ADA_1)

    with pytest.raises(ConditionFailed):
        cards.batch_write([write])
    cards.delete("1")
    with pytest.raises(NotFound):
        cards.batch_write([write])


def test_a_rewrite_of_an_item_of_the_own_schema_makes_its_index_keys_again(fleet: Any) -> None:
    """After an index was declared, without another schema."""
    plain = EntityType(Card3, "card", key=Key("CARD#{id}", "CARD"), schema=3, upcast=dict(CARD_3.upcast))
    db = Database(fleet.releases[2].wire, table=fleet.cards(1).plan.table, entity_types=(plain,))
    db.dao(plain).create(ADA_3)
    cards = fleet.cards(3)
    assert [] == cards.query(BY_TITLE, title="Ada").all()

    cards.batch_write([cards.plan.rewrite(fleet.item(cards, "1"))])

    assert [ADA_3] == cards.query(BY_TITLE, title="Ada").all()


def test_a_newer_item_is_not_rewritten(fleet: Any) -> None:
    """Its form is not known here."""
    fleet.cards(3).create(ADA_3)

    with pytest.raises(InvalidInput, match="leave it to the programs that wrote it"):
        fleet.cards(2).plan.rewrite(fleet.item(fleet.cards(2), "1"))


# Unique fields


class Member(BaseModel):
    """Has a unique email."""

    id: str
    email: str


def _member(schema: int, step: Any = None) -> EntityType[Member]:
    upcast = {} if step is None else {1: step}
    return EntityType(
        Member, "member", key=Key("MEM#{id}", "MEM"), unique=[Unique("email")], schema=schema, upcast=upcast
    )


def lower(item: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {**item, "email": {"S": item["email"]["S"].lower()}}


def test_locks_move_with_a_step_that_changes_a_unique_field(database: Database) -> None:
    """The rewrite takes the new value and gives the old one back, before the change itself."""
    old, new = _member(1), _member(2, lower)
    database.dao(old).create(Member(id="1", email="Ada@x"))
    newer = Database(database.wire, table=database.table_of(old), entity_types=(new,))
    members = newer.dao(new)

    assert "b@x" == members.update("1", lambda change, it: change.set(it.email, "b@x")).email
    members.create(Member(id="2", email="ada@x"))
    with pytest.raises(UniqueViolation):
        members.create(Member(id="3", email="b@x"))


def test_a_delete_gives_back_the_lock_that_a_step_has_changed(database: Database) -> None:
    """Neither the old value's nor the new one's is left."""
    old, new = _member(1), _member(2, lower)
    database.dao(old).create(Member(id="1", email="Ada@x"))
    newer = Database(database.wire, table=database.table_of(old), entity_types=(new,))

    newer.dao(new).delete("1")

    assert database.dao(old).create(Member(id="2", email="Ada@x"))
    assert newer.dao(new).create(Member(id="3", email="ada@x"))


def test_a_step_that_makes_a_value_twice_is_a_violation(database: Database) -> None:
    """Nothing is written, and the items can still be read; a rewrite with other content repairs one of them."""
    old, new = _member(1), _member(2, lower)
    database.dao(old).create(Member(id="1", email="Ada@x"))
    database.dao(old).create(Member(id="2", email="ada@x"))
    newer = Database(database.wire, table=database.table_of(old), entity_types=(new,))
    members = newer.dao(new)

    with pytest.raises(UniqueViolation) as caught:
        members.update("1", lambda change, it: change.set(it.email, "b@x"))

    assert "email" == caught.value.field
    assert ["ada@x", "ada@x"] == [members.require(each).email for each in ("1", "2")]

    item = database.execute(members.plan.get("1"), RAW).body["Item"]
    members.batch_write([members.plan.rewrite(item, content=Member(id="1", email="b@x"))])
    assert ["b@x", "ada@x"] == [members.require(each).email for each in ("1", "2")]
    with pytest.raises(UniqueViolation):
        members.create(Member(id="3", email="b@x"))


def test_steps_that_leave_unique_fields_alone_touch_no_lock(fleet: Any) -> None:
    """The rewrite is a plain update; a delete gives the lock back as ever."""
    fleet.tasks(1).create(Task1(project="p", number=1, text="write"))
    tasks = fleet.tasks(3)
    assert () == tasks.plan.rewrite(fleet.item(tasks, ("p", 1))).locks

    tasks.delete(tasks.require(("p", 1)))

    assert tasks.create(Task3(project="p", number=2, text="WRITE", labels=[]))
