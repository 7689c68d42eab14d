"""The ``common`` command."""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from common.core import App, CliCommand, Contribution
from common.core.cli import build_parser, main
from common.core.testing import InstalledDists
from common.exceptions import ConfigurationError

SIBLINGS = "common-dynamo,common-auth,common-observability"

COMMANDS = """
from common.core import CliCommand, hookimpl
from common.exceptions import InvalidInput

def greet(app, arguments):
    print(f"Hello {arguments.name} from {app.settings.service_name}, 100%.")

def fail(app, arguments):
    raise InvalidInput("the name is wrong")

def crash(app, arguments):
    raise ZeroDivisionError("a bug")

@hookimpl
def common_cli_commands():
    yield CliCommand("acme greet", "Say hello, 100%.", greet, lambda parser: parser.add_argument("--name", default="you"))
    yield CliCommand("acme fail", "Fail as expected.", fail)
    yield CliCommand("acme crash", "Fail unexpectedly.", crash)
    yield CliCommand("acme deep down", "Return a code.", lambda app, arguments: 7)
    yield CliCommand("acme ready", "Run in spite of broken plugins.", lambda app, arguments: 0, needs_all_plugins=False)
    yield CliCommand("acme", "Commands of Acme.")
"""


@pytest.fixture
def acme(installed_dists: InstalledDists) -> InstalledDists:
    """An installed plugin with commands."""
    installed_dists.add("acme", version="2.1", plugins={"acme": "acme_commands"}, modules={"acme_commands": COMMANDS})
    return installed_dists


def common(line: str, **variables: str) -> int:
    """Run a command line in this process, without the parts beside common-core, and return the exit code."""
    block = ",".join([SIBLINGS, variables.pop("block", "")])
    only = variables.pop("only", "acme,broken")
    environ = {"COMMON_PLUGINS_BLOCK": block, "COMMON_PLUGINS_ONLY": only, **variables}
    return main(line.split(), environ=environ)


def test_plugins_are_listed_in_a_table(
    acme: InstalledDists, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, distribution, version, state and hooks of each plugin stand in aligned columns."""
    monkeypatch.setenv("COLUMNS", "200")
    code = common("plugins")
    heading, *rows = capsys.readouterr().out.splitlines()
    (row,) = [row for row in rows if row.startswith("acme ")]

    assert 0 == code
    assert ["acme", "acme", "2.1", "loaded", "cli_commands"] == row.split()
    assert heading.index("STATE") == row.index("loaded")


@pytest.mark.parametrize("columns", [None, 100, 80, 60, 20])
def test_no_line_of_the_table_is_wider_than_the_terminal(
    acme: InstalledDists, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int | None
) -> None:
    """Hooks and causes stand below their plugin where there is no room beside it; a pipe counts as 80 columns."""
    cause = "No module named " + ", ".join(f"'part_{number}'" for number in range(20))
    acme.add("broken", plugins={"broken": "broken_part"}, modules={"broken_part": f"raise ImportError({cause!r})"})
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    common("plugins")
    heading, *lines = capsys.readouterr().out.splitlines()
    below = lines[lines.index(next(line for line in lines if line.startswith("broken "))) + 1 :]

    assert max(map(len, [heading, *lines])) <= max(columns or 80, 60)
    assert ["NAME", "DIST", "VERSION", "STATE"] == heading.split()
    assert "  hooks (common_…): cli_commands" in lines
    assert below[0].startswith("  cause: ")
    assert all(f"'part_{number}'" in " ".join(below) for number in range(20))


def test_plugins_are_listed_as_json(acme: InstalledDists, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs, blocked ones included."""
    common("plugins --json")
    loaded = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    common("plugins --json", block="acme")
    blocked = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}

    assert {
        "name": "acme",
        "dist": "acme",
        "version": "2.1",
        "hooks": ["common_cli_commands"],
        "state": "loaded",
        "cause": None,
    } == loaded["acme"]
    assert "blocked" == blocked["acme"]["state"]
    assert "COMMON_PLUGINS_BLOCK" in blocked["acme"]["cause"]


def test_a_failed_plugin_is_listed_with_its_cause_and_exits_1(
    acme: InstalledDists, capsys: pytest.CaptureFixture[str]
) -> None:
    """The listing works when it is needed most: while a plugin is broken."""
    acme.add("broken", plugins={"broken": "broken_plugin"}, modules={"broken_plugin": "import nowhere_to_be_found"})
    code = common("plugins --json")
    output = capsys.readouterr()
    (entry,) = [entry for entry in json.loads(output.out) if entry["name"] == "broken"]

    assert 1 == code
    assert "failed" == entry["state"]
    assert "nowhere_to_be_found" in entry["cause"]
    assert "broken (broken 1.0.0)" in output.err


def test_a_command_is_not_run_beside_a_broken_plugin(acme: InstalledDists, capsys: pytest.CaptureFixture[str]) -> None:
    """The broken plugin is named and the exit code is 1; only a command that says so runs all the same."""
    acme.add("broken", plugins={"broken": "broken_plugin"}, modules={"broken_plugin": "import nowhere_to_be_found"})
    codes = [common("acme greet"), common("acme ready"), common("--help")]
    output = capsys.readouterr()

    assert [1, 1, 1] == codes
    assert "Hello" not in output.out
    assert "acme greet was not run" in output.err
    assert "acme ready was not run" not in output.err
    assert 0 == common("acme greet", block="broken")


