"""What every way to DynamoDB has to do, and how it is driven."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from peer_benchmark.orders import raw_key

__all__ = ["REGION", "TABLE", "Peer", "Place"]

REGION = "eu-central-1"
TABLE = "peer-benchmark"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer finds its orders. Credentials and region are in the environment, as everybody's documentation has it."""

    endpoint_url: str
    customer: str
    """Whose hundred orders are read."""
    connections: int = 10
    """How many the client may keep, where it can be told; 10 is what botocore has by itself."""

    @property
    def writer(self) -> str:
        """Whose orders are written."""
        return f"{self.customer}-w"


class Peer(ABC):
    """One way to DynamoDB. The names of the works are the names of methods; a method that is missing is a dash in the table.

    ``get`` reads one order with strong consistency; ``put`` replaces one, from an object; ``update`` sets the note and adds 1
    to the fills; ``conditional_update`` does so where the order is open; ``query_100`` reads a partition; ``batch_get_100``
    reads a hundred keys; ``transaction_4`` puts two orders, changes a third where it is open and checks that a fourth is open.
    """

    lacks: ClassVar[Mapping[str, str]] = {}
    """Work to why it cannot be done."""

    @abstractmethod
    def seed(self) -> None:
        """Store the orders that are read and those that are written."""

    @abstractmethod
    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the attributes of one order that was read, as the peer gives them."""

    def key(self, customer: str, number: int) -> dict[str, Any]:
        """Return under which key the peer stores an order, in the form of the DynamoDB API."""
        return raw_key(customer, number)

    def close(self) -> None:  # noqa: B027 - not every peer can be closed
        """Release sockets and threads."""

    def drive(self, work: str, count: int) -> Any:
        """Do *work* *count* times, one after the other; return the last answer."""
        call, answer = getattr(self, work), None
        for _ in range(count):
            answer = call()
        return answer

    def drive_together(self, work: str, workers: int, seconds: float) -> int:
        """Do *work* over and over in *workers* threads for *seconds*; return how often it was done."""
        call: Callable[[], Any] = getattr(self, work)
        counts = [0] * workers
        until = time.perf_counter() + seconds

        def go_on(worker: int) -> None:
            done = 0
            while time.perf_counter() < until:
                call()
                done += 1
            counts[worker] = done

        in_threads(go_on, workers)
        return sum(counts)

    def drive_once_each(self, work: str, workers: int, together: Callable[[Callable[[], Any]], None]) -> None:
        """Do *work* once in each of *workers* threads, which *together* has, at the same time."""
        together(getattr(self, work))


def in_threads(task: Callable[[int], Any], workers: int) -> None:
    """Run *task* in *workers* threads that begin together.

    Raises:
        Exception: The first one that a thread ended by.
    """
    barrier, failures = threading.Barrier(workers), []

    def run(worker: int) -> None:
        try:
            barrier.wait(30)
            task(worker)
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
