"""The change feed of an embedded database: what its tables have gone through, in order, for 24 hours.

It has the records of a DynamoDB stream, so that a consumer is written once. On a network the engine keeps the stream
itself, and its consumers are AWS Lambda or boto3's ``dynamodbstreams`` client; there is no feed to ask here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Final, Protocol

from common.dynamo.exceptions import InvalidCursor, Unavailable
from common.dynamo.value_classes import dataclass
from common.dynamo.wire import NotSent, Wire
from common.exceptions import ConfigurationError

__all__ = ["KEPT_SECONDS", "ChangeFeed", "ChangePage", "feed_of", "keep_changes", "read_changes"]

KEPT_SECONDS: Final = 24 * 60 * 60
"""How long a record is kept (Amazon DynamoDB Developer Guide, "Change data capture for DynamoDB Streams")."""
MOST_RECORDS: Final = 1000
"""On one page (Amazon DynamoDB API Reference, ``GetRecords``)."""
_LONGEST_POSITION: Final = 40
"""Digits; of a sequence number, by the same reference."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Records in the order of their commits, and where to go on."""

    records: tuple[Mapping[str, Any], ...] = field(repr=False)
    """In the shape of boto3's ``dynamodbstreams.get_records``: ``eventID``, ``eventName`` (``INSERT``, ``MODIFY``,
    ``REMOVE``), ``eventVersion``, ``eventSource``, ``awsRegion`` and ``dynamodb`` with ``ApproximateCreationDateTime``,
    ``Keys``, ``NewImage``, ``OldImage``, ``SequenceNumber``, ``SizeBytes`` and ``StreamViewType``. Attribute values have
    the form of :mod:`common.dynamo.requests`. Sequence numbers have one length, so that they compare as text too."""
    last: str | None
    """The position after these records: the next page's ``after``. Without a record it is the ``after`` of this page."""


class ChangeFeed(Protocol):
    """What keeps changes: the ``feed`` of an embedded wire."""

    def read_changes(
        self, names: Sequence[str], after: int | None, limit: int, timeout: float
    ) -> Sequence[Mapping[str, Any]]:
        """Return up to *limit* records of the tables *names* after the sequence number *after*, within *timeout* seconds.

        Raises:
            ChangesTrimmed: Records after *after* are no longer kept.
            ConfigurationError: One of the tables is missing, or keeps no changes.
            NotSent: Another writer held the database all the time.
        """
        ...

    def keep_changes(self, name: str, timeout: float) -> None:
        """Have the table *name* keep its changes from now on; nothing happens where it does."""
        ...


def feed_of(wire: Wire) -> ChangeFeed | None:
    """Return the feed behind *wire*; ``None`` on a network."""
    feed: ChangeFeed | None = getattr(wire, "feed", None)
    return feed


def keep_changes(wire: Wire, tables: Sequence[str], timeout: float) -> None:
    """Have *tables* keep their changes, where *wire* leads to a feed; *timeout* seconds for each at most."""
    feed = feed_of(wire)
    if feed is not None:
        with _waiting():
            for table in tables:
                feed.keep_changes(table, timeout)


def read_changes(wire: Wire, tables: Sequence[str], after: str | None, limit: int, timeout: float) -> ChangePage:
    """Return a page of the feed behind *wire*; see :meth:`common.dynamo.Database.changes`."""
    feed = feed_of(wire)
    if feed is None:
        raise ConfigurationError(
            f"The {wire.name} wire keeps no changes: DynamoDB does. Read the table's stream by AWS Lambda, or by boto3's "
            "dynamodbstreams client; its records have the form of those of an embedded database."
        )
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_RECORDS:
        raise ConfigurationError(f"limit must be a whole number from 1 to {MOST_RECORDS}.")
    position = None if after is None else _position(after)
    with _waiting():
        records = tuple(feed.read_changes(tables, position, limit, timeout))
    return ChangePage(records, records[-1]["dynamodb"]["SequenceNumber"] if records else after)


def _position(after: str) -> int:
    if isinstance(after, str) and after.isascii() and after.isdigit() and len(after) <= _LONGEST_POSITION:
        return int(after)
    raise InvalidCursor("after= is no position of a change feed: give the last of an earlier page, or none to begin.")


@contextmanager
def _waiting() -> Iterator[None]:
    """Report a database that was busy all the time as what it is to the caller."""
    try:
        yield
    except NotSent as failure:
        raise Unavailable(f"The change feed: {failure}. Repeat the call.", engine_code="NotSent") from failure
