"""The main job, run as a person runs it: a command in a terminal, real processes, real sockets."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange.scenes.tampering import copy_with_one_bit_flipped
from exchange.trails import Trail

EXCHANGE = [sys.executable, "-c", "import sys; from exchange.cli import main; sys.exit(main())"]
SMALL = ["--traders", "3", "--trades", "1"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, as in a terminal of 80 columns."""
    return subprocess.run(
        [*EXCHANGE, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )


def children_of(pid: int) -> set[int]:
    """Return the ids of the living processes that *pid* started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return {int(child) for child in listed}


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One small day, with everything that it left behind."""
    folder = tmp_path_factory.mktemp("day") / "kept"
    return run(*SMALL, "--keep", folder), folder


def test_the_day_ends_well(day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The day runs over HTTP and ends with exit code 0, every scene as expected and every check true."""
    ended, _ = day

    assert 0 == ended.returncode, ended.stdout[-3000:] + ended.stderr
    assert "✗" not in ended.stdout
    assert "Every check holds" in ended.stdout


@pytest.mark.parametrize(
    "section",
    [
        "Portfolios",
        "Orders",
        "One market order, traced across services",
        "Data layer: calls and capacity units",
        "Audit trail",
        "Health",
        "Plugins in force",
        "Nothing was lost",
    ],
)
def test_the_report_has_every_section(section: str, day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The report shows what a person wants to see of the day."""
    assert f"─ {section}" in day[0].stdout


@pytest.mark.parametrize("check", ["auth.jwks", "auth.stores", "auth.audit", "auth.pepper"])
def test_health_tells_of_what_authentication_needs(
    check: str, day: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    """The keys that the gateway fetches, the stores, the trail and the pepper are each checked, and pass."""
    assert re.search(rf"{re.escape(check)} +pass", day[0].stdout)


def test_the_report_is_whole_in_80_columns(day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """No line is longer, and neither the trace nor the longest names of operations are cut."""
    shown = day[0].stdout
    tree = shown.partition("─ One market order")[2].partition("╰")[0]

    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in tree
    assert "RevocationStore.raise_epoch" in shown


def test_a_trace_reaches_from_the_gateway_to_the_data_layer(day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """One request's tree goes through three services down to a DAO call with its capacity units."""
    tree = day[0].stdout.partition("─ One market order")[2].partition("╰")[0]

    for named in ("[gateway]", "[orders]", "[inventory]", "AssetDAO.price", "GetItem"):
        assert named in tree
    assert re.search(r"OrderDAO\.(buy|sell)\s+TransactWriteItems.*8 CU", tree)


def test_the_stranger_takes_part(day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Acme's plugin is in force: its sink has the whole trail, its check reports, its invoices were stored."""
    ended, folder = day
    own, strangers = (folder / f"inventory.{whose}.jsonl" for whose in ("audit", "acme"))

    assert own.read_bytes() == strangers.read_bytes()
    assert "acme-audit-disk" in ended.stdout
    assert "3 found by its own index" in ended.stdout


def events_of(service: str, folder: Path) -> list[dict[str, Any]]:
    """Return the audit events of a service, in their order."""
    lines = (folder / f"{service}.audit.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["event"] for line in lines]


@pytest.mark.parametrize(
    ("line", "service", "event"),
    [
        ("renews a session → tokens by the new key, and the old ones still count", "users", "session_renewed"),
        ("The same renewal once more, its answer lost → the same tokens", "users", "session_renewed"),
        ("two renewals old → 401 invalid_token", "users", "authn_token_reuse"),
        ("ends the whole family → its newest tokens: 401 renewing, 401 paying", "users", "session_use_after_expire"),
        ("A new password, known from a breach → 422 password_policy", "users", "authn_password_change_fail"),
        ("changes the password → the old session: 401, the old password: 401", "users", "authn_password_change"),
        ("logs out → the tokens of before: 401 renewing, 401 paying", "users", "authn_token_revoked"),
        ("logs out everywhere → other device: refused by every service", "users", "session_ended"),
        ("20 guesses of edsger's password at once → 5 tried, 15 refused", "users", "authn_login_fail_max"),
        ("locked out, with the right password → 429 rate_limited", "users", "authn_login_fail"),
        ("edsger meanwhile, on a known device → 200 OK", "users", "authn_login_success"),
        ("An API key for the price feed, shown once → 201", "users", "privilege_permissions_changed"),
        ("The price feed, which has quoted all day, buys → 403", "orders", "authz_fail"),
        ("Its API key after it was revoked → 401 invalid_api_key", "gateway", "authn_login_fail"),
        ("A new key for tokens, published before it signs → 201", "users", "crypto_key_rotated"),
    ],
)
def test_who_gets_in_is_told_and_on_the_trail(
    line: str, service: str, event: str, day: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    """Each scene of sessions, guesses and keys stands in the story as it had to be, and leaves its event."""
    ended, folder = day

    assert line in " ".join(ended.stdout.split())
    assert event in {found["type"] for found in events_of(service, folder)}


@pytest.mark.parametrize("service", ["gateway", "users", "orders", "inventory"])
def test_every_trail_is_closed_and_intact(service: str, day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """A service that is told to end writes so to its trail, and all of the trail is vouched for by anchors."""
    _, folder = day
    verdict = Trail.of(folder, service).verify()

    assert (0, "intact") == (verdict.code, verdict.word)
    assert "stream_end" == events_of(service, folder)[-1]["type"]
    assert len(events_of(service, folder)) == verdict.records
    assert verdict.anchors > 0


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_of_an_event_is_found_where_it_is(
    seed: int, tmp_path: Path, day: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    """``common audit verify`` accuses a changed copy, and names the line that was changed."""
    trail = Trail.of(day[1], "users")
    line = copy_with_one_bit_flipped(trail.records, tmp_path / "copy.jsonl", random.Random(seed))
    verdict = trail.verify(tmp_path / "copy.jsonl")

    assert (1, "tampered") == (verdict.code, verdict.word)
    assert line == verdict.first_bad


def test_no_secret_is_left_in_logs_spans_or_trail(day: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """No password, token or assertion stands in anything that the run wrote down beside the database."""
    ended, folder = day
    written = [
        file.read_text(encoding="utf-8", errors="replace")
        for file in folder.rglob("*")
        if file.is_file() and "exchange.db" not in file.name
    ]

    assert len(written) > 16
    for text in (*written, ended.stdout, ended.stderr):
        assert "correct horse" not in text
        assert "not the password" not in text
        assert "guess number" not in text
        assert "saffron giraffe" not in text
        assert not re.search(r"\bca_dev_\w+", text)
        assert not re.search(r"\bd1\.[A-Za-z0-9_-]{22}\.", text)
        assert "PRIVATE KEY" not in text
        assert not re.search(r"eyJ[A-Za-z0-9_-]{20,}\.", text)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """``--keep`` never mixes two runs: a folder that is not empty is refused by name."""
    (tmp_path / "something").touch()
    ended = run("--keep", tmp_path)

    assert 1 == ended.returncode
    assert "not empty" in ended.stdout.replace("\n", " ")


@pytest.mark.parametrize("endpoint", ["nonsense", "http://127.0.0.1:1"])
def test_an_endpoint_where_nothing_answers_is_told_at_once(endpoint: str) -> None:
    """No service is started for an engine that is not there; the error names it and the next step."""
    ended = run("--endpoint", endpoint)

    assert 1 == ended.returncode
    assert f"Nothing answers at {endpoint}" in ended.stdout.replace("\n", " ")


def test_help_names_the_options() -> None:
    """``--help`` says what the command does and how."""
    ended = run("--help")

    assert 0 == ended.returncode
    for option in ("--endpoint", "--keep", "--traders", "serve"):
        assert option in ended.stdout


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``exchange serve``, running, and its gateway's URL."""
    process = subprocess.Popen(
        [*EXCHANGE, "serve", "--keep", str(tmp_path / "kept")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )
    assert process.stdout is not None
    url = next(match.group(1) for line in process.stdout if (match := re.search(r"^gateway +(http\S+)", line)))
    yield process, url
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_service_outlives_the_command(how: signal.Signals, serving: tuple[subprocess.Popen[str], str]) -> None:
    """Ctrl-C ends all services cleanly, exit code 130; and where the command is killed, they notice and end too."""
    process, url = serving
    services = children_of(process.pid)
    assert 200 == httpx.get(f"{url}/readyz").status_code
    process.send_signal(how)
    code = process.wait(timeout=20)
    until = time.monotonic() + 15
    while any(map(is_alive, services)) and time.monotonic() < until:
        time.sleep(0.05)

    assert 4 == len(services)
    assert code == (130 if how is signal.SIGINT else -signal.SIGKILL)
    assert not any(map(is_alive, services))
