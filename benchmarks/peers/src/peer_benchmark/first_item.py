"""A fresh process up to its first item: ``python -m peer_benchmark.first_item ROW URL`` prints seconds as JSON.

Nothing but this line of modules is imported before the clock starts: the standard library's that the harness needs itself are
few and small, and none of them is a peer's.
"""

import sys
import time

_BEGIN = (time.process_time(), time.perf_counter())


def main() -> None:
    """Import the peer, connect, get one order, and tell what that took."""
    from peer_benchmark.peer import Place

    module_name, customer, url, *pairs = sys.argv[1:]
    module = __import__(f"peer_benchmark.peers.{module_name}", fromlist=["connect"])
    peer = module.connect(Place(url, customer), **dict(pair.split("=", 1) for pair in pairs))
    if not peer.drive("get", 1):
        raise SystemExit("There was no order.")
    cpu, wall = time.process_time() - _BEGIN[0], time.perf_counter() - _BEGIN[1]
    print(f'{{"cpu": {cpu}, "wall": {wall}}}')


if __name__ == "__main__":
    main()
