"""The value type of a subcommand; the command line itself is :mod:`common.core.cli`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from common.core.lifecycle import App

_PATH = re.compile(r"[a-z][a-z0-9-]*( [a-z][a-z0-9-]*)*")


def _no_arguments(_parser: "ArgumentParser", /) -> None:
    """Add no arguments: the default of :attr:`CliCommand.configure`."""


@dataclass(frozen=True, slots=True)
class CliCommand:
    """One subcommand of ``common``, contributed through ``common_cli_commands``.

    A name of several words is a nested command: ``dynamo tables create`` is called as
    ``common dynamo tables create``. A command without :attr:`run` is a group; it only gives the group its help.

    >>> def greet(app: "App", arguments: "Namespace") -> int:
    ...     print(f"Hello from {app.settings.service_name}.")
    ...     return 0
    >>> CliCommand("acme greet", "Say hello.", greet).path
    ('acme', 'greet')

    Raises:
        ConfigurationError: The name is not one or more words of ``[a-z][a-z0-9-]*``, each separated by one space.
    """

    name: str
    help: str
    """One sentence; shown in the list of commands and on top of the command's own ``--help``."""
    run: "Callable[[App, Namespace], int | None] | None" = None
    """Does the work and returns the exit code; ``None`` counts as 0. A :class:`~common.exceptions.CommonError` becomes
    one line on stderr and exit code 1; any other exception keeps its traceback. The plugins in *app* are loaded, not
    started."""
    configure: "Callable[[ArgumentParser], None]" = _no_arguments
    """Adds arguments to the command's own parser."""
    needs_all_plugins: bool = True
    """Where false, the command also runs when a plugin did not load; the exit code is then still 1."""

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.name):
            raise ConfigurationError(
                f"Command name {self.name!r} is not made of words of [a-z][a-z0-9-]* with one space between them."
            )

    @property
    def path(self) -> tuple[str, ...]:
        """The words of :attr:`name`."""
        return tuple(self.name.split(" "))
