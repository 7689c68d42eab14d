"""The command ``common acme audit``."""

from argparse import ArgumentParser, Namespace
from collections import deque

from acme_plugin.audit import audit_file
from common.core import App, CliCommand
from common.exceptions import ConfigurationError


def _configure(parser: ArgumentParser) -> None:
    parser.add_argument("--lines", type=int, default=10, metavar="N", help="how many, 10 by default")


def _show(app: App, arguments: Namespace) -> int:
    path = audit_file(app.settings)
    if path is None:
        raise ConfigurationError("ACME_AUDIT_FILE is not set, so nothing is stored. Set it to the path of a file.")
    if not path.exists():
        print("No records yet.")
        return 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in deque((line for line in lines if line.strip()), maxlen=max(0, arguments.lines)):
            print(line, end="")
    return 0


AUDIT = CliCommand("acme audit", "Show the latest records of Acme's audit file.", _show, _configure)
