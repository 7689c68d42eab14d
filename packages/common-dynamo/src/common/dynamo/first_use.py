"""A wire that makes the tables of an embedded database when it is first used."""

from collections.abc import Callable

from common.dynamo.locking import ForkSafeLock
from common.dynamo.requests import Request
from common.dynamo.wire import Answer, Wire

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

    def send(self, request: Request, timeout: float) -> Answer:
        if not self.ready:
            self._make_ready()
        return self._wire.send(request, timeout)

    def _make_ready(self) -> None:
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

    def close(self) -> None:
        self._wire.close()
