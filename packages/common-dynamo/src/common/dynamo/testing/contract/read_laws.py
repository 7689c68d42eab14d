"""Laws of expiry and of reads: what has expired is absent, queries give their own items, pages lose and repeat none."""

from math import ceil
from typing import Any, Final

from common.dynamo.cost import metered
from common.dynamo.entity_access import patterns_of
from common.dynamo.entity_type import EntityType
from common.dynamo.exceptions import InvalidCursor, InvalidItem, NotFound
from common.dynamo.layout import SORT, TYPE
from common.dynamo.sizes import item_size
from common.dynamo.testing.contract.stage import LIFE, Law, Stage, refuse
from common.dynamo.testing.contract.write_laws import no_change

__all__ = ["LAWS"]

_SIZE: Final = 2
"""Items of a page: so few that three models make two pages."""
_MODELS: Final = 5


# Expiry ---------------------------------------------------------------------------------------------------------------


def hide_what_has_expired(stage: Stage[Any]) -> None:
    """From its second on an expired item is hidden from every read, absent for every verb, and may be created over."""
    ttl = str(stage.entity.ttl)
    model = stage.model()
    mortal = stage.compose(model, **{ttl: stage.expiry(LIFE)})
    start = stage.now
    for route in stage.routes():
        stage.now = start
        route("create", stage.dao, mortal)
        stored = stage.stored(mortal)
        stage.now = start + LIFE - 1
        stage.expect(stage.dao.get(mortal) is not None, "it is hidden before its second", ttl)
        stage.now = start + LIFE
        _expect_hidden(stage, stored, ttl)
        with refuse(NotFound, f"a delete that must exist, of an expired item ({route.name})", ttl):
            route("delete", stage.dao, stored, must_exist=True)
        if not no_change(stage.entity):
            with refuse(NotFound, f"an update of an expired item ({route.name})", ttl):
                route("update", stage.dao, stored, stage.any_change(stored)[1])
        successor = stage.compose(mortal, **{ttl: stage.expiry(LIFE)})
        route("create", stage.dao, successor)
        stage.expect_stored(successor, 1, f"a create over an expired item ({route.name})")
    stage.now = start


def _expect_hidden(stage: Stage[Any], stored: Any, ttl: str) -> None:
    partition = {name: getattr(stored, name) for name in stage.entity.key.partition.fields}
    query = stage.dao.query(**partition, consistent=True)
    seen = [stage.dao.get(stored), *stage.dao.batch_get([stored]), *query.all(), *query.page(1).items]
    stage.expect(not any(seen), "an expired item is read", ttl)
    shown = [stage.dao.get(stored, include_expired=True), *query.include_expired().all()]
    stage.expect(shown == [stored, stored], "include_expired=True does not show it", ttl)


# Queries and pages ----------------------------------------------------------------------------------------------------


def query_own_items_alone(stage: Stage[Any]) -> None:
    """A query gives the type's own items, whatever else is in the partition; a foreign item at a key is an error."""
    model = stage.model()
    stage.dao.create(model)
    stored = stage.stored(model)
    _surround(stage, stored)
    partition = {name: getattr(model, name) for name in stage.entity.key.partition.fields}
    stage.expect(stage.dao.query(**partition, consistent=True).all() == [stored], "a query gives foreign items")
    stage.expect(list(stage.dao.query(**partition)) == [stored], "an iteration over a query gives foreign items")
    for index in stage.entity.indexes:
        if index.projection == "ALL" and all(getattr(model, name) is not None for name in index.key.fields):
            fields = {name: getattr(model, name) for name in index.key.partition_fields}
            found = stage.dao.query(index, **fields).all()
            stage.expect(found == [stored], f"a query of {index.name} gives {len(found)} items instead of its one")
    stage.reset()
    stage.put_raw({**stage.entity.encode(model), TYPE: {"S": "foreign"}})
    with refuse(InvalidItem, "a get of a foreign item at the type's own key"):
        stage.dao.get(model)


def _surround(stage: Stage[Any], stored: Any) -> None:
    """Store foreign items right before and after *stored*, in its partition and with its index keys."""
    item = dict(stage.raw(stored) or {})
    sort = item[SORT]["S"]
    for position, other in enumerate((sort[:-1] or "!", sort + "!", sort + "~")):
        stage.put_raw({**item, SORT: {"S": other}, TYPE: {"S": f"foreign-{position}"}})
    stage.put_raw({name: value for name, value in {**item, SORT: {"S": sort + "#"}}.items() if name != TYPE})


