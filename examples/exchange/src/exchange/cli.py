"""The ``exchange`` command."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from common.exceptions import CommonError
from exchange.run import RunOptions, run_day, serve
from exchange.torture.command import DESCRIPTION as TORTURE
from exchange.torture.command import add_options, run_torture

DESCRIPTION = """\
A small exchange of real services on the common family: a gateway, a user service, an order service and an inventory
service, each a process of its own, on one embedded engine file. Without a command it runs a realistic day over HTTP,
shows what happened, and checks that nothing was lost.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(
        prog="exchange", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_storage(made)
    made.add_argument("--traders", type=int, default=8, metavar="N", help="how many people trade (3 to 50; default 8)")
    made.add_argument("--trades", type=int, default=2, metavar="N", help="orders per person and day (default 2)")
    made.add_argument("--seed", type=int, default=1, metavar="N", help="seed of what people buy and sell (default 1)")
    commands = made.add_subparsers(dest="command", metavar="command")
    serving = commands.add_parser("serve", help="keep the services up and print their URLs, until Ctrl-C")
    add_storage(serving)
    torture = commands.add_parser("torture", help="prove on a very bad day that nothing is lost", description=TORTURE)
    add_options(torture)
    serving.add_argument("--port", type=int, default=0, metavar="N", help="port of the gateway (default: a free one)")
    return made


def add_storage(to: argparse.ArgumentParser) -> None:
    """Add the options that say where data is kept; a subcommand's default does not override the command's value."""
    to.add_argument(
        "--endpoint",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="a DynamoDB endpoint instead of the embedded engine",
    )
    to.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        default=argparse.SUPPRESS,
        help="keep data, logs, spans and audit trail in this new or empty folder",
    )


def options(arguments: argparse.Namespace) -> RunOptions:
    """Turn parsed arguments into the options of a run."""
    return RunOptions(
        endpoint=getattr(arguments, "endpoint", None),
        keep=getattr(arguments, "keep", None),
        traders=arguments.traders,
        trades=arguments.trades,
        seed=arguments.seed,
        port=getattr(arguments, "port", 0),
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 only if every check holds, 1 if one does not, 2 for wrong use, 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    if not 3 <= arguments.traders <= 50 or not 1 <= arguments.trades <= 50:
        parser().error("--traders takes 3 to 50, --trades 1 to 50")
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120)
    try:
        if arguments.command == "torture":
            return run_torture(arguments, console)
        if arguments.command == "serve":
            return serve(options(arguments), console)
        return run_day(options(arguments), console)
    except KeyboardInterrupt:
        console.print("\nStopped; every service has ended.")
        return 130
    except CommonError as error:
        console.print(f"[bold red]exchange:[/] {error}", highlight=False)
        return 1
