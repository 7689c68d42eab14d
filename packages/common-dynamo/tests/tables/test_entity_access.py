"""The access patterns of the DAO that every entity type gets: they cost and send what is derived from the declaration."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Database, EntityType, Index, Key, Unique
from common.dynamo.access import AccessPattern, select
from common.dynamo.backfill import Backfill
from common.dynamo.entity_access import METHODS, patterns_of, uses
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.testing import Engine, spend
from common.dynamo.testing.examples import INVOICE, NOTE, Note, State, make_invoice
from common.dynamo.testing.generations import TASK_1, TASK_3, Task1
from common.dynamo.testing.policy import Demand, PolicyGuard, demands_of
from common.exceptions import ConfigurationError

ARNS = Arns(region="eu-central-1", account="123456789012")


class Ticket(BaseModel):
    """A model with two indexes, one of them without attributes, and two unique fields, one of which may be missing."""

    id: str
    seat: str
    code: str | None = None
    holder: str = "nobody"
    note: str = ""


TICKET = EntityType(
    Ticket,
    "ticket",
    key=Key("TICKET#{id}", "TICKET"),
    indexes=[
        Index("GSI1", Key("HOLDER#{holder}", "{id}")),
        Index("GSI2", Key("SEAT#{seat}", "{id}"), projection="KEYS_ONLY"),
    ],
    unique=[Unique("seat", key=Key("SEATLOCK#{seat}", "LOCK")), Unique("code")],
)


@dataclass(frozen=True)
class Kind:
    """How to make and change models of one entity type."""

    entity: EntityType[Any]
    make: Callable[[int], Any]
    key: Callable[[int], Any]
    field: str
    """One that is neither key, nor index key, nor unique."""
    value: Any
    indexed: dict[str, Any]
    """The partition of a query by the table's key and by GSI1."""


KINDS = {
    "note": Kind(NOTE, lambda n: Note(id=str(n), text="x"), str, "text", "y", {}),
    "invoice": Kind(
        INVOICE, make_invoice, lambda n: ("t1", n), "total", Decimal("7.00"), {"tenant": "t1", "state": State.OPEN}
    ),
    "ticket": Kind(
        TICKET,
        lambda n: Ticket(id=str(n), seat=f"s{n}", code=f"c{n}"),
        str,
        "note",
        "mind the step",
        {"holder": "nobody"},
    ),
}
ROWS = {(name, row.title): row for name, kind in KINDS.items() for row in patterns_of(kind.entity)}

Call = Callable[[], object]


def partition_of(kind: Kind) -> dict[str, Any]:
    """Return the fields of the first item's partition."""
    return {name: getattr(kind.make(1), name) for name in kind.entity.key.partition.fields}


def course(dao: DAO[Any], kind: Kind, row: AccessPattern) -> Call:
    """Prepare what *row* needs; return what is measured."""
    method = row.name.rpartition(".")[2]
    stored = None if method == "create" or row.case == "new" else dao.create(kind.make(1))
    key = kind.key(1)
    seen: dict[str, Any] = {} if kind.entity.version is None else {"expect": 1}
    calls: dict[str, Call] = {
        "get": lambda: dao.get(key),
        "require": lambda: dao.require(key),
        "batch_get": lambda: dao.batch_get([key]),
        "create": lambda: dao.create(kind.make(1)),
        "put": lambda: dao.put(stored or kind.make(1)),
        "delete": lambda: dao.delete(key, **seen) if row.case == "by key" else dao.delete(stored),
        "update": lambda: dao.update(stored, lambda change, it: change.set(getattr(it, kind.field), kind.value)),
        "query": lambda: dao.query(**partition_of(kind)).all(),
    }
    if row.case == "by GSI1":
        return lambda: dao.query("GSI1", **kind.indexed).all()
    return calls[method]


# Views read what get reads; a batch and a transaction are measured below; a ticket has no field without a rule to change.
MEASURED = [
    at
    for at, row in ROWS.items()
    if row.name.rpartition(".")[2] not in ("view", "views", "batch_write", "check")
    and at != ("ticket", "Ticket.update")
]


@pytest.mark.parametrize(("name", "title"), MEASURED)
def test_each_method_costs_what_follows_from_the_declaration(
    engine: Engine, table_name: str, name: str, title: str
) -> None:
    """Units on the table and on indexes and round trips are exactly those of the derived row."""
    kind, row = KINDS[name], ROWS[name, title]
    with engine.open(table=table_name, entity_types=[kind.entity]) as db:
        call = course(db.dao(kind.entity), kind, row)

        with spend(rcu=row.rcu, wcu=row.wcu + row.indexes, trips=len(row.trips)) as meter:
            call()

    assert row.indexes == (sum(meter.cost.indexes.values()) if row.wcu else 0)


