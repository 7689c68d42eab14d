"""A wire that makes the tables of an embedded database when it is first used."""

from collections.abc import Callable

from common.dynamo.change_feed import ChangeFeed, feed_of
from common.dynamo.locking import ForkSafeLock
from common.dynamo.requests import DescribeTable, DescribeTimeToLive, Request
from common.dynamo.wire import Answer, Wire
from common.exceptions import ConfigurationError

__all__ = ["TablesOnFirstUse"]


class TablesOnFirstUse(Wire):
    """Sends through another wire, after *prepare* has run once."""

    def __init__(self, wire: Wire, prepare: Callable[[], None]) -> None:
        self._wire = wire
        self._prepare = prepare
        self._lock = ForkSafeLock()
        self._preparing = False
        self.ready = False
        """Whether the tables are there."""

    @property
    def name(self) -> str:
        return self._wire.name

    @property
    def reason(self) -> str:
        return self._wire.reason

    @property
    def endpoint(self) -> tuple[str, int] | None:
        return self._wire.endpoint

    @property
    def region(self) -> str | None:
        return self._wire.region

    @property
    def feed(self) -> ChangeFeed | None:
        """The change feed of the wire within, once the tables are there."""
        self.make_ready()
        return feed_of(self._wire)

    def send(self, request: Request, timeout: float) -> Answer:
        if not self.ready:
            self._make_ready_for(request)
        return self._wire.send(request, timeout)

    def _make_ready_for(self, request: Request) -> None:
        try:
            self.make_ready()
        except ConfigurationError:
            # Whoever asks how the tables are wants to be told in what they differ.
            if not isinstance(request, DescribeTable | DescribeTimeToLive):
                raise

    def make_ready(self) -> None:
        """Make the tables, unless they are there or being made.

        Raises:
            ConfigurationError: One of them exists and differs.
        """
        # The lock is one that its holder can take again: preparing sends through this very wire.
        with self._lock:
            if self.ready or self._preparing:
                return
            self._preparing = True
            try:
                self._prepare()
                self.ready = True
            finally:
                self._preparing = False

    def make_again(self) -> None:
        """Have the tables made on the next call again: there is another one."""
        self.ready = False

    def close(self) -> None:
        self._wire.close()
