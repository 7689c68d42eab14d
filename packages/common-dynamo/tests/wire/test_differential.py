"""Random sequences of requests have the same outcome on the embedded engine and on dynoxide: answers, capacity, changes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from common.dynamo.requests import (
    BatchGetItem,
    CreateTable,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    Item,
    ItemKey,
    PutItem,
    Query,
    Request,
    Scan,
    TransactWriteItems,
    UpdateItem,
    UpdateTimeToLive,
)
from common.dynamo.testing import Dynoxide, fresh_table_name, network_wire
from common.dynamo.testing.engines import streams_client
from common.dynamo.testing.random_requests import (
    fitted,
    gets,
    puts,
    queries,
    renamed,
    requests,
    scans,
    transactional_reads,
)
from common.dynamo.testing.streams import Record, stream_records
from common.dynamo.testing.values import definition, key
from common.dynamo.wire import Answer
from common.dynamo.wire.embedded import EmbeddedWire

pytestmark = pytest.mark.thorough


def comparable(request: Request, answer: Answer, *, replays: bool = False) -> Any:
    """Return what both engines have to agree on: no texts, sets and unordered answers without order."""
    body = {name: content for name, content in answer.body.items() if name != "message"}
    # "projected-reads", "replay-units", and the capacity of scans, which AWS itself charges in another way than it says.
    if replays or isinstance(request, Scan) or (isinstance(request, GetItem) and request.projection):
        body.pop("ConsumedCapacity", None)
    if isinstance(request, Scan):
        body["Items"] = in_no_order(body.get("Items", ()))
    if isinstance(request, BatchGetItem) and answer.status == 200:
        body["Responses"] = {table: in_no_order(found) for table, found in body["Responses"].items()}
    if answer.body.get("__type") == "TransactionCanceledException":
        # "lax-transactions": which parts are judged after the first that does not fit is not the same.
        reasons = body.pop("CancellationReasons")
        body["invalid"] = any(reason["Code"] == "ValidationError" for reason in reasons)
        if not body["invalid"]:
            body["reasons"] = [
                {name: tidy(each) for name, each in reason.items() if name != "Message"} for reason in reasons
            ]
    return answer.status, tidy(body)


def in_no_order(items: Any) -> list[str]:
    return sorted(repr(tidy(item)) for item in items)


def tidy(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: sorted(each) if name in ("SS", "NS", "BS") else tidy(each) for name, each in sorted(value.items())
        }
    return [tidy(each) for each in value] if isinstance(value, list) else value


def change(record: Record) -> Any:
    """Return what both engines tell of a change: all but sizes ("stream-sizes"), names, numbers and times of their own."""
    told = record["dynamodb"]
    images = {name: tidy(told[name]) for name in ("Keys", "OldImage", "NewImage") if name in told}
    assert {"eventID", "awsRegion"} < record.keys()
    assert {"ApproximateCreationDateTime", "SequenceNumber", "SizeBytes"} < told.keys()
    return record["eventName"], record["eventSource"], record["eventVersion"], told["StreamViewType"], images


def is_empty(told: Any) -> bool:
    images = told[-1]
    return bool(images.get("OldImage") == images.get("NewImage"))


class Engines:
    """A wire to each engine, and a fresh table on both."""

    def __init__(self, dynoxide: Dynoxide) -> None:
        self.embedded = EmbeddedWire()
        self.dynoxide = network_wire(dynoxide.endpoint_url)
        self.streams = streams_client(dynoxide.endpoint_url)
        self.table = ""
        self._tokens: set[str] = set()

    def begin(self) -> None:
        """Make a fresh table on both, which keeps its changes."""
        self.table = fresh_table_name()
        for wire in (self.embedded, self.dynoxide):
            definitely = replace(definition(self.table), stream=True)
            assert wire.send(CreateTable(definition=definitely), 10.0).status == 200

    def agree(self, request: Request) -> Answer:
        """Send *request* to both, compare, and return the answer of the embedded engine."""
        request = self._fitted(renamed(request, self.table))
        replays = isinstance(request, TransactWriteItems) and request.token in self._tokens
        answer = self.embedded.send(request, 10.0)
        if isinstance(request, TransactWriteItems) and request.token and answer.status == 200:
            self._tokens.add(request.token)
        found = comparable(request, answer, replays=replays)
        event(f"{request.operation} {found[0]} {found[1].get('__type', 'replayed' if replays else '')}")
        assert comparable(request, self.dynoxide.send(request, 10.0), replays=replays) == found
        return answer

    def _fitted(self, request: Request) -> Request:
        if isinstance(request, UpdateItem):
            return fitted(request, self._stored(request.key))
        if isinstance(request, TransactWriteItems):
            parts = tuple(
                fitted(part, self._stored(part.key)) if isinstance(part, UpdateItem) else part for part in request.parts
            )
            return replace(request, parts=parts)
        return request

    def _stored(self, key: ItemKey) -> Item | None:
        found: Item | None = self.embedded.send(GetItem(table=self.table, key=key), 10.0).body.get("Item")
        return found

    def agree_on_changes(self) -> None:
        """Compare the feed of the one with the stream of the other, record by record."""
        records = self.embedded.feed.read_changes([self.table], None, 1000, 10.0)
        told = [change(record) for record in stream_records(self.streams, self.table)]
        # "empty-changes"
        assert [each for each in told if not is_empty(each)] == [change(record) for record in records]

    def agree_on_segments(self, scan: Scan, total: int, limit: int) -> None:
        """Read all segments of *scan* page by page; together they hold the same, on both, and nothing twice."""
        found = []
        for wire in (self.embedded, self.dynoxide):
            items = [
                item
                for segment in range(total)
                for answer in self._pages(
                    wire, replace(scan, table=self.table, segment=segment, total_segments=total, limit=limit)
                )
                for item in answer.body["Items"]
            ]
            found.append(in_no_order(items))
        assert found[0] == found[1]

    @staticmethod
    def _pages(wire: Any, scan: Scan) -> Iterator[Answer]:
        while True:
            answer = wire.send(scan, 10.0)
            yield answer
            start = answer.body.get("LastEvaluatedKey")
            if start is None:
                return
            scan = replace(scan, start=start)


@pytest.fixture(scope="module")
def engines(dynoxide: Dynoxide) -> Iterator[Engines]:
    """Both engines."""
    engines = Engines(dynoxide)
    yield engines
    engines.embedded.close()
    engines.dynoxide.close()


# Of two mistakes each engine tells the one that it finds first, so a request on a missing table has no other one.
valid = st.one_of(gets, transactional_reads, puts.map(lambda put: replace(put, condition=None)))
# Deferred, since the representation of the whole would be longer than this file.
sequences = st.lists(st.deferred(lambda: requests), min_size=5, max_size=30)
stored = st.deferred(lambda: st.lists(puts, max_size=12))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequence=sequences)
def test_random_sequences_agree(engines: Engines, sequence: list[Request]) -> None:
    """Whatever is asked in whatever order, both engines answer the same, charge the same, and record the same changes."""
    engines.begin()
    for request in sequence:
        engines.agree(request)

    engines.agree_on_changes()


def test_streams_have_the_faults_that_are_listed(engines: Engines) -> None:
    """What the comparison leaves out is still so: "empty-changes", "stream-sizes", "short-streams"."""
    engines.begin()
    put = PutItem(table=engines.table, item=key("p", "1"))
    for wire in (engines.embedded, engines.dynoxide, engines.dynoxide):
        assert wire.send(put, 10.0).status == 200
    told = stream_records(engines.streams, engines.table)
    (record,) = engines.embedded.feed.read_changes([engines.table], None, 10, 10.0)
    short = replace(definition(f"t{engines.table[-8:]}"), stream=True)
    assert engines.dynoxide.send(CreateTable(definition=short), 10.0).status == 200

    assert [False, True] == [is_empty(change(each)) for each in told]
    assert told[0]["dynamodb"]["SizeBytes"] != record["dynamodb"]["SizeBytes"]
    with pytest.raises(ParamValidationError, match="ShardId"):
        stream_records(engines.streams, short.name)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(stored=stored, request=st.deferred(lambda: queries), size=st.integers(1, 3))
def test_pages_agree(engines: Engines, stored: list[PutItem], request: Query, size: int) -> None:
    """Both engines cut the same pages, forwards and backwards, and name the same last keys."""
    engines.begin()
    for put in stored:
        engines.agree(put)
    start, pages = None, 0
    while pages == 0 or start is not None:
        answer = engines.agree(replace(request, limit=size, start=start))
        start, pages = answer.body.get("LastEvaluatedKey"), pages + 1

    assert pages <= len(stored) + 1


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(stored=stored, scan=st.deferred(lambda: scans), total=st.integers(1, 4), size=st.integers(1, 5))
def test_scans_agree(engines: Engines, stored: list[PutItem], scan: Scan, total: int, size: int) -> None:
    """Whole or in segments and pages, of the table or of an index, both engines find the same items."""
    engines.begin()
    for put in stored:
        engines.agree(put)
    engines.agree(scan)
    engines.agree_on_segments(scan, total, size)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=st.deferred(lambda: valid), is_there=st.booleans())
def test_requests_on_tables_agree(engines: Engines, request: Request, is_there: bool) -> None:
    """Expiry is told as it was set; what exists is not made twice; on what is gone every request is refused alike."""
    engines.begin()
    engines.agree(DescribeTimeToLive(table="table"))
    engines.agree(UpdateTimeToLive(table="table", attribute="expires"))
    engines.agree(DescribeTimeToLive(table="table"))
    codes = []
    for wire in (engines.embedded, engines.dynoxide):
        answers = [wire.send(CreateTable(definition=definition(engines.table)), 10.0)]
        if not is_there:
            answers.append(wire.send(DeleteTable(table=engines.table), 10.0))
        on_table = (
            renamed(request, engines.table),
            DescribeTable(table=engines.table),
            DeleteTable(table=engines.table),
        )
        answers += [wire.send(each, 10.0) for each in on_table]
        codes.append([(answer.status, answer.body.get("__type")) for answer in answers])

    assert codes[0] == codes[1]
