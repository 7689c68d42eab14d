"""One write path (D5, D10, D13-D15, D17): the same rules on every route, for every verb."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from common.dynamo import DAO, Change, Database, EntityType, Index, Key, Pattern, metered
from common.dynamo import requests as rq
from common.dynamo.exceptions import AlreadyExists, ConditionFailed, NotFound, VersionConflict
from common.dynamo.testing.examples import BY_STATE, COUNTER, INVOICE, Counter, Invoice, Note, State, make_invoice
from common.dynamo.testing.routes import ROUTES, Route
from common.exceptions import ConfigurationError, InvalidInput

RAW = Pattern("Test.raw", "GetItem")


def raw(db: Database, dao: DAO[Any], key: Any) -> dict[str, Any] | None:
    """Return the item itself."""
    request = dao.plan.get(key)
    item: dict[str, Any] | None = db.execute(request, RAW).body.get("Item")
    return item


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


def expired(number: int = 1) -> Invoice:
    return make_invoice(number, expires_at=datetime.now(UTC) - timedelta(hours=1))


# Existence is in the verb (D14)


def test_create_refuses_what_exists(route: Route, invoices: DAO[Invoice]) -> None:
    """On every route; the error has the stored model."""
    stored = invoices.create(make_invoice(total="1.00"))

    with pytest.raises(AlreadyExists) as caught:
        route("create", invoices, make_invoice(total="2.00", email="other@example.org"))

    assert stored == caught.value.stored
    assert stored == invoices.get(("t1", 1))


def test_create_replaces_what_has_expired(route: Route, database: Database, invoices: DAO[Invoice]) -> None:
    """An expired item is as absent as a missing one, whether or not it has been swept."""
    invoices.create(expired())
    route("create", invoices, make_invoice(total="3.00"))

    assert Decimal("3.00") == invoices.require(("t1", 1)).total
    assert "_x" not in (raw(database, invoices, ("t1", 1)) or {})


def test_update_refuses_what_does_not_exist(route: Route, invoices: DAO[Invoice]) -> None:
    """No half item appears."""
    with pytest.raises(NotFound):
        route("update", invoices, ("t1", 1), pay, unlocked=True)

    assert invoices.get(("t1", 1), include_expired=True) is None


def test_update_refuses_what_has_expired(route: Route, invoices: DAO[Invoice]) -> None:
    """The condition, not the sweep, decides."""
    invoices.create(expired())

    with pytest.raises(NotFound):
        route("update", invoices, ("t1", 1), pay, unlocked=True)


def test_put_stores_new_and_old_alike(route: Route, notes: DAO[Note]) -> None:
    """The whole model, on every route."""
    route("put", notes, Note(id="1", text="one", author="a"))
    route("put", notes, Note(id="1", text="two"))

    assert Note(id="1", text="two") == notes.get("1")


def test_delete_accepts_absence_unless_asked(route: Route, notes: DAO[Note]) -> None:
    """must_exist and where make absence an error."""
    route("delete", notes, "1")
    with pytest.raises(NotFound):
        route("delete", notes, "1", must_exist=True)
    with pytest.raises(NotFound):
        route("delete", notes, "1", where=lambda it: it.text == "x")

    notes.create(Note(id="1", text="x"))
    route("delete", notes, "1", must_exist=True)
    assert notes.get("1") is None


def test_delete_of_an_expired_item_counts_as_absence(route: Route, invoices: DAO[Invoice]) -> None:
    """must_exist asks for one that is alive."""
    stored = invoices.create(expired())

    with pytest.raises(NotFound):
        route("delete", invoices, stored, must_exist=True)


def test_upsert_changes_what_is_there_and_else_stores_the_default(notes: DAO[Note]) -> None:
    """The default is whole, and the change is not applied to it."""

    def shout(change: Change[Note], it: Note) -> None:
        change.set(it.text, "LOUD")

    assert Note(id="1", text="quiet") == notes.upsert("1", shout, default=Note(id="1", text="quiet"))
    assert Note(id="1", text="LOUD") == notes.upsert("1", shout, default=Note(id="1", text="quiet"))


def test_upsert_takes_an_expired_item_for_absent(invoices: DAO[Invoice]) -> None:
    """The default replaces it."""
    invoices.create(expired())

    assert State.OPEN == invoices.upsert(("t1", 1), pay, default=make_invoice(), unlocked=True).state


# A failed condition tells what is stored (D17)


def refused(number: int) -> dict[str, Any]:
    return {"where": lambda it: it.total > Decimal(number)}


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_a_failed_condition_raises_with_the_stored_model(route: Route, invoices: DAO[Invoice], verb: str) -> None:
    """Never a silent no-op, on no route."""
    stored = invoices.create(make_invoice(total="5.00"))
    arguments = (stored, pay) if verb == "update" else (stored,)

    with pytest.raises(ConditionFailed) as caught:
        route(verb, invoices, *arguments, **refused(9))

    assert stored == caught.value.stored
    assert not isinstance(caught.value, VersionConflict)
    assert stored == invoices.get(("t1", 1))


def test_no_message_of_a_refusal_holds_a_value(invoices: DAO[Invoice]) -> None:
    """Nor the key."""
    invoices.create(make_invoice(tenant="canary-tenant", email="canary@example.org"))

    with pytest.raises(AlreadyExists) as caught:
        invoices.create(make_invoice(tenant="canary-tenant", email="canary@example.org"))

    assert "canary" not in f"{caught.value!s}{caught.value!r}{caught.value.reasons!r}"


# Unknown attributes survive (D5)


def with_newer_field(db: Database, notes: DAO[Note]) -> None:
    notes.create(Note(id="1", text="old", author="a"))
    update = rq.Update(set=((rq.Path(("newer",)), rq.Constant({"S": "kept"})),))
    db.execute(
        rq.UpdateItem(table=db.table_of(notes.plan.entity), key=notes.plan.entity.item_key("1"), update=update), RAW
    )


def test_an_attribute_of_a_newer_program_outlives_an_older_put(
    route: Route, database: Database, notes: DAO[Note]
) -> None:
    """And a mapped field that the model does not have any more is removed."""
    with_newer_field(database, notes)
    route("put", notes, Note(id="1", text="new"))

    item = raw(database, notes, "1") or {}
    assert {"S": "kept"} == item["newer"]
    assert {"S": "new"} == item["text"]
    assert "author" not in item


def test_a_replacing_put_wipes_what_it_does_not_know(route: Route, database: Database, notes: DAO[Note]) -> None:
    """replace=True is the whole item."""
    with_newer_field(database, notes)
    route("put", notes, Note(id="1", text="new"), replace=True)

    assert "newer" not in (raw(database, notes, "1") or {})


# Index keys (D10)


def state_of_index(invoices: DAO[Invoice]) -> dict[State, list[int]]:
    return {state: [one.number for one in invoices.query(BY_STATE, tenant="t1", state=state).all()] for state in State}


def test_an_update_moves_the_index_row(route: Route, invoices: DAO[Invoice]) -> None:
    """The key's fields are known from the primary key, so nothing else has to be given."""
    stored = invoices.create(make_invoice())
    route("update", invoices, stored, pay)

    assert {State.OPEN: [], State.PAID: [1]} == state_of_index(invoices)


