"""``common dynamo backfill``: bring stored items of one entity type to the form that the installed type has."""

import json
import signal
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from common.core.commands import CliCommand
from common.dynamo.commands.options import add_place, add_tables, entity_type, open_database
from common.dynamo.commands.progress_line import ProgressLine
from common.dynamo.commands.text_table import as_table

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.dynamo.backfill import BackfillResult
    from common.dynamo.database import Database

__all__ = ["BACKFILL"]

_FINISHED, _MORE_TO_DO, _WITH_FAILURES = 0, 3, 4
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_EPILOG: Final = (
    "Outdated are items of an older schema, and items that are not in an index as the type has it now. Each rewrite holds "
    "only while the item is what was read, so the service may go on working. Progress is kept in the table under NAME: the "
    "same command goes on where it was stopped, killed or interrupted. Exit code: 0 when every item was looked at; 3 when "
    "there is more to do (--max-items); 4 when every item was looked at and some could not be read or rewritten; 130 and "
    "143 after SIGINT and SIGTERM, with everything saved; 1 for an error."
)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what the backfill is called, such as invoice-3")
    parser.add_argument(
        "--type", required=True, metavar="TYPE", help="the entity type; `common dynamo entities` lists them"
    )
    add_tables(parser)
    add_place(parser)
    parser.add_argument(
        "--rate",
        type=float,
        metavar="UNITS",
        help="capacity units per second, reads and writes together; no limit by default",
    )
    parser.add_argument(
        "--segments", type=int, default=1, metavar="N", help="parts of the table worked on side by side (default: 1)"
    )
    parser.add_argument("--max-items", type=int, metavar="N", help="stop after so many items of the type")
    parser.add_argument("--dry-run", action="store_true", help="count what would be rewritten, and write nothing")
    parser.add_argument("--restart", action="store_true", help="forget what was saved and begin anew")
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="go on at once where the runner before has died, instead of a minute after its last save",
    )
    parser.add_argument(
        "--eventual", action="store_true", help="read at half the price; may miss items stored just now"
    )
    parser.add_argument("--stop-on-invalid", action="store_true", help="end at the first item that cannot be read")
    parser.add_argument(
        "--show-keys", action="store_true", help="print the key of each item that could not be read or rewritten"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.epilog = _EPILOG


class StopOnSignal:
    """Notes SIGINT and SIGTERM instead of ending at once; the second one of a kind acts as it did before."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The signal that came."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, self._before[number])


def _backfill(app: "App", arguments: Namespace) -> int:
    from common.dynamo.backfill import Backfill, Watching

    entity = entity_type(app.plugins, arguments.type)
    with open_database(app, arguments, create=False) as database, StopOnSignal() as stop:
        backfill = Backfill(
            database,
            entity,
            name=arguments.name,
            segments=arguments.segments,
            units_per_second=arguments.rate,
            consistent=not arguments.eventual,
        )
        total = None if arguments.quiet else _about(database, database.table_of(entity))
        line = ProgressLine(sys.stderr, total=total, monotonic=time.monotonic)
        failures: list[dict[str, str]] = []
        try:
            result = backfill.run(
                dry_run=arguments.dry_run,
                restart=arguments.restart,
                take_over=arguments.take_over,
                max_items=arguments.max_items,
                stop_on_invalid=arguments.stop_on_invalid,
                watching=Watching(
                    should_stop=lambda: stop.number is not None,
                    on_progress=(lambda counts: None) if arguments.quiet else line.show,
                    on_failure=_keeper(failures) if arguments.show_keys else (lambda key, error: None),
                ),
            )
        finally:
            line.clear()
    _tell(result, failures, arguments)
    return _exit_code(result, stop.number)


def _about(database: "Database", table: str) -> int | None:
    """Return how many items the table has, as of some hours ago; ``None`` where the engine does not say."""
    from common.dynamo.exceptions import DynamoError
    from common.dynamo.execution import Pattern
    from common.dynamo.requests import DescribeTable

    try:
        body = database.execute(DescribeTable(table=table), Pattern("Backfill.size", "DescribeTable")).body
    except DynamoError:
        # It may not be allowed, and only a bar depends on it.
        return None
    return int(body.get("Table", {}).get("ItemCount", 0)) or None


def _keeper(failures: list[dict[str, str]]) -> Callable[[Any, Exception], None]:
    def keep(key: Any, error: Exception) -> None:
        failures.append({**{name: value["S"] for name, value in key.items()}, "error": str(error)})

    return keep


def _exit_code(result: "BackfillResult", signal_number: int | None) -> int:
    from common.dynamo.backfill import BackfillState

    if result.state is not BackfillState.FINISHED:
        return _MORE_TO_DO if signal_number is None else 128 + signal_number
    failed = result.counts.invalid + result.counts.refused + result.counts.unsettled
    return _WITH_FAILURES if failed else _FINISHED


def _tell(result: "BackfillResult", failures: list[dict[str, str]], arguments: Namespace) -> None:
    if arguments.json:
        print(json.dumps(_as_json(result, failures, arguments), indent=2))
    else:
        print("\n".join(_told(result, failures)))


def _told(result: "BackfillResult", failures: list[dict[str, str]]) -> Iterator[str]:
    counts = [(name.replace("_", " "), f"{number:,}") for name, number in asdict(result.counts).items()]
    yield from as_table(("ITEMS", "COUNT"), counts, right=frozenset({"COUNT"}))
    runs = "a dry run" if result.dry_run else f"{result.runs} run{'s' if result.runs > 1 else ''}"
    cost = result.cost
    yield f"{result.name}: {result.state} ({runs}; {cost.rcu:,.1f} read and {cost.wcu:,.1f} write units)"
    for failure in failures:
        yield f"{failure['pk']} {failure['sk']}: {failure['error']}"


def _as_json(result: "BackfillResult", failures: list[dict[str, str]], arguments: Namespace) -> dict[str, Any]:
    told = {
        "name": result.name,
        "state": str(result.state),
        "dry_run": result.dry_run,
        "runs": result.runs,
        "counts": asdict(result.counts),
        "read_units": result.cost.rcu,
        "write_units": result.cost.wcu,
        "round_trips": result.cost.trips,
    }
    return {**told, "failures": failures} if arguments.show_keys else told


BACKFILL: Final = CliCommand(
    "dynamo backfill",
    "Rewrite stored items of one entity type in its current schema and indexes: resumable, at a rate, beside the service.",
    _backfill,
    _arguments,
)