def page_through_once(stage: Stage[Any]) -> None:
    """Pages have exactly as many items as asked for, or the last ones; forward and back, each item comes once."""
    first = stage.model()
    alike = stage.entity.key.partition.fields
    models = {str(stage.key(first)): first}
    if stage.entity.key.sort.fields and not set(stage.entity.key.sort.fields) <= set(alike):
        for _ in range(_MODELS - 1):
            other = stage.neighbour(first, *alike)
            if stage.lock_keys(other).isdisjoint({key for one in models.values() for key in stage.lock_keys(one)}):
                models[str(stage.key(other))] = other
    for model in models.values():
        stage.dao.create(model)
    _surround(stage, stage.stored(first))
    partition = {name: getattr(first, name) for name in alike}
    _walk(stage, stage.dao.query(**partition, consistent=True), len(models))
    _walk(stage, stage.dao.query(**partition, consistent=True).newest_first(), len(models))


def _walk(stage: Stage[Any], query: Any, count: int) -> None:
    wanted = query.all()
    stage.expect(len(wanted) == count, f"a query gives {len(wanted)} of {count} items")
    pages = [query.page(_SIZE)]
    while pages[-1].next is not None and len(pages) <= count:
        pages.append(query.page(_SIZE, after=pages[-1].next))
    found = [model for page in pages for model in page.items]
    stage.expect(found == wanted, "pages lose, repeat or disorder items")
    full = [page for page in pages[: count // _SIZE] if len(page.items) != _SIZE]
    stage.expect(not full, f"a page has {len(full[0].items) if full else 0} items where {_SIZE} were asked for")
    if len(pages) > 1:
        back = query.page(_SIZE, after=pages[1].previous)
        stage.expect(back.items == pages[0].items, "walking back does not give the earlier page")
        _refuse_a_forged_cursor(stage, query, pages[0].next)


def _refuse_a_forged_cursor(stage: Stage[Any], query: Any, cursor: str) -> None:
    at = len(cursor) // 2
    forged = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
    for given, told in ((forged, "a changed cursor"), (cursor, "the cursor of another tenant")):
        with refuse(InvalidCursor, told):
            query.page(_SIZE, after=given, tenant="" if given is forged else "another")


# Costs ----------------------------------------------------------------------------------------------------------------


def cost_what_is_declared(stage: Stage[Any]) -> None:
    """get and create cost what ``common dynamo explain`` says: exactly for items up to 1 KB in all their indexes."""
    model = stage.model()
    budgets = {
        each.name.rpartition(".")[2]: each.budget for each in reversed(patterns_of(stage.entity)) if not each.case
    }
    with metered() as written:
        stage.dao.create(model)
    size = item_size(stage.raw(model) or {})
    with metered() as read:
        stage.dao.get(model)
    told = f"a get costs {read.cost} instead of {budgets['get']}"
    stage.expect((read.cost.rcu, read.cost.trips) == ((budgets["get"].rcu or 0) * ceil(size / 4096), 1), told)
    if size <= 1024:
        _expect_create(stage, model, written.cost, budgets["create"])


def _expect_create(stage: Stage[Any], model: Any, cost: Any, budget: Any) -> None:
    row = vars(model)
    whole = all(row[name] is not None for index in stage.entity.indexes for name in index.key.fields)
    whole = whole and len(stage.lock_keys(model)) == len(stage.entity.unique)
    indexes = sum(cost.indexes.values())
    found, wanted = (cost.wcu - indexes, indexes, cost.trips), (budget.wcu, budget.indexes, budget.trips)
    holds = found == wanted if whole else all(one <= most for one, most in zip(found, wanted, strict=True))
    stage.expect(holds, f"a create costs {cost} instead of {budget}")


def _no_ttl(entity: EntityType[Any]) -> str:
    return "" if entity.ttl is not None else "the type never expires"


LAWS: Final = (
    Law("expiry", "D22", hide_what_has_expired, _no_ttl),
    Law("own items", "D30", query_own_items_alone),
    Law("pages", "D32, D33, D34", page_through_once),
    Law("costs", "D41", cost_what_is_declared),
)
