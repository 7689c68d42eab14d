"""Random sequences of requests have the same outcome on the embedded engine and on dynoxide: answers and capacity."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
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
    CreateTable,
    DeleteItem,
    Exists,
    GetItem,
    HasType,
    IfNotExists,
    In,
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
from common.dynamo.testing import Dynoxide, fresh_table_name, network_wire
from common.dynamo.testing.values import N, S, const, definition, key
from common.dynamo.wire import Answer
from common.dynamo.wire.embedded import EmbeddedWire

pytestmark = pytest.mark.thorough

TABLE = "table"
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
scalars = st.one_of(
    texts.map(S),
    numbers.map(N),
    st.binary(max_size=6).map(lambda content: {"B": content}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.integers(900, 1200).map(lambda size: S("x" * size)),
)
sets = st.one_of(
    st.lists(texts, min_size=1, max_size=4, unique=True).map(lambda members: {"SS": members}),
    st.lists(st.integers(0, 20).map(str), min_size=1, max_size=4, unique=True).map(lambda members: {"NS": members}),
)
values = st.recursive(
    st.one_of(scalars, sets),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(st.sampled_from(["k", "j"]), inner, max_size=2).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)
names = st.sampled_from(["a", "b", "n", "l", "m"])
paths = st.one_of(
    names.map(lambda name: Path((name,))),
    st.tuples(st.just("m"), st.sampled_from(["k", "j"])).map(Path),
    st.tuples(st.just("l"), st.integers(0, 3)).map(Path),
)
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

# Conditions and updates -----------------------------------------------------------------------------------------------

constants = values.map(const)
orderable = st.one_of(texts.map(S), numbers.map(N)).map(const)


def between(path: Path, low: str, high: str) -> Condition:
    low, high = sorted((low, high), key=float)
    return Between(path, const(N(low)), const(N(high)))


simple = st.one_of(
    st.builds(Compare, st.sampled_from(["=", "<>"]), paths, constants),
    st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), paths, orderable),
    st.builds(Compare, st.sampled_from(["=", "<", ">"]), paths.map(Size), st.integers(0, 5).map(lambda n: const(N(n)))),
    st.builds(between, paths, st.integers(-9, 9).map(str), st.integers(-9, 9).map(str)),
    st.builds(In, paths, st.lists(constants, min_size=1, max_size=3).map(tuple)),
    st.builds(Exists, paths),
    st.builds(NotExists, paths),
    st.builds(HasType, paths, st.sampled_from(["S", "N", "B", "L", "M", "SS", "BOOL", "NULL"])),
    st.builds(BeginsWith, paths, texts.map(lambda text: const(S(text)))),
    st.builds(Contains, paths, constants),
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
small = st.integers(-9, 9).map(lambda n: const(N(n)))
set_values = st.one_of(
    constants,
    paths,
    st.builds(Plus, paths, small),
    st.builds(Minus, paths, small),
    st.builds(IfNotExists, paths, constants),
    st.builds(Plus, st.builds(IfNotExists, paths, small), small),
    st.builds(ListAppend, paths, st.just(const({"L": [N(1)]}))),
)
addends = st.one_of(small, sets.map(const))


def apart(update: Update) -> bool:
    """Return whether no attribute is named twice, and the update avoids what dynoxide does differently."""
    targets = [*(path for path, _ in update.set), *update.remove, *(path for path, _ in (*update.add, *update.delete))]
    first = [path.parts[0] for path in targets]
    return len(set(first)) == len(first)


# "pads-lists" and "removes-nowhere": positions and members are only set where they replace, and whole attributes removed.
top = names.map(lambda name: Path((name,)))
updates = st.builds(
    Update,
    set=st.lists(
        st.tuples(st.one_of(top, st.tuples(st.just("m"), st.sampled_from(["k", "j"])).map(Path)), set_values),
        max_size=3,
    ).map(tuple),
    remove=st.lists(top, max_size=2).map(tuple),
    add=st.lists(st.tuples(top, addends), max_size=2).map(tuple),
    delete=st.lists(st.tuples(top, sets.map(const)), max_size=1).map(tuple),
).filter(apart)
# "ghosts": an update always sets something.
updates = updates.filter(lambda update: bool(update.set or update.add))

# Requests -------------------------------------------------------------------------------------------------------------

puts = st.builds(
    PutItem, table=st.just(TABLE), item=items, condition=maybe, returns=st.sampled_from(["NONE", "ALL_OLD"])
)
# "old-of-nothing" and "whole-lists": ALL_OLD of updates is left to the table of updates, so are UPDATED_*.
changes = st.builds(
    UpdateItem,
    table=st.just(TABLE),
    key=keys,
    update=updates,
    condition=maybe,
    returns=st.sampled_from(["NONE", "ALL_NEW"]),
)
deletes = st.builds(
    DeleteItem, table=st.just(TABLE), key=keys, condition=maybe, returns=st.sampled_from(["NONE", "ALL_OLD"])
)
checks = st.builds(ConditionCheck, table=st.just(TABLE), key=keys, condition=conditions)
gets = st.builds(GetItem, table=st.just(TABLE), key=keys, consistent=st.booleans())


def item_of(part: Any) -> tuple[str, str]:
    found = part.item if isinstance(part, PutItem) else part.key
    return found["pk"]["S"], found["sk"]["S"]


def plain(part: Any) -> Any:
    return PutItem(table=TABLE, item=part.item) if isinstance(part, PutItem) else DeleteItem(table=TABLE, key=part.key)


parts = st.one_of(
    st.builds(PutItem, table=st.just(TABLE), item=items, condition=maybe),
    st.builds(UpdateItem, table=st.just(TABLE), key=keys, update=updates, condition=maybe),
    st.builds(DeleteItem, table=st.just(TABLE), key=keys, condition=maybe),
    checks,
)
several = st.lists(parts, min_size=1, max_size=4, unique_by=item_of).map(tuple)
transactions = st.builds(TransactWriteItems, parts=several)
transactional_reads = st.lists(gets, min_size=1, max_size=4, unique_by=item_of).map(
    lambda parts: TransactGetItems(parts=tuple(parts))
)
batch_reads = st.builds(
    lambda keys, consistent: BatchGetItem(keys={TABLE: tuple(keys)}, consistent=consistent),
    st.lists(keys, min_size=1, max_size=4, unique_by=lambda key: (key["pk"]["S"], key["sk"]["S"])),
    st.booleans(),
)
batch_writes = st.lists(st.one_of(puts, deletes).map(plain), min_size=1, max_size=4, unique_by=item_of).map(
    lambda parts: BatchWriteItem(writes={TABLE: tuple(parts)})
)
sort_conditions = st.one_of(
    st.builds(
        SortCondition,
        st.sampled_from(["=", "<", "<=", ">", ">=", "begins_with"]),
        st.sampled_from(["1", "a", "é"]).map(S),
    ),
    st.just(SortCondition("between", S("1"), S("b"))),
)
options = {
    "table": st.just(TABLE),
    "filter": st.one_of(st.none(), conditions),
    "forward": st.booleans(),
    "limit": st.one_of(st.none(), st.integers(1, 5)),
    "count_only": st.booleans(),
}
table_queries = st.builds(
    Query,
    key=st.builds(
        lambda partition, sort: KeyCondition("pk", S(partition), "sk" if sort else None, sort),
        st.sampled_from(["p", "q"]),
        st.one_of(st.none(), sort_conditions),
    ),
    consistent=st.booleans(),
    **options,
)


def index_queries(index: str, partition: str) -> st.SearchStrategy[Query]:
    return st.builds(
        Query,
        index=st.just(index),
        key=st.sampled_from(["g", "h"]).map(lambda text: KeyCondition(partition, S(text))),
        **options,
    )


queries = st.one_of(
    table_queries, index_queries("GSI1", "g1pk"), index_queries("GSI2", "g2pk"), index_queries("GSI3", "g2pk")
)
# Scans have no order in common, so only whole ones are compared, and never their capacity.
scans = st.builds(Scan, table=st.just(TABLE), filter=maybe, index=st.sampled_from([None, "GSI1", "GSI2", "GSI3"]))


# Comparison -----------------------------------------------------------------------------------------------------------


def comparable(request: Request, answer: Answer) -> Any:
    """Return what both engines have to agree on: no texts, sets and unordered answers without order."""
    body = {name: content for name, content in answer.body.items() if name != "message"}
    if isinstance(request, Scan):
        body.pop("ConsumedCapacity", None)
        body["Items"] = sorted(map(repr, map(tidy, body.get("Items", ()))))
    if isinstance(request, BatchGetItem) and answer.status == 200:
        body["Responses"] = {table: sorted(map(repr, map(tidy, found))) for table, found in body["Responses"].items()}
    if answer.body.get("__type") == "TransactionCanceledException":
        # "lax-transactions": which parts are judged after the first that does not fit is not the same.
        reasons = body.pop("CancellationReasons")
        body["invalid"] = any(reason["Code"] == "ValidationError" for reason in reasons)
        if not body["invalid"]:
            body["reasons"] = [
                {name: tidy(each) for name, each in reason.items() if name != "Message"} for reason in reasons
            ]
    return answer.status, tidy(body)


def tidy(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: sorted(each) if name in ("SS", "NS", "BS") else tidy(each) for name, each in sorted(value.items())
        }
    return [tidy(each) for each in value] if isinstance(value, list) else value


def renamed(request: Any, table: str) -> Any:
    """Return *request* on the run's table."""
    if isinstance(request, TransactWriteItems | TransactGetItems):
        return replace(request, parts=tuple(replace(part, table=table) for part in request.parts))
    if isinstance(request, BatchGetItem):
        return replace(request, keys={table: request.keys[TABLE]})
    if isinstance(request, BatchWriteItem):
        return replace(request, writes={table: tuple(replace(part, table=table) for part in request.writes[TABLE])})
    return replace(request, table=table)


