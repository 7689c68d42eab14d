"""What kept connections weigh: ``python -m peer_benchmark.held_connections MODULE ROW URL N`` prints KiB each as JSON.

The process connects and gets one order; then N threads (or tasks) get one at the same time, through a gate that answers
none of them before all have asked, so that N connections are open. What the memory of the process (RSS) has grown by is
divided by the connections that it keeps. The threads are there before, with stacks that have been used, so that they do not
count; freed memory is given back to the system before each look.
"""

import ctypes
import gc
import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from peer_benchmark.peer import Place

_DEPTH = 60


def resident() -> int:
    """Return the bytes of memory that the process has, after giving back what is free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def connections(port: int) -> int:
    """Return how many connections this process has to *port* that are established."""
    own = set()
    for file in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(file)
        except OSError:
            continue
        if target.startswith("socket:["):
            own.add(target[8:-1])
    rows = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]
    ]
    return sum(1 for row in rows if row[9] in own and row[3] == "01" and int(row[2].rpartition(":")[2], 16) == port)


def use_stack(depth: int) -> int:
    """Call through C *depth* times, so that a thread's stack is there for real."""
    return 0 if depth == 0 else min([1], key=lambda _: use_stack(depth - 1))


def together(pool: ThreadPoolExecutor, workers: int, task: Callable[[], Any]) -> None:
    """Run *task* in every thread of the pool at once."""
    barrier = threading.Barrier(workers)

    def run() -> None:
        barrier.wait(30)
        task()

    for future in [pool.submit(run) for _ in range(workers)]:
        future.result()


def main() -> None:
    """Connect, weigh, open the connections, weigh again."""
    module_name, customer, url, number, *pairs = sys.argv[1:]
    workers, port = int(number), urlsplit(url).port or 80
    module = __import__(f"peer_benchmark.peers.{module_name}", fromlist=["connect"])
    peer = module.connect(Place(url, customer, workers), **dict(pair.split("=", 1) for pair in pairs))
    peer.drive("get", 3)
    with ThreadPoolExecutor(workers) as pool:
        together(pool, workers, lambda: use_stack(_DEPTH))
        # Not one of the peer's: tells the gate to hold.
        with socket.create_connection(("127.0.0.1", port)) as control:
            control.sendall(b"HOLD %d\n" % workers)
            before, held = resident(), connections(port)
            peer.drive_once_each("get", workers, lambda task: together(pool, workers, task))
            after, kept = resident(), connections(port)
    print(json.dumps({"grown": after - before, "connections": kept - held}))


if __name__ == "__main__":
    main()
