"""A data layer that is wrong in one way breaks a law of the contract suite: the suite can see (K7).

Each mutant takes one safeguard out of the real code, in this process; ``check_entity_type`` has to name the law. What is
judged here is the suite, so it always runs on the embedded engine.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import (
    DAO,
    Database,
    EntityType,
    Key,
    Plan,
    Transaction,
    Write,
    entity_dao,
    key_components,
    paging,
    plan,
    queries,
    stored_state,
)
from common.dynamo import requests as rq
from common.dynamo.codec import Misfit, ModelCodec
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.layout import PARTITION_PATH, WRITE_ID
from common.dynamo.mapping import Mapped
from common.dynamo.testing import BrokenContract, check_entity_type
from common.dynamo.testing.contract import checking
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE

pytestmark = pytest.mark.thorough


class Pair(BaseModel):
    """A model whose key has two texts after each other."""

    left: str
    right: str


PAIR = EntityType(Pair, "pair", key=Key("PAIR#{left}#{right}", "PAIR"))
Mutate = Callable[[pytest.MonkeyPatch], None]


# Existence and conditions ---------------------------------------------------------------------------------------------


def create_over_anything(patch: pytest.MonkeyPatch) -> None:
    """create does not ask whether the key is free."""
    patch.setattr(plan, "is_absent", lambda entity, now: None)


def update_anything(patch: pytest.MonkeyPatch) -> None:
    """update does not ask whether there is an item, and makes half of one."""
    patch.setattr(plan, "is_alive", lambda entity, now: None)


def swallow_failed_conditions(patch: pytest.MonkeyPatch) -> None:
    """A failed condition is a silent no-op."""
    send_write = entity_dao.send_write

    def send(operation: Any, write: Write[Any], **options: Any) -> Any:
        try:
            return send_write(operation, write, **options)
        except ConditionFailed as failed:
            return None if failed.stored is None else write.mapped.encode(failed.stored)

    patch.setattr(entity_dao, "send_write", send)


def replace_instead_of_put(patch: pytest.MonkeyPatch) -> None:
    """put stores the mapped attributes alone, and what others have stored is gone."""
    put: Any = lambda self, item, condition, **_: rq.PutItem(table=self.table, item=item, condition=condition)
    patch.setattr(Plan, "_put_as_update", put)


# Versions and write ids -----------------------------------------------------------------------------------------------


def ignore_versions(patch: pytest.MonkeyPatch) -> None:
    """A change does not require the version that was seen."""
    patch.setattr(plan, "has_version", lambda mapped, version: None)


def stand_still(patch: pytest.MonkeyPatch) -> None:
    """An update requires the version and does not count it up."""
    completed = Plan._completed

    def same(self: Plan[Any], update: rq.Update, indexed: Any, seen: int | None, write_id: str) -> rq.Update:
        return completed(self, update, indexed, None if seen is None else seen - 1, write_id)

    patch.setattr(Plan, "_completed", same)


def stamp_no_write_id(patch: pytest.MonkeyPatch) -> None:
    """A stored item does not tell which write made it."""
    stored = Plan._stored

    def unstamped(self: Plan[Any], *arguments: Any) -> tuple[dict[str, Any], Any]:
        item, model = stored(self, *arguments)
        return {name: value for name, value in item.items() if name != WRITE_ID}, model

    patch.setattr(Plan, "_stored", unstamped)


def forget_own_writes(patch: pytest.MonkeyPatch) -> None:
    """The write id of a stored item is not compared with one's own."""
    patch.setattr(Write, "is_own", lambda self, item: False)


def mistake_rivals_for_oneself(patch: pytest.MonkeyPatch) -> None:
    """After a lost answer, whatever is stored counts as one's own write."""
    patch.setattr(Write, "is_own", lambda self, item: item is not None)


def resend_additions(patch: pytest.MonkeyPatch) -> None:
    """ADD counts as idempotent, and is sent again after a lost answer."""
    patch.setattr(plan, "is_repeatable", lambda update: True)


# Keys and index keys --------------------------------------------------------------------------------------------------


def leave_text_unescaped(patch: pytest.MonkeyPatch) -> None:
    """A ``#`` in a value looks like the end of it."""
    patch.setattr(key_components, "escape", lambda text: text)