class Engines:
    """A wire to each engine, and a fresh table on both."""

    def __init__(self, dynoxide: Dynoxide) -> None:
        self.embedded = EmbeddedWire()
        self.dynoxide = network_wire(dynoxide.endpoint_url)
        self.table = ""

    def begin(self) -> None:
        """Make a fresh table on both."""
        self.table = fresh_table_name()
        for wire in (self.embedded, self.dynoxide):
            assert wire.send(CreateTable(definition=definition(self.table)), 10.0).status == 200

    def agree(self, request: Request) -> Answer:
        """Send *request* to both, compare, and return the answer of the embedded engine."""
        request = renamed(request, self.table)
        answer = self.embedded.send(request, 10.0)
        found = comparable(request, answer)
        event(f"{request.operation} {found[0]} {found[1].get('__type', '')}")
        assert comparable(request, self.dynoxide.send(request, 10.0)) == found
        return answer


@pytest.fixture(scope="module")
def engines(dynoxide: Dynoxide) -> Iterator[Engines]:
    """Both engines."""
    engines = Engines(dynoxide)
    yield engines
    engines.embedded.close()
    engines.dynoxide.close()


requests = st.one_of(
    puts, puts, changes, deletes, transactions, batch_writes, gets, batch_reads, transactional_reads, queries, scans
)
# Deferred, since the representation of the whole would be longer than this file.
sequences = st.lists(st.deferred(lambda: requests), min_size=5, max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequence=sequences)
def test_random_sequences_agree(engines: Engines, sequence: list[Request]) -> None:
    """Whatever is asked in whatever order, both engines answer the same and charge the same."""
    engines.begin()
    for request in sequence:
        engines.agree(request)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stored=st.deferred(lambda: st.lists(puts, max_size=12)),
    request=st.deferred(lambda: queries),
    size=st.integers(1, 3),
)
def test_pages_agree(engines: Engines, stored: list[PutItem], request: Query, size: int) -> None:
    """Both engines cut the same pages, and name the same last keys."""
    engines.begin()
    for put in stored:
        engines.agree(put)
    start, pages = None, 0
    while pages == 0 or start is not None:
        answer = engines.agree(replace(request, limit=size, start=start))
        start, pages = answer.body.get("LastEvaluatedKey"), pages + 1

    assert pages <= len(stored) + 1
