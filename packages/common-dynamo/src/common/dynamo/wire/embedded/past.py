"""The recent past of the tables, so that a read can be answered as of an earlier moment."""

import sqlite3
from collections import deque

from common.dynamo.value_classes import dataclass
from common.dynamo.wire.embedded.capacity import Consumed
from common.dynamo.wire.embedded.packing import unpack
from common.dynamo.wire.embedded.values import Stored
from common.dynamo.wire.embedded.writes import Write, evaluate, store

_COMMITS = 16


@dataclass(frozen=True, slots=True)
class Image:
    """An item as it was before a write; ``None`` where there was none."""

    write: Write
    item: Stored | None
    size: int


class Past:
    """The last commits of this process, as what they overwrote. Used inside write transactions, one at a time."""

    def __init__(self) -> None:
        self._commits: deque[tuple[Image, ...]] = deque(maxlen=_COMMITS)

    def look(self, connection: sqlite3.Connection, writes: tuple[Write, ...]) -> tuple[Image, ...]:
        """Return what *writes* are about to overwrite."""
        images = []
        for write in writes:
            row = connection.execute(write.table.select, write.key).fetchone()
            images.append(Image(write, None, 0) if row is None else Image(write, unpack(row[2]), row[1]))
        return tuple(images)

    def remember(self, images: tuple[Image, ...]) -> None:
        """Add a commit that overwrote *images*."""
        self._commits.append(images)

    def forget(self) -> None:
        """Drop everything: a table is gone."""
        self._commits.clear()

    def rewind(self, connection: sqlite3.Connection, how_far: float) -> None:
        """Undo commits: one at least, all that are remembered at *how_far* = 1, none if none is remembered."""
        commits = list(self._commits)
        count = min(len(commits), 1 + int(how_far * len(commits)))
        for images in reversed(commits[len(commits) - count :]):
            for image in images:
                _restore(connection, image)


def _restore(connection: sqlite3.Connection, image: Image) -> None:
    back = Write(image.write.table, image.write.key, None, lambda _old, _size: (image.item, image.size))
    store(connection, back, evaluate(connection, back), Consumed(back.table.name), now=0.0)