class Task(BaseModel):
    id: str
    owner: str | None = None
    rank: int = 0
    done: bool = False


TASK = EntityType(
    Task, "task", key=Key("TASK#{id}", "TASK"), indexes=[Index("GSI1", Key("OWNER#{owner}", "{rank:4}#{id}"))]
)


@pytest.fixture
def tasks(database: Database) -> DAO[Task]:
    return database.dao(TASK)


def test_a_partial_update_of_an_index_key_is_refused_unless_the_rest_is_known(route: Route, tasks: DAO[Task]) -> None:
    """Nothing is sent; known= and the model itself both supply the rest."""
    stored = tasks.create(Task(id="1", owner="ada", rank=1))
    with pytest.raises(ConfigurationError, match="owner of it is not known"):
        route("update", tasks, "1", lambda change, it: change.set(it.rank, 2))

    route("update", tasks, "1", lambda change, it: change.set(it.rank, 2), known={"owner": "ada"})
    assert [2] == [one.rank for one in tasks.query("GSI1", owner="ada").all()]
    route("update", tasks, stored, lambda change, it: change.set(it.rank, 3))
    assert [3] == [one.rank for one in tasks.query("GSI1", owner="ada").all()]


def test_a_known_value_that_is_no_longer_true_is_a_failed_condition(route: Route, tasks: DAO[Task]) -> None:
    """Else the index row would be made of a value that is not stored."""
    stored = tasks.create(Task(id="1", owner="ada", rank=1))
    tasks.put(Task(id="1", owner="bob", rank=1))

    for target, known in (("1", {"owner": "ada"}), (stored, None)):
        with pytest.raises(ConditionFailed) as caught:
            route("update", tasks, target, lambda change, it: change.set(it.rank, 2), known=known)
        assert "bob" == caught.value.stored.owner