@pytest.mark.parametrize("name", KINDS)
def test_batches_and_checks_cost_what_follows_from_the_declaration(engine: Engine, table_name: str, name: str) -> None:
    """One item of a batch of puts that replace, and one check of a transaction beside another write."""
    kind = KINDS[name]
    [batch], [check] = (select(patterns_of(kind.entity), f"*.{method}") for method in ("batch_write", "check"))
    with engine.open(table=table_name, entity_types=[kind.entity, NOTE]) as db:
        dao = db.dao(kind.entity)
        dao.create(kind.make(1))
        if not kind.entity.unique:
            with spend(wcu=batch.wcu + batch.indexes, trips=1):
                dao.batch_write([dao.plan.put(kind.make(2), replace=True)])
        with spend(wcu=check.wcu + 2, trips=1), db.transaction() as tx:
            tx.check(dao, kind.key(1))
            tx.create(db.dao(NOTE), Note(id="beside", text="x"))


def work_with(db: Database, kind: Kind) -> None:
    """Use every method of a DAO, alone and in transactions, with locks that stay, move and are missing."""
    dao, make, key = db.dao(kind.entity), kind.make, kind.key
    for number in range(1, 7):
        dao.create(make(number))
    dao.get(key(1))
    dao.require(key(1))
    dao.batch_get([key(1), key(2)])
    dao.query(**partition_of(kind)).all()
    if kind.indexed:
        dao.query("GSI1", **kind.indexed).all()
    dao.put(dao.require(key(1)))
    dao.put(make(7))
    if not kind.entity.unique:
        dao.put(make(8), replace=True)
        dao.batch_write([dao.plan.put(make(9), replace=True), dao.plan.delete(key(9))])
    dao.update(dao.require(key(1)), lambda change, it: change.set(getattr(it, kind.field), kind.value))
    dao.update(
        dao.require(key(1)),
        lambda change, it: change.set(getattr(it, kind.field), kind.value),
        request_id="a request of the test",
    )
    if kind is KINDS["ticket"]:
        dao.update(dao.require(key(3)), lambda change, it: change.set(it.seat, "another seat"))
        dao.update(key(3), lambda change, it: change.set(it.code, None))
        dao.create(Ticket(id="12", seat="s12"))
        dao.delete(key(6))
    dao.delete(dao.require(key(2)))
    with db.transaction() as tx:
        tx.create(dao, make(10))
        tx.put(dao, make(11))
        tx.update(dao, dao.require(key(3)), lambda change, it: change.set(getattr(it, kind.field), kind.value))
        tx.delete(dao, dao.require(key(4)))
        tx.check(dao, key(5))


@pytest.mark.parametrize("name", KINDS)
def test_every_call_of_a_dao_is_allowed_by_the_policy_of_its_type(engine: Engine, table_name: str, name: str) -> None:
    """Locks of unique fields and secondary indexes included."""
    kind = KINDS[name]
    policy = iam_policy(uses(kind.entity), ARNS, table_of=lambda entity: table_name)
    guard = PolicyGuard(policy, ARNS)
    with engine.open(table=table_name, entity_types=[kind.entity], interceptors=[guard]) as db:
        work_with(db, kind)

    assert [] == [denied for denied in guard.denied if not denied.startswith("Database.create_tables")]
    assert guard.seen > 20


class Demands:
    """An interceptor that keeps what each pattern needs."""

    def __init__(self) -> None:
        self.found: dict[str, set[Demand]] = {}

    def on_request(self, call: Any, /) -> None:
        """Keep what the request needs."""
        self.found.setdefault(call.pattern, set()).update(demands_of(call.request))

    def on_result(self, call: Any, result: Any, /) -> None:
        """Do nothing."""

    def on_error(self, call: Any, error: BaseException, /) -> None:
        """Do nothing."""


@pytest.mark.parametrize("name", KINDS)
def test_each_method_needs_no_more_than_its_own_pattern(engine: Engine, table_name: str, name: str) -> None:
    """What a single method sends is allowed by the policy of that method alone."""
    kind, demands = KINDS[name], Demands()
    with engine.open(table=table_name, entity_types=[kind.entity], interceptors=[demands]) as db:
        work_with(db, kind)
    prefix = f"{kind.entity.model.__name__}."
    methods = {pattern.removeprefix(prefix) for pattern in demands.found if pattern.startswith(prefix)}

    assert methods >= {"get", "require", "batch_get", "query", "create", "put", "update", "delete"}
    for method in methods:
        guard = PolicyGuard(iam_policy(uses(kind.entity, method), ARNS, table_of=lambda entity: table_name), ARNS)
        allowed = {demand for demand in demands.found[prefix + method] if guard.allows(demand)}
        assert demands.found[prefix + method] == allowed


