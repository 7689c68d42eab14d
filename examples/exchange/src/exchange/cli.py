"""The ``exchange`` command."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from common.exceptions import CommonError
from exchange.run import RunOptions, run_day
from exchange.serving import ServeOptions, serve
from exchange.torture.command import DESCRIPTION as TORTURE
from exchange.torture.command import add_options, run_torture

DESCRIPTION = """\
A small exchange of real services on the common family: a gateway, a user service, an order service and an inventory
service, each a process of its own, on one embedded engine file. Without a command it runs a realistic day over HTTP,
shows what happened, and checks that nothing was lost.
"""


SERVING = """\
Keep the services up on loopback, let some gentle business go on, and show all of it on a live page: health by group,
what the operations of the data layer do and cost, the last requests as waterfalls, the last audit events. Ctrl-C or
SIGTERM ends everything in order; nothing is left behind unless --keep says so.
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
    add_serving(commands.add_parser("serve", help="keep the services up and show a live page", description=SERVING))
    torture = commands.add_parser("torture", help="prove on a very bad day that nothing is lost", description=TORTURE)
    add_options(torture)
    add_wire(torture)
    return made


def add_storage(to: argparse.ArgumentParser) -> None:
    """Add the options that say where data is kept; a subcommand's default does not override the command's value."""
    to.add_argument(
        "--endpoint",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="a DynamoDB endpoint instead of the embedded engine",
    )
    add_wire(to)
    to.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        default=argparse.SUPPRESS,
        help="keep data, logs, spans and audit trail in this new or empty folder",
    )


def add_wire(to: argparse.ArgumentParser) -> None:
    """Add the option that says how an endpoint is reached."""
    to.add_argument(
        "--wire",
        choices=("auto", "boto", "direct"),
        default=argparse.SUPPRESS,
        help="how an endpoint is reached: by a boto3 client, or by signing and speaking HTTP itself (default auto)",
    )


def add_serving(to: argparse.ArgumentParser) -> None:
    """Add the options of ``exchange serve``."""
    add_storage(to)
    to.add_argument("--port", type=port, default=0, metavar="N", help="port of the live page (default 0: a free one)")
    to.add_argument(
        "--gateway-port", type=port, default=0, metavar="N", help="port of the gateway (default 0: a free one)"
    )
    to.add_argument("--seconds", type=seconds, metavar="S", help="stop by itself after so long (default: never)")
    to.add_argument(
        "--pace", type=pace, default=4.0, metavar="N", help="things that happen per second, 0 for none (default 4)"
    )


def port(text: str) -> int:
    """Return a port number."""
    if not 0 <= (number := int(text)) <= 65_535:
        raise argparse.ArgumentTypeError("takes 0 to 65535")
    return number


def seconds(text: str) -> float:
    """Return a time in seconds."""
    if not 0.0 < (number := float(text)) < 1e9:
        raise argparse.ArgumentTypeError("takes a number of seconds above zero")
    return number


def pace(text: str) -> float:
    """Return how much happens per second."""
    if not 0.0 <= (number := float(text)) <= 100.0:
        raise argparse.ArgumentTypeError("takes 0 to 100")
    return number


def serve_options(arguments: argparse.Namespace) -> ServeOptions:
    """Turn parsed arguments into the options of ``exchange serve``."""
    return ServeOptions(
        **_shared(arguments),
        port=arguments.port,
        gateway_port=arguments.gateway_port,
        seconds=arguments.seconds,
        pace=arguments.pace,
        traders=arguments.traders,
    )


def options(arguments: argparse.Namespace) -> RunOptions:
    """Turn parsed arguments into the options of a run."""
    return RunOptions(**_shared(arguments), traders=arguments.traders, trades=arguments.trades)


def _shared(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what every command takes; options that may stand before it or behind it are absent where they are not given."""
    given = {name: getattr(arguments, name) for name in ("endpoint", "wire", "keep") if hasattr(arguments, name)}
    return {**given, "seed": arguments.seed}


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
            return serve(serve_options(arguments), console)
        return run_day(options(arguments), console)
    except KeyboardInterrupt:
        console.print("\nStopped; every service has ended.")
        return 130
    except CommonError as error:
        console.print(f"[bold red]exchange:[/] {error}", highlight=False)
        return 1
