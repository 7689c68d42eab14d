"""Asks a store of nonces whether a proof was used before, on threads of its own, so that no event loop waits for a table."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from common.auth.exceptions import StoreUnavailable

__all__ = ["ClaimingPool"]

_THREADS: Final = 4
_WAITING: Final = 256


class ClaimingPool:
    """Runs claims on a few threads, which start with the first one. Safe to share between event loops.

    Args:
        threads: How many claims are made at once.
        waiting: How many may be under way, those that wait for a thread included. Beyond it a request is refused, so that
            a store which hangs cannot pile requests up.
    """

    def __init__(self, *, threads: int = _THREADS, waiting: int = _WAITING) -> None:
        self._threads = threads
        self._waiting = waiting
        self._lock = threading.Lock()
        self._under_way = 0
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, claim: Callable[[], None]) -> None:
        """Return when *claim* has returned; what it raises is raised here.

        Raises:
            StoreUnavailable: Too many claims are under way.
        """
        await asyncio.wrap_future(self._submit(claim))

    def _submit(self, claim: Callable[[], None]) -> "Future[None]":
        with self._lock:
            if self._under_way >= self._waiting:
                raise StoreUnavailable("Too many requests wait for the store of nonces.", reason="claims_overloaded")
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="gateway-claims")
            self._under_way += 1
        # A request that is given up leaves its claim to the thread, so the claim itself says when it is over.
        future = self._pool.submit(claim)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: "Future[None]") -> None:
        with self._lock:
            self._under_way -= 1
