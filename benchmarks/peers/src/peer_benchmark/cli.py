"""The command ``bench``."""

import argparse
import contextlib
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peer_benchmark import page, table
from peer_benchmark.checking import WrongAnswer, check, exactness
from peer_benchmark.cold_start import measure_cold_starts
from peer_benchmark.cpu import SAMPLE, measure_calls, measure_threads
from peer_benchmark.environment import EngineMissing, checkout, connect, create_table, serve, set_variables
from peer_benchmark.memory import measure_memory
from peer_benchmark.peer import Peer
from peer_benchmark.profiling import measure_shares, profile
from peer_benchmark.provision import start_again_with_peers, why_missing
from peer_benchmark.results import Results, holds
from peer_benchmark.works import BARE, BY_HAND, COLD, CPU_WORKS, MEMORY, OURS, ROWS, THREADS, WORKS, Row

__all__ = ["main", "parser"]

DESCRIPTION = """\
Measures common-dynamo and its peers on the same work, in turns in one run, against the second engine, and prints one table
of ratios with their spread. A whole run writes docs/benchmarks.md and its plot; a part of one (--peers, --work, --quick,
--endpoint) writes only where --write says to.
"""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to look."""

    rounds: int
    sample: float
    """Seconds of processor time for a sample of calls."""
    cold: int
    threads: int
    seconds: float
    memory: int
    profile: float
    """Seconds for each work."""


def effort(arguments: argparse.Namespace) -> Effort:
    """Return the effort of a run: that of a look, or a whole one with as many rounds as asked for."""
    if arguments.quick:
        return Effort(arguments.rounds or 2, 0.002, 1, 1, 0.1, 1, 0.1)
    rounds = arguments.rounds or 15
    few = max(3, rounds // 2)
    return Effort(rounds, SAMPLE, few, few, 1.0, min(3, few), 3.0)


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(
        prog="bench", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(row.name for row in ROWS)
    works = ", ".join(work.name for work in WORKS)
    made.add_argument("--peers", type=_list, metavar="A,B", help=f"only these rows, and the baselines; of {names}")
    made.add_argument("--work", type=_list, metavar="A,B", help=f"only these works; of {works}")
    made.add_argument("--rounds", type=int, metavar="N", help="rounds of processor time (default 15; cold start: half)")
    made.add_argument("--quick", action="store_true", help="a look: tiny samples, two rounds; the figures mean nothing")
    made.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the order in which rows take turns (default 1)"
    )
    made.add_argument("--endpoint", metavar="URL", help="measure against this server instead of the second engine")
    made.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write benchmarks.md and images/benchmarks.svg there"
    )
    made.add_argument("--no-write", action="store_true", help="print only, also after a whole run")
    made.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything that was measured for machines; - prints it"
    )
    made.add_argument("--check", action="store_true", help="exit 1 where a budget does not hold")
    made.add_argument("--profile", metavar="WORK", help="instead: where the time of the direct wire goes in this work")
    return made


def _list(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def chosen_rows(arguments: argparse.Namespace) -> list[Row]:
    """Return the rows to measure; the baselines are always among them."""
    wanted = arguments.peers and {BARE, BY_HAND, *arguments.peers}
    return [row for row in ROWS if not wanted or row.name in wanted]


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    given = sys.argv[1:] if given is None else list(given)
    made = parser()
    arguments = made.parse_args(given)
    if arguments.profile:
        arguments.peers = ["common-direct"]
    known = ({row.name for row in ROWS}, {work.name for work in WORKS})
    for asked, names in zip((arguments.peers, arguments.work or [arguments.profile or "get"]), known, strict=True):
        if strangers := sorted(set(asked or ()) - names):
            made.error(f"There is no {', '.join(strangers)}; there are {', '.join(sorted(names))}.")
    start_again_with_peers(chosen_rows(arguments), given)
    set_variables()
    try:
        with serve(arguments.endpoint) as endpoint_url:
            if arguments.profile:
                return profile(arguments.profile, endpoint_url)
            results = measure(arguments, endpoint_url)
    except (EngineMissing, WrongAnswer) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    tell_results(arguments, results)
    failed = any(value is not None and not holds(bound, work, value) for bound, work, value in results.verdicts())
    return 1 if arguments.check and failed else 0


def measure(arguments: argparse.Namespace, endpoint_url: str) -> Results:
    """Measure what was asked for."""
    results, chance, how = Results(), random.Random(arguments.seed), effort(arguments)
    results.setting = setting(arguments, how)
    tell = teller()
    client = create_table(endpoint_url)
    with connected(chosen_rows(arguments), endpoint_url, client, results, tell) as peers:
        asked = {work.name for work in WORKS if not arguments.work or work.name in arguments.work}
        works = tuple(work for work in CPU_WORKS if work.name in asked)
        if works:
            measure_calls(peers, works, results, rounds=how.rounds, sample=how.sample, chance=chance, tell=tell)
        everywhere = [row for row in chosen_rows(arguments) if row.name in peers and row.with_all]
        if THREADS.name in asked:
            driven = {row.name: peers[row.name] for row in everywhere}
            measure_threads(driven, results, rounds=how.threads, seconds=how.seconds, chance=chance, tell=tell)
        if OURS in peers and not arguments.work:
            tell("which module is at work")
            measure_shares(peers[OURS], results, seconds=how.profile)
    if COLD.name in asked:
        measure_cold_starts(everywhere, endpoint_url, results, rounds=how.cold, chance=chance, tell=tell)
    if MEMORY.name in asked:
        measure_memory(everywhere, endpoint_url, results, rounds=how.memory, chance=chance, tell=tell)
    tell("")
    return results


@contextlib.contextmanager
def connected(
    rows: Sequence[Row], endpoint_url: str, client: Any, results: Results, tell: Callable[[str], None]
) -> Iterator[dict[str, Peer]]:
    """Connect, seed and check every row that can be; the others say why not."""
    peers: dict[str, Peer] = {}
    try:
        for row in rows:
            tell(f"checking the answers of {row.title}")
            if reason := why_missing(row):
                results.absent[row.name] = reason
                continue
            try:
                peer = connect(row, endpoint_url)
            except Exception as error:  # noqa: BLE001 - whatever a peer is unable to do is told in its row
                results.absent[row.name] = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
                continue
            peers[row.name] = peer
            peer.seed()
            own_engine = row.options.get("wire") == "embedded"
            results.lacking[row.name] = check(row, peer, None if own_engine else client)
            results.exactness[row.name] = exactness(row, peer)
        yield peers
    finally:
        for peer in peers.values():
            peer.close()


def setting(arguments: argparse.Namespace, how: Effort) -> dict[str, Any]:
    """Return the circumstances of a run."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rounds": how.rounds,
        "seed": arguments.seed,
        "server": "an endpoint that was given" if arguments.endpoint else "dynoxide, in memory",
        "versions": {row.distribution: row.version for row in ROWS if row.version},
    }


def teller() -> Callable[[str], None]:
    """Return what shows progress: one line on a terminal that is written over, lines elsewhere; the empty text ends it."""
    began, live = time.monotonic(), sys.stderr.isatty()

    def tell(what: str) -> None:
        line = f"[{time.monotonic() - began:4.0f} s] {what}" if what else ""
        if live:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif line:
            print(line, file=sys.stderr, flush=True)

    return tell


def tell_results(arguments: argparse.Namespace, results: Results) -> None:
    """Print the tables and write what is to be written."""
    machine = None if arguments.json is None else json.dumps(results.as_json(), indent=1)
    if machine is not None and str(arguments.json) == "-":
        print(machine)
    else:
        print(table.all_text(results))
        if machine is not None:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(machine + "\n", encoding="utf-8")
    folder = arguments.write
    root = checkout()
    is_part = arguments.peers or arguments.work or arguments.quick or arguments.endpoint or results.absent
    if folder is None and not is_part and root is not None and not arguments.no_write:
        folder = root / "docs"
    if folder is not None:
        for file in page.write(results, folder):
            print(f"bench: wrote {file}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