def leave_numbers_unpadded(patch: pytest.MonkeyPatch) -> None:
    """10 sorts before 2."""
    patch.setattr(key_components, "_fixed_width", lambda number, width: str(number))


def leave_negatives_as_they_are(patch: pytest.MonkeyPatch) -> None:
    """-1 sorts before -2."""
    patch.setattr(key_components, "_fixed_width", lambda number, width: f"{int(number >= 0)}{abs(number):0{width}d}")


def leave_index_keys_stale(patch: pytest.MonkeyPatch) -> None:
    """An update changes a field and not the index keys that are made of it."""
    patch.setattr(plan, "index_changes", lambda *_: plan.IndexChanges((), (), frozenset()))


def put_stale_index_keys(patch: pytest.MonkeyPatch) -> None:
    """A put leaves the index keys out."""
    patch.setattr(Mapped, "index_keys", lambda self, row: {})


# Reading --------------------------------------------------------------------------------------------------------------


def query_foreign_items(patch: pytest.MonkeyPatch) -> None:
    """A query does not look at the discriminator."""
    patch.setattr(queries, "wanted_by", lambda *_, **__: lambda item: True)


def get_foreign_items(patch: pytest.MonkeyPatch) -> None:
    """A get does not look at the discriminator."""
    patch.setattr(Mapped, "decode", lambda self, item: self.codec.decode(item))


def read_misfits_as_defaults(patch: pytest.MonkeyPatch) -> None:
    """A stored value that does not fit is left out, so that the model's default takes its place."""
    decode = ModelCodec.decode

    def lenient(self: ModelCodec[Any], item: Mapping[str, Any]) -> Any:
        try:
            return decode(self, item)
        except Misfit as misfit:
            attribute = self.plans[misfit.field].attribute
            if attribute not in item:
                raise
            return decode(self, {name: value for name, value in item.items() if name != attribute})

    patch.setattr(ModelCodec, "decode", lenient)


def read_numbers_as_floats(patch: pytest.MonkeyPatch) -> None:
    """Money goes through binary fractions."""
    validated = ModelCodec.validated

    def imprecise(self: ModelCodec[Any], values: Mapping[str, Any]) -> Any:
        rounded = {
            name: Decimal(repr(float(value))) if isinstance(value, Decimal) else value for name, value in values.items()
        }
        return validated(self, rounded)

    patch.setattr(ModelCodec, "validated", imprecise)


def show_expired_items(patch: pytest.MonkeyPatch) -> None:
    """Reads do not hide what has expired."""
    patch.setattr(stored_state, "has_expired", lambda *_: False)


def keep_expired_keys_taken(patch: pytest.MonkeyPatch) -> None:
    """An expired item blocks its key until it is swept."""
    patch.setattr(plan, "is_absent", lambda entity, now: rq.NotExists(PARTITION_PATH))


def change_expired_items(patch: pytest.MonkeyPatch) -> None:
    """An expired item can still be changed."""
    patch.setattr(plan, "is_alive", lambda entity, now: rq.Exists(PARTITION_PATH))


def trust_cursors(patch: pytest.MonkeyPatch) -> None:
    """A cursor is taken whoever signed it, for whatever query."""
    patch.setattr(paging.hmac, "compare_digest", lambda one, other: True)


def drop_missing_keys(patch: pytest.MonkeyPatch) -> None:
    """A batch of reads answers with what is there, not in the order of its keys."""
    read = entity_dao.read_batch
    patch.setattr(
        entity_dao, "read_batch", lambda *given, **options: [each for each in read(*given, **options) if each]
    )


def read_before_every_create(patch: pytest.MonkeyPatch) -> None:
    """A create looks first, and pays for it."""
    create = DAO.create

    def careful(self: DAO[Any], model: Any, **options: Any) -> Any:
        self.get(model)
        return create(self, model, **options)

    patch.setattr(DAO, "create", careful)


# Locks, arguments, transactions ---------------------------------------------------------------------------------------


def take_no_locks(patch: pytest.MonkeyPatch) -> None:
    """A new item does not claim its unique values."""
    patch.setattr(plan, "locks_of_create", lambda *_: ())


def keep_locks_of_the_deleted(patch: pytest.MonkeyPatch) -> None:
    """A deleted item keeps its unique values."""
    patch.setattr(plan, "locks_of_delete", lambda *_: ())


