"""A real browser without a screen: Chromium, driven by chromedriver over the WebDriver protocol (W3C), by no library."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REQUIRE = "COMMON_TEST_REQUIRE_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
SECONDS = 30
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element's reference (WebDriver, section 12)."""


class Browser:
    """One session of the browser, as a person in front of it would see it."""

    def __init__(self, driver: str, options: dict[str, Any]) -> None:
        """Begin a session at the *driver*'s URL."""
        self._url = driver
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._url = f"{driver}/session/{session['sessionId']}"

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        encoded = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, encoded, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None

    def quit(self) -> None:
        """End the session and its browser."""
        self._ask("DELETE", "")

    def open(self, url: str) -> None:
        """Go to *url*; what earlier pages have logged is forgotten."""
        self.console()
        self.requests()
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        """Click on the first element of *selector*; once more where the page was renewed between looking and clicking."""
        for attempt in range(5):
            found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
            try:
                self._ask("POST", f"/element/{found[ELEMENT]}/click", {})
                return
            except AssertionError as error:
                if "stale element" not in str(error) or attempt == 4:
                    raise

    def press(self, key: str) -> None:
        """Press a key, by its code point (WebDriver, section 17.4.2), wherever the focus is."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def texts(self, selector: str) -> list[str]:
        """Return the visible text of each element of *selector*."""
        texts: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText.trim())", selector
        )
        return texts

    def devtools(self, command: str, **parameters: object) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width: int, height: int = 900) -> None:
        """Show the page as on a screen of that size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str) -> None:
        """Prefer the colour scheme ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def console(self) -> list[str]:
        """Return the warnings and errors of the console since the last question."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Return the URLs that were asked for since the last question."""
        entries = (
            json.loads(entry["message"])["message"] for entry in self._ask("POST", "/se/log", {"type": "performance"})
        )
        return [each["params"]["request"]["url"] for each in entries if each["method"] == "Network.requestWillBeSent"]

    def picture(self) -> bytes:
        """Return what is on the screen, as PNG."""
        return b64decode(self._ask("GET", "/screenshot"))


def missing(what: str) -> None:
    """Skip, or fail where the run has to have a browser."""
    reason = (
        f"{what} is not installed; on Debian: apt-get install chromium chromium-driver ({REQUIRE}=1 makes this fail)"
    )
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; the tests are skipped, with the reason, where it is not installed."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        missing("Chromium")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def driver(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a chromedriver, ended with the tests."""
    if (path := shutil.which("chromedriver")) is None:
        missing("chromedriver")
    log = tmp_path_factory.mktemp("driver") / "chromedriver.log"
    with log.open("w+") as output:
        process = subprocess.Popen([str(path), "--port=0"], stdout=output, stderr=subprocess.STDOUT)
        try:
            yield f"http://127.0.0.1:{port_told_in(log, process)}"
        finally:
            process.terminate()
            process.wait(SECONDS)


def port_told_in(log: Path, process: "subprocess.Popen[bytes]") -> str:
    """Return the port that chromedriver has chosen and told."""
    until = time.monotonic() + SECONDS
    while "on port " not in (told := log.read_text()).partition("successfully")[2]:
        assert process.poll() is None, told
        assert time.monotonic() < until, told
        time.sleep(0.05)
    return told.partition("successfully")[2].partition("on port ")[2].split(".")[0].strip()


@pytest.fixture
def browser(chromium: str, driver: str, tmp_path: Path) -> Iterator[Browser]:
    """A browser that nobody has used: its own profile, 1,400 by 900 pixels, light."""
    options = {"binary": chromium, "args": [*SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]}
    session = Browser(driver, options)
    try:
        session.resize(1400)
        session.prefer("light")
        yield session
    finally:
        session.quit()


@pytest.fixture
def sees() -> Callable[[Callable[[], Any]], Any]:
    """Look again until there is something to be seen, and return it."""

    def look(question: Callable[[], Any]) -> Any:
        until = time.monotonic() + SECONDS
        while not (answer := question()):
            assert time.monotonic() < until, "It was not to be seen."
            time.sleep(0.1)
        return answer

    return look