def test_a_nested_command_gets_app_and_arguments(acme: InstalledDists, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of several words is called word by word; its own arguments follow."""
    code = common("acme greet --name Bob", COMMON_SERVICE_NAME="orders")

    assert 0 == code
    assert "Hello Bob from orders, 100%.\n" == capsys.readouterr().out
    assert 7 == common("acme deep down")


def test_help_tells_what_there_is(acme: InstalledDists, capsys: pytest.CaptureFixture[str]) -> None:
    """Help on every level lists the words that may follow, each with its sentence."""
    codes = [common("--help"), common("acme --help"), common("acme greet --help")]
    top = capsys.readouterr().out

    assert [0, 0, 0] == codes
    assert "Commands of Acme." in top
    assert "Say hello, 100%." in top
    assert "Commands of acme deep." in top
    assert "--name" in top
    assert "COMMON_PLUGINS_BLOCK" in top


@pytest.mark.parametrize("line", ["", "acme", "acme deep", "nonsense", "acme greet --nonsense"])
def test_wrong_usage_exits_2_with_usage_on_stderr(
    acme: InstalledDists, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """Half a command is answered with the help for the rest; nothing is run and stdout stays empty."""
    code = common(line)
    output = capsys.readouterr()

    assert 2 == code
    assert "" == output.out
    assert "usage: common" in output.err


def test_an_expected_error_is_one_line(acme: InstalledDists, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors of the family need no traceback."""
    code = common("acme fail")

    assert 1 == code
    assert "common: the name is wrong\n" == capsys.readouterr().err


def test_a_bug_keeps_its_traceback_and_names_the_plugin(
    acme: InstalledDists, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever sees the traceback also sees whom to tell."""
    code = common("acme crash")
    error = capsys.readouterr().err

    assert 1 == code
    assert "Traceback" in error
    assert "ZeroDivisionError: a bug" in error
    assert "'acme crash' of plugin acme (acme 2.1)" in error


def test_a_wrong_setting_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The variable is named."""
    code = main(["plugins"], environ={"COMMON_LOG_LEVEL": "loud"})

    assert 1 == code
    assert capsys.readouterr().err.startswith("common: COMMON_LOG_LEVEL is not one of")


def contribution(command: CliCommand, plugin: str) -> Contribution[CliCommand]:
    """Return *command* as contributed by *plugin*."""
    return Contribution(plugin, plugin, "1.0", command)


def nothing(_app: App, _arguments: Namespace) -> None:
    """Do nothing."""


def test_a_command_cannot_be_a_group_too() -> None:
    """The error names both plugins."""
    with pytest.raises(ConfigurationError, match=r"plugin ant \(ant 1\.0\).*plugin bee \(bee 1\.0\)"):
        build_parser(
            [contribution(CliCommand("a b", "B.", nothing), "bee"), contribution(CliCommand("a", "A.", nothing), "ant")]
        )


def test_commands_of_two_plugins_may_share_a_group() -> None:
    """Only whole names must be unique."""
    parser = build_parser(
        [contribution(CliCommand("a c", "C.", nothing), "ant"), contribution(CliCommand("a b", "B.", nothing), "bee")]
    )

    assert "B." in parser.parse_args(["a", "b"])._chosen.value.help


def test_arguments_that_cannot_be_added_name_the_plugin() -> None:
    """A plugin's ``configure`` that raises is the plugin's failure."""

    def twice(parser: ArgumentParser) -> None:
        parser.add_argument("--same")
        parser.add_argument("--same")

    with pytest.raises(ConfigurationError, match=r"plugin ant \(ant 1\.0\) could not add its arguments"):
        build_parser([contribution(CliCommand("a", "A.", nothing, twice), "ant")])


@pytest.mark.parametrize("name", ["", " ", "a  b", "a ", "-a", "A", "a/b"])
def test_a_command_name_is_made_of_plain_words(name: str) -> None:
    """A name that nobody could type is refused when the command is made."""
    with pytest.raises(ConfigurationError, match="is not made of words"):
        CliCommand(name, "Help.")


def test_the_module_and_the_script_are_one_command(acme: InstalledDists) -> None:
    """``python -m common.core`` does what ``common`` does, as a process of its own with an exit code."""
    environ = {
        **os.environ,
        "COMMON_PLUGINS_BLOCK": SIBLINGS,
        "COMMON_PLUGINS_ONLY": "acme",
        "PYTHONPATH": str(acme.folder),
    }
    script = Path(sys.executable).with_name("common")
    answers = [
        subprocess.run([*command, *line], env=environ, capture_output=True, text=True, check=False)
        for command in ([sys.executable, "-W", "error", "-m", "common.core"], [str(script)])
        for line in (["plugins", "--json"], ["acme", "deep", "down"])
    ]

    assert [0, 7, 0, 7] == [answer.returncode for answer in answers]
    assert answers[0].stdout == answers[2].stdout
    assert "acme" in [entry["name"] for entry in json.loads(answers[0].stdout)]


def test_a_reader_that_has_gone_is_no_error() -> None:
    """Piped into a program that stops reading, the command ends with the code of a broken pipe, without a traceback."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COMMON_")}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        gone = subprocess.run(
            [sys.executable, "-W", "error", "-m", "common.core", "plugins"],
            env={**environ, "COMMON_PLUGINS_BLOCK": SIBLINGS},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)

    assert 141 == gone.returncode
    assert "Traceback" not in gone.stderr
    assert "BrokenPipe" not in gone.stderr