def keep_locks_of_old_values(patch: pytest.MonkeyPatch) -> None:
    """A changed value claims the new one and keeps the old one."""
    change = plan.locks_of_change
    taken = lambda *given: tuple(lock for lock in change(*given) if isinstance(lock.part, rq.PutItem))
    patch.setattr(plan, "locks_of_change", taken)


def count_in_the_argument(patch: pytest.MonkeyPatch) -> None:
    """A save counts up the version of the model that it was given, before it knows whether it succeeds."""
    put = Plan.put

    def bumped(self: Plan[Any], model: Any, **options: Any) -> Any:
        write = put(self, model, **options)
        vars(model)[self.entity.version] += 1
        return write

    patch.setattr(Plan, "put", bumped)


def regroup_transactions(patch: pytest.MonkeyPatch) -> None:
    """The operations of a transaction are not in the caller's order."""
    patch.setattr(Transaction, "_all", lambda self: tuple(reversed(self._writes)))


def commit_after_exceptions(patch: pytest.MonkeyPatch) -> None:
    """A block that raises commits what it has."""
    leave = Transaction.__exit__
    patch.setattr(Transaction, "__exit__", lambda self, *raised: leave(self, None, None, None))


MUTANTS: dict[Mutate, tuple[EntityType[Any], str]] = {
    create_over_anything: (NOTE, "existence"),
    update_anything: (NOTE, "existence"),
    swallow_failed_conditions: (NOTE, "failed conditions"),
    replace_instead_of_put: (NOTE, "unknown attributes"),
    ignore_versions: (INVOICE, "versions"),
    stand_still: (INVOICE, "versions"),
    stamp_no_write_id: (NOTE, "lost answers"),
    forget_own_writes: (NOTE, "lost answers"),
    mistake_rivals_for_oneself: (INVOICE, "lost answers"),
    resend_additions: (COUNTER, "additions"),
    leave_text_unescaped: (PAIR, "key order"),
    leave_numbers_unpadded: (INVOICE, "key order"),
    leave_negatives_as_they_are: (INVOICE, "key order"),
    leave_index_keys_stale: (INVOICE, "index keys"),
    put_stale_index_keys: (INVOICE, "index keys"),
    query_foreign_items: (INVOICE, "own items"),
    get_foreign_items: (NOTE, "misfits"),
    read_misfits_as_defaults: (NOTE, "misfits"),
    read_numbers_as_floats: (INVOICE, "round trip"),
    show_expired_items: (INVOICE, "expiry"),
    keep_expired_keys_taken: (INVOICE, "expiry"),
    change_expired_items: (INVOICE, "expiry"),
    trust_cursors: (INVOICE, "pages"),
    drop_missing_keys: (NOTE, "batches"),
    read_before_every_create: (NOTE, "costs"),
    take_no_locks: (INVOICE, "one owner"),
    keep_locks_of_the_deleted: (INVOICE, "moving locks"),
    keep_locks_of_old_values: (INVOICE, "moving locks"),
    count_in_the_argument: (INVOICE, "arguments"),
    regroup_transactions: (NOTE, "transactions"),
    commit_after_exceptions: (NOTE, "transactions"),
}


@pytest.fixture
def embedded() -> Iterator[Database]:
    """A database in memory, whatever the run's engine is."""
    with Database.embedded(entity_types=[INVOICE, NOTE, COUNTER, PAIR]) as database:
        yield database


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_the_contract_suite_catches(mutate: Mutate, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The law that the missing safeguard serves is broken, and named."""
    entity, law = MUTANTS[mutate]
    monkeypatch.setattr(checking, "_SHRINKS", 1)  # any example will do
    with monkeypatch.context() as patch:
        mutate(patch)
        with pytest.raises(BrokenContract) as caught:
            check_entity_type(embedded, entity, examples=20, only=[law])

    assert [law] == list(caught.value.report.broken)


def test_each_law_has_a_mutant_or_needs_none() -> None:
    """Those without are about what the layer refuses; their own tests prove it."""
    refusals = {"empty keys", "half index keys", "one winner"}

    assert {law.name for law in checking.LAWS} == {law for _, law in MUTANTS.values()} | refusals
