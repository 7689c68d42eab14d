"""The embedded wire: an engine in this process, with or without faults."""

import os
import random as chance
import time
from collections.abc import Callable

from common.dynamo.change_feed import ChangeFeed, feed_of
from common.dynamo.requests import Request
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.embedded.engine import Engine
from common.dynamo.wire.embedded.past import Past
from common.dynamo.wire.embedded.storage import Storage
from common.dynamo.wire.faults import Aside, FaultPlan, in_a_thread
from common.dynamo.wire.faulty import FaultyWire


class EmbeddedWire:
    """DynamoDB's semantics over one SQLite database, in a file or in memory.

    Threads share a wire; processes share a file. A file survives the death of the process at any moment: an answered
    write has been synced to the disk.

    Args:
        path: The database file, made when missing, readable by its owner alone; ``None`` for memory, which belongs to
            this wire and this process.
        fast: Do not wait for the disk at each commit. What was answered still survives the death of the process, but
            a crash of the machine or loss of power may take back the latest writes (whole ones, in order).
        faults: Which call meets which fault, for tests; ``None`` for none.
        clock: Seconds since the epoch; it decides how long a transaction's token is remembered.
        timer: Seconds of a monotonic clock, for waiting on other writers.
        sleep: Waits that many seconds.
        random: A number in [0, 1), to spread the waiting.
        aside: Starts the delivery of a late request beside its caller, for faults.

    Raises:
        FileRefused: The file is damaged, foreign, or of a newer version; it is left as it is.
    """

    name = "embedded"
    endpoint: tuple[str, int] | None = None
    region: str | None = None

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        fast: bool = False,
        faults: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
        aside: Aside = in_a_thread,
    ) -> None:
        file = None if path is None else os.fspath(path)
        storage = Storage(file, fast=fast, timer=timer, sleep=sleep, random=random)
        engine = Engine(storage, clock=clock, past=None if faults is None else Past())
        self._wire: Wire = engine if faults is None else FaultyWire(engine, faults, sleep=sleep, aside=aside)

    @property
    def reason(self) -> str:
        """Why this wire was chosen, in one line for the operator."""
        return self._wire.reason

    @property
    def feed(self) -> ChangeFeed | None:
        """What keeps the changes of the tables; faults leave it alone."""
        return feed_of(self._wire)

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* once, within *timeout* seconds.

        Raises:
            NotSent: Another writer held the database all the time, or the disk is full.
            AnswerLost: The disk failed in the middle of a commit.
            FileRefused: The file has been damaged meanwhile.
        """
        return self._wire.send(request, timeout)

    def close(self) -> None:
        """Close the database, after the work in progress."""
        self._wire.close()