def test_adding_to_a_part_of_an_index_key_is_refused(tasks: DAO[Task]) -> None:
    """The engine alone would know the new value."""
    with pytest.raises(ConfigurationError, match="rank of it is not known here"):
        tasks.plan.update("1", lambda change, it: change.add(it.rank, 1), known={"owner": "ada"})


def test_a_component_that_becomes_none_takes_the_item_out_of_the_index(
    route: Route, database: Database, tasks: DAO[Task]
) -> None:
    """Both key attributes go, by update and by put."""
    tasks.create(Task(id="1", owner="ada"))
    route("update", tasks, Task(id="1", owner="ada"), lambda change, it: change.set(it.owner, None))
    assert not {"g1pk", "g1sk"} & (raw(database, tasks, "1") or {}).keys()

    route("put", tasks, Task(id="1", owner="ada"))
    route("put", tasks, Task(id="1"))
    assert not {"g1pk", "g1sk"} & (raw(database, tasks, "1") or {}).keys()


steps = st.lists(
    st.tuples(
        st.sampled_from(ROUTES),
        st.sampled_from(["put", "rank", "owner", "done"]),
        st.sampled_from([None, "ada", "bob"]),
        st.integers(0, 20),
    ),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=steps)
def test_after_any_updates_on_any_routes_each_index_row_equals_its_template(
    database: Database, tasks: DAO[Task], steps: list[tuple[str, str, str | None, int]]
) -> None:
    """The stored index key is always what the template makes of the stored item."""
    send = {name: Route(name, database) for name in ROUTES}
    tasks.put(Task(id="1"))
    for way, what, owner, rank in steps:
        stored = tasks.require("1")
        if what == "put":
            send[way]("put", tasks, Task(id="1", owner=owner, rank=rank))
        elif what == "rank":
            send[way]("update", tasks, stored, lambda change, it, rank=rank: change.set(it.rank, rank))
        elif what == "owner":
            send[way]("update", tasks, stored, lambda change, it, owner=owner: change.set(it.owner, owner))
        else:
            send[way]("update", tasks, "1", lambda change, it: change.set(it.done, True))

        item = raw(database, tasks, "1") or {}
        keys = {name: value for name, value in item.items() if name in ("g1pk", "g1sk")}
        assert TASK.index_keys(TASK.decode(item)) == keys


# Arguments and results (D15)


def test_arguments_are_never_changed(route: Route, invoices: DAO[Invoice]) -> None:
    """A failed save leaves the model as it was, so saving it again fails again."""
    seen = invoices.create(make_invoice())
    invoices.update(seen, pay)
    before = seen.model_copy(deep=True)
    given: dict[str, Any] = {} if route.reads_by_itself else {"old": seen}

    for _ in range(2):
        with pytest.raises(VersionConflict):
            route("put", invoices, seen, **given)

    assert before == seen


def test_what_a_write_stored_is_returned_as_a_new_model(invoices: DAO[Invoice]) -> None:
    """Version and scale are those of the table, and equal to what a read gives."""
    given = make_invoice(total="7")
    created = invoices.create(given)

    assert (0, 1) == (given.version, created.version)
    assert "7.00" == str(created.total)
    assert created == invoices.get(("t1", 1))
    paid = invoices.update(created, pay)
    assert (State.PAID, 2) == (paid.state, paid.version)
    assert paid == invoices.get(("t1", 1))
    put = invoices.put(paid.model_copy(update={"total": Decimal(8)}))
    assert put == invoices.get(("t1", 1))