@pytest.mark.parametrize("method", ["put", "update", "delete", "check"])
def test_a_write_may_rewrite_an_older_item_first(engine: Engine, table_name: str, method: str) -> None:
    """By the policy of the method alone, for a type whose schema has steps; one without steps is not allowed more."""
    demands = Demands()
    with engine.open(table=table_name, entity_types=[TASK_3], interceptors=[demands]) as db:
        older = Database(db.wire, table=table_name, entity_types=[TASK_1]).dao(TASK_1)
        older.create(Task1(project="p", number=1, text="write"))
        tasks = db.dao(TASK_3)
        seen = tasks.require(("p", 1))
        demands.found.clear()
        with db.transaction() as tx:
            if method == "check":
                tx.check(tasks, ("p", 1), lambda it: it.priority == 5)
            elif method == "update":
                tx.update(tasks, seen, lambda change, it: change.set(it.priority, 1))
            else:
                getattr(tx, method)(tasks, seen, **({"old": seen} if method == "put" else {}))

    [sent] = demands.found.values()
    rewrite = Demand("dynamodb:UpdateItem", table_name, None, ("TASK#p",))
    assert rewrite in sent
    guards = [
        PolicyGuard(iam_policy(uses(entity, method), ARNS, table_of=lambda entity: table_name), ARNS)
        for entity in (TASK_3, TASK_1)
    ]
    assert sent == {demand for demand in sent if guards[0].allows(demand)}
    assert (method in ("put", "update")) == guards[1].allows(rewrite)


def test_an_upsert_is_an_update_and_a_create() -> None:
    """It has no span of its own."""
    assert (*uses(NOTE, "create"), *uses(NOTE, "update")) == uses(NOTE, "upsert")


def test_a_method_that_there_is_not_is_refused() -> None:
    """The error lists those that there are."""
    with pytest.raises(ConfigurationError, match="no method drop; it has get, require"):
        uses(NOTE, "drop")


def test_every_method_of_a_dao_is_known() -> None:
    """A method that is added to the DAO must be added to the patterns."""
    methods = {name for name in vars(DAO) if not name.startswith("_")}

    assert methods | {"check", "backfill"} == set(METHODS)


def test_only_a_policy_that_names_scan_allows_one(engine: Engine, table_name: str) -> None:
    """No entity type gets it by default, nor by a star; where it is named, it is allowed on the one table."""
    usual = iam_policy(uses(NOTE), ARNS, table_of=lambda entity: table_name)
    named = iam_policy(uses(NOTE, "scan", "get"), ARNS, table_of=lambda entity: table_name)
    usual_guard, named_guard = PolicyGuard(usual, ARNS), PolicyGuard(named, ARNS)
    with engine.open(table=table_name, entity_types=[NOTE], interceptors=[usual_guard, named_guard]) as db:
        db.dao(NOTE).get("n1")
        db.dao(NOTE).scan(name="export").all()

    assert [f"Note.scan.export: dynamodb:Scan on table/{table_name}"] == [
        denied for denied in usual_guard.denied if denied.startswith("Note.")
    ]
    assert [] == [denied for denied in named_guard.denied if denied.startswith("Note.")]
    assert "dynamodb:Scan" not in [action for each in usual["Statement"] for action in each["Action"]]
    [scans] = [each for each in named["Statement"] if "dynamodb:Scan" in each["Action"]]
    assert ["dynamodb:Scan"] == scans["Action"]
    assert "Condition" not in scans
    assert not named_guard.allows(Demand("dynamodb:Scan", "another-table"))


def test_every_call_of_a_backfill_is_allowed_by_its_policy(engine: Engine, table_name: str) -> None:
    """The walk, rewrites with and without locks, reads after lost races, and the progress; nothing of another type."""
    guard = PolicyGuard(iam_policy(uses(TICKET, "backfill"), ARNS, table_of=lambda entity: table_name), ARNS)
    guarded_sees: list[str] = []

    class Rival:
        """Is faster, once."""

        def on_request(self, call: Any, /) -> None:
            """Change the item before its rewrite."""
            guarded_sees.append(f"{call.pattern} {call.request.operation}")
            if guarded_sees.count("Ticket.backfill UpdateItem") == 1 and call.request.operation == "UpdateItem":
                rivals.update("1", lambda change, it: change.set(it.note, "faster"))

        def on_result(self, call: Any, result: Any, /) -> None:
            """Do nothing."""

        def on_error(self, call: Any, error: BaseException, /) -> None:
            """Do nothing."""

    def change(ticket: Ticket) -> Ticket | None:
        if ticket.id == "1":
            return None if ticket.holder == "ada" else ticket.model_copy(update={"holder": "ada"})
        return None if ticket.code == "new" else ticket.model_copy(update={"code": "new"})

    with engine.open(table=table_name, entity_types=[TICKET]) as db:
        rivals = db.dao(TICKET)
        rivals.create(Ticket(id="1", seat="s1"))
        rivals.create(Ticket(id="2", seat="s2", code="old"))
        guarded = Database(db.wire, table=table_name, entity_types=[TICKET], interceptors=[guard, Rival()])
        result = Backfill(guarded, TICKET, name="tickets", change=change).run()

    assert (2, 1) == (result.counts.rewritten, result.counts.lost_races)
    assert [] == guard.denied
    assert {
        "Ticket.scan.tickets Scan",
        "Ticket.backfill UpdateItem",
        "Ticket.backfill TransactWriteItems",
        "Ticket.backfill GetItem",
        "Backfill.progress GetItem",
        "Backfill.progress PutItem",
    } == set(guarded_sees)
    assert not guard.allows(Demand("dynamodb:PutItem", table_name, None, ("TICKET#1",)))
    assert not guard.allows(Demand("dynamodb:GetItem", table_name, None, ("NOTE#1",)))
