"""``exchange torture``, as a person runs it: processes that are killed in the middle, and nothing lost."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.dynamo.testing import Dynoxide, find_dynoxide
from common.dynamo.testing.history import History, Outcome
from exchange.torture.setting import Setting

EXCHANGE = [sys.executable, "-c", "import sys; from exchange.cli import main; sys.exit(main())"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [*EXCHANGE, "torture", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def bad_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A short bad day on the embedded engine, with all that it left behind."""
    folder = tmp_path_factory.mktemp("torture") / "kept"
    return run("--seconds", "5", "--processes", "2", "--threads", "3", "--keep", folder), folder


def figure(told: str, name: str) -> int:
    """Return the number that stands beside *name*."""
    [found] = re.findall(rf"{re.escape(name)}\s+([\d,]+)", told)
    return int(found.replace(",", ""))


def test_nothing_is_lost(bad_day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Exit code 0, every finding ticked, no violation."""
    ended, _ = bad_day

    assert 0 == ended.returncode, ended.stdout[-3000:] + ended.stderr
    assert "✗" not in ended.stdout
    assert 5 == ended.stdout.count("✓")
    assert 0 == figure(ended.stdout, "violations")


def test_it_was_a_bad_day(bad_day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """There was business, there were faults, processes were killed, and their successors went on."""
    ended, folder = bad_day
    setting = Setting.read(folder)
    history = History.load(setting.histories())
    told = [outcome for each in history.told.values() for outcome in each.outcomes]

    assert figure(ended.stdout, "processes killed (SIGKILL)") >= max(1, len(setting.histories()) - 2)
    assert figure(ended.stdout, "faults injected") > 10
    assert told.count(Outcome.OK) > 10


def test_a_wrong_ledger_is_told(bad_day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The same folder, with one deposit that the table does not have: the check is not a formality."""
    from common.dynamo.testing.audit import audit
    from common.dynamo.testing.history import Request
    from exchange.torture.setting import kit

    _, folder = bad_day
    setting = Setting.read(folder)
    history = History()
    missing = Request("deposit", setting.users[0], "01J9ZQ5V6W7X8Y9ZABCDEFGHJK")
    history.ask(missing)
    history.tell(missing, Outcome.OK)
    with setting.open() as database:
        found = audit(kit(database), history, [setting.users[0]])

    assert "deposit was told yes and has no entry" in found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seconds", "0"), "at least 1"),
        (("--engine", "http://127.0.0.1:9"), "Nothing answers"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    """Not a traceback: what is wrong, and what to do."""
    ended = run(*arguments)

    assert ended.returncode != 0
    assert said in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_record_is_a_page_with_all_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, findings and what the checker noticed, as Markdown."""
    from exchange.torture import record
    from exchange.torture.crew import Progress
    from exchange.torture.run import Outcome as Run
    from exchange.torture.run import TortureOptions
    from exchange.torture.verdict import Finding, Verdict

    progress = Progress()
    state = {"served": {"business": 7}, "told": {"ok": 5}, "faults": {"late": 3}, "violations": 0}
    progress.lives[0, 0] = json.loads(json.dumps(state))
    verdict = Verdict((Finding("nothing is lost", "7 accounts", ()),), 5, {"ok": 5}, 0, 2)
    runs = [Run(TortureOptions(engine=engine), progress, verdict, 1.5) for engine in ("embedded", "dynoxide")]
    record.write_record(tmp_path / "page.md", runs, {"no tombstone": True, "two writes": False})
    page = (tmp_path / "page.md").read_text()

    assert "| nothing is lost | 7 accounts, 0 | 7 accounts, 0 |" in page
    assert "1 of 2 were" in page
    assert "| two writes | **no** |" in page
    assert "| faults injected | 3: 3 late | 3: 3 late |" in page
    assert "|  | embedded | dynoxide |" in page


@pytest.mark.parametrize("wire", ["direct", "boto"])
def test_a_bad_day_over_a_network(tmp_path: Path, wire: str) -> None:
    """On a server behind the fault proxy, by either wire: nothing is lost, and the report says which it was."""
    binary = find_dynoxide([Path(__file__).parent])
    if binary is None:
        pytest.skip("the dynoxide binary was not found")
    with Dynoxide(binary) as server:
        ended = run("--engine", server.endpoint_url, "--wire", wire, "--seconds", "3", "--processes", "2")

    assert 0 == ended.returncode, ended.stdout[-3000:] + ended.stderr
    assert f"({wire} wire)" in ended.stdout
    assert 0 == figure(ended.stdout, "violations")