def test_a_model_that_could_not_be_read_again_is_not_stored(notes: DAO[Note]) -> None:
    """A constraint that an assignment went past is found before anything is sent."""

    class Short(BaseModel):
        id: str
        text: str

    with pytest.raises(InvalidInput, match="note stores Note, not Short"):
        notes.create(Short(id="1", text="x"))  # type: ignore[arg-type]
    broken = Note(id="1", text="x")
    broken.text = 7  # type: ignore[assignment]
    with metered() as meter, pytest.raises(InvalidInput, match="text must be text"):
        notes.create(broken)
    assert 0 == meter.cost.trips


# What the layer alone writes


@pytest.mark.parametrize(
    ("update", "told"),
    [
        (rq.Update(set=((rq.Path(("pk",)), rq.Constant({"S": "x"})),)), "written by the layer"),
        (rq.Update(set=((rq.Path(("_t",)), rq.Constant({"S": "x"})),)), "written by the layer"),
        (rq.Update(remove=(rq.Path(("g1pk",)),)), "written by the layer"),
        (rq.Update(set=((rq.Path(("tenant",)), rq.Constant({"S": "x"})),)), "part of the primary key"),
        (rq.Update(add=((rq.Path(("version",)), rq.Constant({"N": "5"})),)), "the layer counts"),
    ],
    ids=["key", "type", "index key", "key field", "version"],
)
def test_a_change_of_what_only_the_layer_writes_is_refused(
    invoices: DAO[Invoice], update: rq.Update, told: str
) -> None:
    """Recorded or ready-made."""
    with pytest.raises(ConfigurationError, match=told):
        invoices.plan.update(("t1", 1), update, unlocked=True)


def test_every_item_is_stamped(route: Route, database: Database, invoices: DAO[Invoice]) -> None:
    """Type, schema and the id of the last write."""
    route("create", invoices, make_invoice())
    first = raw(database, invoices, ("t1", 1)) or {}
    route("update", invoices, ("t1", 1), pay, unlocked=True)
    second = raw(database, invoices, ("t1", 1)) or {}

    assert ({"S": "invoice"}, {"N": "1"}) == (first["_t"], first["_s"])
    assert first["_w"] != second["_w"]
    assert all(len(item["_w"]["S"].encode()) <= 26 for item in (first, second))


def test_an_item_over_400_kilobytes_is_refused_before_it_is_sent(notes: DAO[Note]) -> None:
    """DynamoDB's limit, names included."""
    with metered() as meter, pytest.raises(InvalidInput, match="over 400 KB"):
        notes.create(Note(id="1", text="x" * 410_000))
    assert 0 == meter.cost.trips


def test_a_put_of_spread_fields_must_replace(database: Database) -> None:
    """It cannot know which keys to remove."""
    counters = database.dao(COUNTER)
    with pytest.raises(ConfigurationError, match="replace=True"):
        counters.put(Counter(name="c"))
    counters.put(Counter(name="c", amounts={"EUR": Decimal(1)}), replace=True)
    counters.put(Counter(name="c"), replace=True)
    assert {} == counters.require("c").amounts


def test_adding_to_a_spread_member_works_with_and_without_the_key(database: Database) -> None:
    """ADD needs a top-level attribute; an absent one counts as zero."""
    counters = database.dao(COUNTER)
    counters.create(Counter(name="c", amounts={"EUR": Decimal(1)}))

    def credit(change: Change[Counter], it: Counter) -> None:
        change.add(it.amounts["EUR"], Decimal("0.50"))
        change.add(it.amounts["USD"], Decimal("2.00"))

    assert {"EUR": Decimal("1.50"), "USD": Decimal("2.00")} == counters.update("c", credit).amounts


def test_requests_are_values_that_compare_without_an_engine(invoices: DAO[Invoice]) -> None:
    """K4: what a DAO sends can be asserted without sending it."""
    get = invoices.plan.get(("t1", 7))
    table = invoices.plan.table

    assert rq.GetItem(table=table, key=INVOICE.item_key("t1", 7), consistent=True) == get
    delete = invoices.plan.delete(make_invoice(), must_exist=True).request()
    assert isinstance(delete, rq.TransactWriteItems)
    assert ["DeleteItem", "DeleteItem"] == [part.operation for part in delete.parts]
    query = invoices.query(BY_STATE, tenant="t1", state=State.OPEN).newest_first().request(limit=5)
    assert rq.KeyCondition("g1pk", {"S": "INV#t1#open"}) == query.key
    assert (table, "GSI1", 5, False, False) == (query.table, query.index, query.limit, query.forward, query.consistent)
