"""``exchange serve``, run as a person runs it: services, business that goes on, and a live page."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from exchange.cli import parser

EXCHANGE = [sys.executable, "-c", "import sys; from exchange.cli import main; sys.exit(main())"]
SECONDS = 30


def command(*arguments: str, **more: str) -> "subprocess.Popen[str]":
    """Start the command."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "80", **more}
    return subprocess.Popen(
        [*EXCHANGE, "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
    )


def address_in(process: "subprocess.Popen[str]") -> str:
    """Return the URL of the page, when it has been printed."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"live page is at (http://127\.0\.0\.1:\d+/)", line):
            return found[1]
    raise AssertionError(said)


def page_at(url: str) -> str:
    """Return the page, without the places where a line may end."""
    return httpx.get(url).text.replace("<wbr/>", "")


def eventually(question: Callable[[], object]) -> None:
    """Ask again until the answer is true."""
    until = time.monotonic() + SECONDS
    while not question():
        assert time.monotonic() < until, "It did not come true."
        time.sleep(0.1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A run in which much happens, and its folder."""
    folder = tmp_path_factory.mktemp("served") / "kept"
    process = command("--keep", str(folder), "--pace", "20")
    try:
        yield address_in(process), folder
    finally:
        process.terminate()
        process.wait(SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def test_the_page_shows_every_service_and_what_happens(served: tuple[str, Path]) -> None:
    """Health of the four, operations of the data layer, traces over services, audit events; and it goes on."""
    url, _ = served

    def shows(*texts: str) -> bool:
        page = page_at(url)
        return all(text in page for text in texts)

    services = [f"group-{name}-readiness" for name in ("gateway", "inventory", "orders", "users")]
    eventually(lambda: shows(*services, "OrderDAO.buy", "AssetDAO.set_price", "TransactWriteItems exchange"))
    eventually(lambda: shows("gateway → orders → inventory", "authn_login_success", "price-feed"))


def test_no_secret_comes_to_the_page_or_its_feeds(served: tuple[str, Path]) -> None:
    """No password, token, key or assertion, wherever one looks."""
    url, folder = served
    eventually(lambda: "authn_login_fail" in page_at(url))
    texts = [page_at(url), httpx.get(f"{url}feed").text]
    texts += [log.read_text(encoding="utf-8") for log in folder.glob("*.log")]

    for text in texts:
        for secret in (r"correct horse", r"not the password", r"\bca_dev_\w+", r"PRIVATE KEY", r"eyJ[\w-]{20,}\."):
            assert not re.search(secret, text)


def test_no_file_of_spans_grows_while_it_serves(served: tuple[str, Path]) -> None:
    """Services tell the page of their spans by themselves."""
    assert [] == list(served[1].glob("spans*"))


def test_it_stops_by_itself_when_told_to() -> None:
    """``--seconds`` ends everything in order, with exit code 0; ``--port`` is the page's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = command("--seconds", "1", "--pace", "0", "--port", str(port))
    said, _ = process.communicate(timeout=SECONDS)

    assert 0 == process.returncode, said
    assert f"http://127.0.0.1:{port}/" in said
    assert "every service has ended" in said


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_everything_in_order(how: signal.Signals, code: int) -> None:
    """No traceback, no service left behind, in the middle of business."""
    process = command("--pace", "50")
    url = address_in(process)
    eventually(lambda: "OrderDAO.buy" in page_at(url))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    process.send_signal(how)
    said, _ = process.communicate(timeout=SECONDS)

    assert code == process.returncode, said
    assert "Stopped; every service has ended." in said
    assert "Traceback" not in said
    assert 4 == len(children)
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_port_that_is_taken_is_told_at_once() -> None:
    """No service is started for it; the error names the port and the next step."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = command("--port", str(port))
        said, _ = process.communicate(timeout=SECONDS)

    assert 1 == process.returncode
    assert f"Port {port} cannot be used" in said
    assert "is ready" not in said


def test_a_service_that_ends_ends_the_command() -> None:
    """It is named, with the end of its log, and nothing else is left running."""
    process = command("--pace", "0")
    address_in(process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(children[1]), signal.SIGKILL)
    said, _ = process.communicate(timeout=SECONDS)

    assert 1 == process.returncode
    assert "The users service ended with exit code -9" in " ".join(said.split())
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.parametrize(
    "wrong", [("--port", "65536"), ("--port", "x"), ("--seconds", "0"), ("--pace", "-1"), ("--pace", "101")]
)
def test_numbers_out_of_range_are_refused(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the option is named."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["serve", *wrong])

    assert 2 == ended.value.code
    assert wrong[0] in capsys.readouterr().err


def test_help_tells_what_it_does_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    """``exchange serve --help`` names the page and every option."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["serve", "--help"])

    said = capsys.readouterr().out
    assert 0 == ended.value.code
    for word in ("live page", "waterfalls", "--port", "--gateway-port", "--seconds", "--pace", "--keep", "--endpoint"):
        assert word in said
