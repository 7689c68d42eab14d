"""All changes of a database's tables, on any engine: from its feed in process, from the real streams on a network."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["Record", "feed_records", "stream_records"]

Record = Mapping[str, Any]
"""As boto3's ``dynamodbstreams.get_records`` returns it; see :class:`common.dynamo.change_feed.ChangePage`."""

_PAUSE: Final = 0.25
"""Seconds between two looks at a shard: DynamoDB allows five of them a second."""


def feed_records(database: "Database", *, after: str | None = None) -> tuple[Record, ...]:
    """Return all records of an embedded database after the position *after*.

    Raises:
        ConfigurationError: The database is on a network, or keeps no changes.
        ChangesTrimmed: Records after *after* are no longer kept.
    """
    records: list[Record] = []
    while True:
        page = database.changes(after=after)
        if not page.records:
            return tuple(records)
        records += page.records
        after = page.last


def stream_records(
    client: Any,
    table: str,
    *,
    patience: float = 0.0,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Record, ...]:
    """Return all records of the latest stream of *table*, by their sequence numbers.

    Args:
        client: A boto3 client of ``dynamodbstreams``.
        table: Has a stream.
        patience: Seconds without a record after which a shard that is still open counts as read. A local engine has
            every record as soon as its write is answered; on AWS it may take seconds.
        monotonic: Seconds of a clock that never goes back.
        sleep: Waits that many seconds.

    Raises:
        ValueError: The table has no stream.
    """
    streams = client.list_streams(TableName=table)["Streams"]
    if not streams:
        raise ValueError(f"Table {table!r} has no stream: create it with stream=True.")
    arn = max(streams, key=lambda stream: stream["StreamLabel"])["StreamArn"]
    records: list[Record] = []
    for shard in _shards(client, arn):
        quiet_since = monotonic()
        for page in _pages(client, arn, shard):
            records += page
            if page:
                quiet_since = monotonic()
            elif monotonic() - quiet_since >= patience:
                break
            else:
                sleep(_PAUSE)
    return tuple(sorted(records, key=lambda record: int(record["dynamodb"]["SequenceNumber"])))


def _shards(client: Any, arn: str) -> Iterator[str]:
    start: Mapping[str, str] = {}
    while True:
        description = client.describe_stream(StreamArn=arn, **start)["StreamDescription"]
        yield from (shard["ShardId"] for shard in description["Shards"])
        last = description.get("LastEvaluatedShardId")
        if last is None:
            return
        start = {"ExclusiveStartShardId": last}


def _pages(client: Any, arn: str, shard: str) -> Iterator[Sequence[Record]]:
    found = client.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    iterator = found["ShardIterator"]
    while iterator is not None:
        answer = client.get_records(ShardIterator=iterator)
        yield answer["Records"]
        iterator = answer.get("NextShardIterator")
