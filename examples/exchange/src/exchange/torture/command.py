"""``exchange torture`` on the command line."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from common.exceptions import ConfigurationError
from exchange.run import require_engine, run_folder

__all__ = ["DESCRIPTION", "add_options", "run_torture"]

DESCRIPTION = """\
The ledger on a very bad day: several processes do business on one engine while answers are lost, doubled and late, the
engine throttles and conflicts, reads are stale, clocks are wrong by an hour, and processes are killed in the middle. Then
everything is counted: accounts, journals, orders, streams, and what every caller was told. Ends with 0 only if nothing is
wrong.
"""


def add_options(to: argparse.ArgumentParser) -> None:
    """Add the options of a run on a bad day."""
    to.add_argument(
        "--engine",
        default="embedded",
        metavar="ENGINE",
        help="embedded (default), dynoxide (installed under tools/engine), or the URL of a DynamoDB-compatible server; "
        "several with commas between them",
    )
    to.add_argument(
        "--seed", type=int, default=1, metavar="N", help="decides what is asked, which faults strike, who is killed"
    )
    to.add_argument("--seconds", type=int, default=20, metavar="S", help="of business (default 20)")
    to.add_argument("--processes", type=int, default=3, metavar="N", help="that do business at once (default 3)")
    to.add_argument("--threads", type=int, default=4, metavar="N", help="in each process (default 4)")
    to.add_argument("--keep", type=Path, metavar="FOLDER", help="keep data and histories in this new or empty folder")
    to.add_argument(
        "--record", type=Path, metavar="FILE", help="test the checker too, and write a page with all figures (Markdown)"
    )


def run_torture(arguments: argparse.Namespace, console: Console) -> int:
    """Run on a bad day on each engine, showing how it goes; 0 if nothing is wrong."""
    # The kit that this needs is no part of the exchange itself, and takes a while to load.
    from exchange.torture import record, report
    from exchange.torture.run import TortureOptions, torture

    if min(arguments.seconds, arguments.processes, arguments.threads) < 1:
        raise ConfigurationError("--seconds, --processes and --threads are at least 1.")
    outcomes = []
    for engine in arguments.engine.split(","):
        require_engine(engine if "://" in engine else None)
        wanted = TortureOptions(
            engine=engine,
            wire=getattr(arguments, "wire", "auto"),
            seed=arguments.seed,
            seconds=arguments.seconds,
            processes=arguments.processes,
            threads=arguments.threads,
        )
        keep = arguments.keep / engine if arguments.keep and engine != arguments.engine else arguments.keep
        with run_folder(keep) as folder, report.LiveView(console, wanted.seconds) as view:
            outcomes.append(torture(wanted, folder, view))
        report.show(console, outcomes[-1])
    mutants: Mapping[str, bool] = {}
    if arguments.record is not None:
        with console.status("the checker itself") as status:
            mutants = record.mutants_caught(status.update)
        record.write_record(arguments.record, outcomes, mutants)
        console.print(f"{sum(mutants.values())} of {len(mutants)} wrong ledgers noticed. Written: {arguments.record}")
    wrong = any(outcome.verdict.violations for outcome in outcomes) or not all(mutants.values())
    return 1 if wrong else 0
