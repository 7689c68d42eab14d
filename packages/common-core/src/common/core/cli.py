"""The ``common`` command, also as ``python -m common.core``. Its subcommands come from plugins."""

import os
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from common.core.commands import CliCommand
from common.core.hookspecs import CLI_COMMANDS
from common.core.lifecycle import App
from common.core.plugins import Contribution, Plugins
from common.core.settings import Settings
from common.exceptions import CommonError, ConfigurationError, PluginLoadError

__all__ = ["CliCommand", "main"]

_DESCRIPTION = "Commands of the installed parts of the common family, and of other plugins."
_EPILOG = "COMMON_PLUGINS_BLOCK=name,name leaves out plugins; 'plugins' lists them all."
_CHOSEN = "_chosen"
_USAGE_ERROR = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_NOBODY_READS = 141  # 128 + SIGPIPE


def main(
    argv: Sequence[str] | None = None, *, environ: Mapping[str, str] | None = None, program: str = "common"
) -> int:
    """Load the plugins, run one command and return its exit code.

    Args:
        argv: The words after the program's name; ``None`` takes those of the process.
        environ: Where settings are read from; ``None`` takes the environment of the process.
        program: The name that usage and errors show.

    Returns:
        The command's own code; 1 for an expected error (one line on stderr), an unexpected one (its traceback, and
        whose command it was), or a plugin that did not load (named on stderr); 2 for wrong usage; 130 when
        interrupted; 141 when whoever read the output has gone, such as ``head``.
    """
    try:
        code = _run(argv, environ, program)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # What is still buffered would raise once more at exit (Python documentation, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS
    except CommonError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(argv: Sequence[str] | None, environ: Mapping[str, str] | None, program: str) -> int:
    settings = Settings.from_environment(environ)
    plugins = Plugins()
    plugins.load(settings, on_error=_print_failures)
    parser = build_parser(plugins.contributions(CLI_COMMANDS), program=program)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as finished:  # --help, or wrong usage
        return _exit_code(finished.code, plugins)
    chosen: Contribution[CliCommand] | ArgumentParser = vars(arguments).pop(_CHOSEN)
    if isinstance(chosen, ArgumentParser):
        chosen.print_help(sys.stderr)
        return _USAGE_ERROR
    if plugins.failures and chosen.value.needs_all_plugins:
        print(f"{program}: {chosen.value.name} was not run, since a plugin did not load.", file=sys.stderr)
        return 1
    return _exit_code(_call(chosen, App(settings=settings, plugins=plugins), arguments), plugins)


def _print_failures(error: PluginLoadError) -> None:
    print(error, file=sys.stderr)


def _exit_code(code: str | int | None, plugins: Plugins) -> int:
    wanted = code if isinstance(code, int) else int(code is not None)
    return wanted or int(bool(plugins.failures))


def _call(chosen: Contribution[CliCommand], app: App, arguments: Namespace) -> int | None:
    command = chosen.value
    assert command.run is not None  # noqa: S101 - for the type checker: only commands that run are chosen
    try:
        return command.run(app, arguments)
    except (CommonError, BrokenPipeError):
        raise
    except Exception:  # noqa: BLE001 - a bug of the plugin: told with its traceback and its name
        traceback.print_exc()
        print(f"The command {command.name!r} of plugin {chosen.origin} failed unexpectedly.", file=sys.stderr)
        return 1


@dataclass(slots=True)
class _Node:
    """One word of the command line: what it runs, and which words may follow."""

    contribution: Contribution[CliCommand] | None = None
    children: dict[str, "_Node"] = field(default_factory=dict)


def build_parser(contributions: Iterable[Contribution[CliCommand]], *, program: str = "common") -> ArgumentParser:
    """Build the parser of all commands; nested names become nested parsers.

    Raises:
        ConfigurationError: A command has the name of a group of commands, or adding its arguments raised; the plugins
            are named.
    """
    root = _Node()
    for contribution in sorted(contributions, key=lambda contribution: contribution.value.path):
        _place(root, contribution)
    parser = ArgumentParser(program, description=_DESCRIPTION, epilog=_EPILOG)
    _add_children(parser, root, ())
    return parser


def _place(root: _Node, contribution: Contribution[CliCommand]) -> None:
    # In order of their paths a group comes before its commands.
    node = root
    for word in contribution.value.path:
        above = node.contribution
        if above is not None and above.value.run is not None:
            raise ConfigurationError(
                f"The command {above.value.name!r} of plugin {above.origin} is in the way of "
                f"{contribution.value.name!r} of plugin {contribution.origin}: one name cannot be a command and a "
                "group. Block one of the two plugins with COMMON_PLUGINS_BLOCK."
            )
        node = node.children.setdefault(word, _Node())
    node.contribution = contribution


def _add_children(parser: ArgumentParser, node: _Node, path: tuple[str, ...]) -> None:
    parser.set_defaults(**{_CHOSEN: parser})
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for word, child in node.children.items():
        text = child.contribution.value.help if child.contribution else f"Commands of {' '.join((*path, word))}."
        child_parser = commands.add_parser(word, help=_escaped(text), description=_escaped(text))
        if child.contribution is not None and child.contribution.value.run is not None:
            _configure(child_parser, child.contribution)
        else:
            _add_children(child_parser, child, (*path, word))


def _configure(parser: ArgumentParser, contribution: Contribution[CliCommand]) -> None:
    parser.set_defaults(**{_CHOSEN: contribution})
    try:
        contribution.value.configure(parser)
    except Exception as error:
        raise ConfigurationError(
            f"The command {contribution.value.name!r} of plugin {contribution.origin} could not add its arguments "
            f"({type(error).__name__}: {error}). Repair the plugin, or block it: COMMON_PLUGINS_BLOCK="
            f"{contribution.plugin}"
        ) from error


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # argparse formats help with %
