"""Random requests on the usual table, for hypothesis: every kind, every operator, and what goes with what.

They are on a table called :data:`TABLE`, which stands for the real one (:func:`renamed`), and mostly on items that there
are, so that conditions hold now and then. What an update does to a document depends on the item it meets:
:func:`fitted` leaves out of it where the engines are known to differ, by the names of
:mod:`common.dynamo.testing.known_faults`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from common.dynamo.requests import (
    And,
    BatchGetItem,
    BatchWriteItem,
    BeginsWith,
    Between,
    Compare,
    Condition,
    ConditionCheck,
    Contains,
    DeleteItem,
    Exists,
    GetItem,
    HasType,
    IfNotExists,
    In,
    Item,
    KeyCondition,
    ListAppend,
    Minus,
    Not,
    NotExists,
    Or,
    Path,
    Plus,
    PutItem,
    Query,
    Request,
    Scan,
    Size,
    SortCondition,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.values import N, S, const, key

__all__ = ["TABLE", "fitted", "gets", "puts", "queries", "renamed", "requests", "scans", "transactional_reads"]

TABLE: Final = "table"
"""Stands for the table's name, which is fresh for each run."""

# Values ---------------------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12).map(
        lambda d: f"{d:f}"
    ),
    st.sampled_from(["0", "9" * 38, "-1.5", "0.001", "100", "1" + "0" * 60]),
)
texts = st.text(alphabet="ab#é\U0001f600", max_size=6)
contents = st.binary(max_size=6)
scalars = st.one_of(
    texts.map(S),
    numbers.map(N),
    contents.map(lambda content: {"B": content}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.integers(900, 1200).map(lambda size: S("x" * size)),
)


def members_of(kind: str, members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return sets of *kind*."""
    return st.lists(members, min_size=1, max_size=4, unique=True).map(lambda several: {kind: several})


sets = st.one_of(
    members_of("SS", texts), members_of("NS", st.integers(0, 20).map(str)), members_of("BS", contents.filter(len))
)
values = st.recursive(
    st.one_of(scalars, sets),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(st.sampled_from(["k", "j"]), inner, max_size=2).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)
top = st.sampled_from(["a", "b", "n", "l", "m"]).map(lambda name: Path((name,)))
members = st.tuples(st.just("m"), st.sampled_from(["k", "j"])).map(Path)
elements = st.tuples(st.just("l"), st.integers(0, 3)).map(Path)
paths = st.one_of(top, members, elements)
keys = st.builds(key, st.sampled_from(["p", "q"]), st.sampled_from(["1", "2", "ab", "é"]))
index_attributes = st.fixed_dictionaries(
    {},
    optional={
        "g1pk": st.sampled_from(["g", "h"]).map(S),
        "g1sk": st.sampled_from(["1", "2"]).map(S),
        "g2pk": st.sampled_from(["g", "h"]).map(S),
        "num": st.integers(-2, 12).map(N),
    },
)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "a": values,
        "b": scalars,
        "n": numbers.map(N),
        "l": st.lists(values, max_size=3).map(lambda members: {"L": members}),
        "m": st.dictionaries(st.sampled_from(["k", "j"]), values, max_size=2).map(lambda members: {"M": members}),
    },
)
items = st.builds(lambda key, index, rest: {**key, **index, **rest}, keys, index_attributes, attributes)

# Conditions -----------------------------------------------------------------------------------------------------------

constants = values.map(const)
orderable = st.one_of(texts.map(S), numbers.map(N), contents.map(lambda content: {"B": content})).map(const)
sizes = st.integers(0, 5).map(lambda n: const(N(n)))


def _between(path: Path, ends: tuple[int, int]) -> Condition:
    low, high = sorted(ends)
    return Between(path, const(N(low)), const(N(high)))


simple = st.one_of(
    st.builds(Compare, st.sampled_from(["=", "<>"]), paths, constants),
    st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), paths, orderable),
    st.builds(Compare, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), top, st.one_of(members, elements)),
    st.builds(Compare, st.sampled_from(["=", "<", ">"]), paths.map(Size), sizes),
    st.builds(Compare, st.sampled_from(["<=", ">="]), sizes, paths.map(Size)),
    st.builds(_between, paths, st.tuples(st.integers(-9, 9), st.integers(-9, 9))),
    st.builds(In, paths, st.lists(constants, min_size=1, max_size=3).map(tuple)),
    st.builds(Exists, paths),
    st.builds(NotExists, paths),
    st.builds(HasType, paths, st.sampled_from(["S", "N", "B", "L", "M", "SS", "NS", "BS", "BOOL", "NULL"])),
    st.builds(BeginsWith, paths, texts.map(lambda text: const(S(text)))),
    st.builds(BeginsWith, paths, contents.map(lambda content: const({"B": content}))),
    st.builds(Contains, paths, constants),
    st.builds(Contains, paths, st.one_of(texts.map(S), st.integers(0, 20).map(N)).map(const)),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
maybe = st.one_of(st.none(), conditions)

# Updates --------------------------------------------------------------------------------------------------------------

small = st.integers(-9, 9).map(lambda n: const(N(n)))
one_more = st.just(const({"L": [N(1)]}))
set_values = st.one_of(
    constants,
    paths,
    st.builds(Plus, paths, small),
    st.builds(Minus, paths, small),
    st.builds(Minus, small, paths),
    st.builds(IfNotExists, paths, constants),
    st.builds(Plus, st.builds(IfNotExists, paths, small), small),
    st.builds(ListAppend, paths, one_more),
    st.builds(ListAppend, one_more, paths),
    st.builds(ListAppend, st.builds(IfNotExists, paths, st.just(const({"L": []}))), one_more),
)
addends = st.one_of(small, sets.map(const))


def targets(update: Update) -> list[Path]:
    """Return what *update* touches."""
    return [*(path for path, _ in update.set), *update.remove, *(path for path, _ in (*update.add, *update.delete))]


def _are_apart(update: Update) -> bool:
    # "conflicting-paths": nothing is named twice, nor with something within it, nor as a list here and a map there.
    first = [path.parts[0] for path in targets(update)]
    return len(set(first)) == len(first)


updates = st.builds(
    Update,
    set=st.lists(st.tuples(paths, set_values), max_size=3).map(tuple),
    remove=st.lists(paths, max_size=2).map(tuple),
    add=st.lists(st.tuples(st.one_of(top, members), addends), max_size=2).map(tuple),
    delete=st.lists(st.tuples(st.one_of(top, members), sets.map(const)), max_size=1).map(tuple),
).filter(lambda update: bool(targets(update)) and _are_apart(update))


def fitted(request: UpdateItem, stored: Item | None) -> UpdateItem:
    """Return *request* without what engines are known to do differently to the item *stored*.

    "pads-lists" and "removes-nowhere": elements are only set where they replace, and nothing is removed from, added to or
    deleted from a parent that is not there. "ghosts": an update of a missing item sets or adds something.
    "old-of-nothing": its ALL_OLD is not asked for. "whole-lists": nor are UPDATED_OLD and UPDATED_NEW of an element.
    """
    found = stored or {}
    update = request.update
    update = Update(
        set=tuple((path, value) for path, value in update.set if path.parts[0] != "l" or _is_there(path, found)),
        remove=tuple(path for path in update.remove if _has_parent(path, found)),
        add=tuple((path, value) for path, value in update.add if _has_parent(path, found)),
        delete=tuple((path, value) for path, value in update.delete if _has_parent(path, found)),
    )
    if not (update.set or update.add) and (stored is None or not targets(update)):
        update = replace(update, set=((Path(("z",)), const(N(1))),))
    returns = request.returns
    if stored is None and returns == "ALL_OLD":
        returns = "NONE"
    if returns.startswith("UPDATED") and any(path.parts[0] == "l" for path in targets(update)):
        returns = "ALL_NEW"
    return replace(request, update=update, returns=returns)


def _is_there(path: Path, item: Item) -> bool:
    """Return whether the list of *path*, or the element of it, is there; a whole attribute always can be."""
    return len(path.parts) == 1 or int(path.parts[1]) < len(item.get("l", {}).get("L", ()))


def _has_parent(path: Path, item: Item) -> bool:
    if len(path.parts) == 1:
        return True
    return _is_there(path, item) if path.parts[0] == "l" else "M" in item.get("m", {})


# Requests on items ----------------------------------------------------------------------------------------------------

table = st.just(TABLE)
projections = st.one_of(
    st.just(()),
    st.lists(top, min_size=1, max_size=2, unique=True).map(tuple),
    st.just((Path(("m", "k")), Path(("l", 0)))),
)
old = st.sampled_from(["NONE", "ALL_OLD"])
puts = st.builds(PutItem, table=table, item=items, condition=maybe, returns=old)
changes = st.builds(
    UpdateItem,
    table=table,
    key=keys,
    update=updates,
    condition=maybe,
    returns=st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"]),
)
deletes = st.builds(DeleteItem, table=table, key=keys, condition=maybe, returns=old)
checks = st.builds(ConditionCheck, table=table, key=keys, condition=conditions)
gets = st.builds(GetItem, table=table, key=keys, consistent=st.booleans(), projection=projections)


def _item_of(part: Any) -> tuple[str, str]:
    found = part.item if isinstance(part, PutItem) else part.key
    return found["pk"]["S"], found["sk"]["S"]


def _plain(part: Any) -> Any:
    """Return *part* as a batch takes it, and a transaction: without a condition of its own, returning nothing."""
    return PutItem(table=TABLE, item=part.item) if isinstance(part, PutItem) else DeleteItem(table=TABLE, key=part.key)


def _quiet(part: Any) -> Any:
    return part if isinstance(part, ConditionCheck) else replace(part, returns="NONE")


parts = st.one_of(puts, changes, deletes, checks).map(_quiet)
transactions = st.builds(
    TransactWriteItems,
    parts=st.lists(parts, min_size=1, max_size=4, unique_by=_item_of).map(tuple),
    token=st.sampled_from([None, None, "token-1", "token-2"]),
)
transactional_reads = st.lists(
    st.builds(GetItem, table=table, key=keys), min_size=1, max_size=4, unique_by=_item_of
).map(lambda parts: TransactGetItems(parts=tuple(parts)))
batch_reads = st.builds(
    lambda keys, consistent: BatchGetItem(keys={TABLE: tuple(keys)}, consistent=consistent),
    st.lists(keys, min_size=1, max_size=4),
    st.booleans(),
)
batch_writes = st.lists(st.one_of(puts, deletes).map(_plain), min_size=1, max_size=4).map(
    lambda parts: BatchWriteItem(writes={TABLE: tuple(parts)})
)

# Queries and scans ----------------------------------------------------------------------------------------------------

sort_conditions = st.one_of(
    st.builds(
        SortCondition,
        st.sampled_from(["=", "<", "<=", ">", ">=", "begins_with"]),
        st.sampled_from(["1", "a", "é"]).map(S),
    ),
    st.just(SortCondition("between", S("1"), S("b"))),
)
options: Mapping[str, Any] = {
    "table": table,
    "filter": maybe,
    "forward": st.booleans(),
    "limit": st.one_of(st.none(), st.integers(1, 5)),
    "count_only": st.booleans(),
}


def _query(
    index: str | None,
    names: tuple[str, str | None],
    partitions: Iterable[str],
    ranges: Any,
    projection: Any,
    **more: Any,
) -> st.SearchStrategy[Query]:
    def condition(partition: str, sort: SortCondition | None) -> KeyCondition:
        return KeyCondition(names[0], S(partition), names[1] if sort else None, sort)

    at = st.builds(condition, st.sampled_from(list(partitions)), st.one_of(st.none(), ranges))
    found = st.builds(Query, key=at, index=st.just(index), projection=projection, **options, **more)
    # A count has no items, so that nothing could be chosen of them.
    return found.map(lambda query: replace(query, projection=()) if query.count_only else query)


number_ranges = st.builds(SortCondition, st.sampled_from(["=", "<", "<=", ">", ">="]), st.integers(-2, 12).map(N))
held_by_keys_only = st.sampled_from([(), (Path(("pk",)), Path(("g2pk",)))])
held_with_a = st.sampled_from([(), (Path(("a",)), Path(("num",)))])
queries = st.one_of(
    _query(None, ("pk", "sk"), "pq", sort_conditions, projections, consistent=st.booleans()),
    _query("GSI1", ("g1pk", "g1sk"), "gh", sort_conditions, projections),
    _query("GSI2", ("g2pk", None), "gh", st.none(), held_by_keys_only),
    _query("GSI3", ("g2pk", "num"), "gh", number_ranges, held_with_a),
)
# Scans have no order in common, so only whole ones are compared, and never their capacity.
scans = st.builds(Scan, table=table, filter=maybe, index=st.sampled_from([None, "GSI1", "GSI2", "GSI3"]))
requests = st.one_of(
    puts,
    puts,
    changes,
    changes,
    deletes,
    transactions,
    batch_writes,
    gets,
    batch_reads,
    transactional_reads,
    queries,
    scans,
)


def renamed(request: Any, table: str) -> Request:
    """Return *request* on *table*; the token of a transaction becomes one that no other table has."""
    if isinstance(request, TransactGetItems):
        return replace(request, parts=tuple(replace(part, table=table) for part in request.parts))
    if isinstance(request, TransactWriteItems):
        token = None if request.token is None else f"{request.token}-{table[-24:]}"
        return replace(request, parts=tuple(replace(part, table=table) for part in request.parts), token=token)
    if isinstance(request, BatchGetItem):
        return replace(request, keys={table: request.keys[TABLE]})
    if isinstance(request, BatchWriteItem):
        return replace(request, writes={table: tuple(replace(part, table=table) for part in request.writes[TABLE])})
    on_table: Request = replace(request, table=table)
    return on_table
