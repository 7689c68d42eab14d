"""The live page, as a person sees it: ``exchange serve`` as a process, and Chromium in front of it."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from common.core import Settings
from common.observability.dev import DevApp, LiveView, ShownEvent, ShownHealth
from common.observability.dev.health import ShownCheck, ShownGroup
from common.observability.monitoring.spans import SpanRecord

if TYPE_CHECKING:
    from conftest import Browser

Sees = Callable[[Callable[[], Any]], Any]

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOT = "COMMON_TEST_SCREENSHOT"
"""A file, relative to the root of the repository, into which the page is drawn."""
EXCHANGE = [sys.executable, "-c", "import sys; from exchange.cli import main; sys.exit(main())"]
EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>"\'&'
SECONDS_OF_BUSINESS = 70
TAB, ENTER = "\ue004", "\ue007"

CONTRASTS = """
const channel = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4 };
const parts = colour => colour.match(/[0-9.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = each => {
  for (; each; each = each.parentElement) {
    const colour = parts(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const poor = new Set();
for (const each of document.querySelectorAll("body *")) {
  const said = [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  if (!said || !each.checkVisibility() || each.closest("script")) continue;
  const [one, other] = [luminance(parts(getComputedStyle(each).color)), luminance(ground(each))];
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (contrast < 4.5) poor.add(`${each.className} ${each.textContent.slice(0, 20)}: ${contrast.toFixed(2)}`);
}
return [...poor];
"""

BEYOND = """
return [...document.querySelectorAll("main *")]
    .filter(each => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 0.5)
    .map(each => each.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="session")
def exchange(chromium: str) -> Iterator[str]:
    """``exchange serve``, running, and the URL of its page."""
    command = [*EXCHANGE, "serve", "--pace", "8", "--seconds", "600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        found = (re.search(r"live page is at (http://127\.0\.0\.1:\d+/)", line) for line in process.stdout)
        yield next(match[1] for match in found if match)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture
def page(browser: "Browser", exchange: str, sees: Sees) -> "Browser":
    """The browser, at the exchange's page, when there is something to see."""
    browser.open(exchange)
    sees(
        lambda: len(browser.texts(".service")) == 4 and any("POST /orders" in text for text in browser.texts(".trace"))
    )
    return browser


@pytest.fixture
def alone() -> Iterator[tuple[LiveView, str, Callable[[], None]]]:
    """A page of this process: its view, its URL, and what ends its server."""
    view = LiveView()
    environ = {"COMMON_ENVIRONMENT": "development", "COMMON_OBS_DEV_PAGE": "1", "COMMON_SERVICE_NAME": EVIL}
    app = DevApp(view, settings=Settings.from_environment(environ), path="/")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)

    def end() -> None:
        server.should_exit = True
        thread.join()

    yield view, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", end
    end()


def cell_of(browser: "Browser", operation: str, cell: str) -> str:
    """Return the text of a cell in the row of *operation*; empty where there is no row."""
    script = """
    const rows = [...document.querySelectorAll(".operations tbody tr")];
    const row = rows.find(each => each.querySelector("th").textContent === arguments[0]);
    return row ? row.querySelector(arguments[1]).textContent : "";
    """
    text: str = browser.run(script, operation, cell)
    return text.replace(",", "")


def calls_of(browser: "Browser", operation: str) -> int:
    """Return the number in the row of *operation*, under Calls; 0 where there is no row."""
    return int(cell_of(browser, operation, "[data-label=calls]") or 0)


def open_everything(browser: "Browser") -> None:
    """Open whatever opens."""
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")


def open_an_order(browser: "Browser", among: int = 20) -> str:
    """Open the newest trace of an order that was filled, if it is *among* so many; return its id."""
    script = """
    const traces = [...document.querySelectorAll(".trace")].slice(0, arguments[0]);
    const filled = traces.find(each => each.querySelector("summary").innerText.includes("POST /orders")
        && each.textContent.includes("AssetDAO.price") && each.textContent.includes("OrderDAO.buy"));
    return filled ? filled.id : "";
    """
    identity: str = browser.run(script, among)
    if identity:
        browser.click(f"#{identity} > summary")
    return identity


def test_health_is_shown_by_service_and_group(page: "Browser") -> None:
    """Four services, each with its groups and their status; a group opens to its checks."""
    cards = page.texts(".service")
    page.click('[id="group-users-readiness"] > summary')

    assert ["gateway", "inventory", "orders", "users"] == [card.split()[0] for card in cards]
    for card in cards:
        assert all(f"{group}\n" in card for group in ("liveness", "readiness", "startup"))
        assert "pass" in card
    checks = page.texts('[id="group-users-readiness"] tbody')[0]
    assert "auth.stores" in checks
    assert "lifecycle" in checks


def test_figures_of_an_operation_grow_while_one_looks(page: "Browser", sees: Sees) -> None:
    """Calls are counted up without the page being loaded again; latencies and capacity units stand beside them."""
    page.run("window.isTheSame = true")
    before = calls_of(page, "AssetDAO.set_price")

    sees(lambda: calls_of(page, "AssetDAO.set_price") > before)

    assert page.run("return window.isTheSame")
    head = page.texts(".operations thead th")[:10]
    assert ["Operation", "API and table", "Last minute", "Per second", "Calls", "Errors"] == head[:6]
    assert ["p50 ms", "p99 ms", "Read units", "Write units"] == head[6:]
    assert "UpdateItem exchange" in cell_of(page, "AssetDAO.set_price", ".place")
    assert 0 < int(cell_of(page, "AssetDAO.set_price", "[data-label=write]"))


def test_a_trace_opens_to_its_waterfall_and_holds_still(page: "Browser", sees: Sees) -> None:
    """A click opens the way of an order through three services; it stays open and in its place while figures go on."""
    identity = sees(lambda: open_an_order(page))

    spans = sees(lambda: page.texts(f"#{identity} .span"))
    text = "\n".join(spans)
    for expected in ("POST /orders", "gateway", "orders", "inventory", "AssetDAO.price", "GetItem exchange", " ms"):
        assert expected in text
    bars = page.run("return document.querySelectorAll(`#${arguments[0]} .span rect:not(.ground)`).length", identity)
    assert bars == len(spans)
    top = page.run("return document.getElementById(arguments[0]).offsetTop", identity)
    before = calls_of(page, "AssetDAO.set_price")
    sees(lambda: calls_of(page, "AssetDAO.set_price") > before)
    assert page.run("return document.getElementById(arguments[0]).open", identity)
    assert "holding still while a trace is open" in page.texts("#traces header")[0]
    assert top == page.run("return document.getElementById(arguments[0]).offsetTop", identity)


def test_audit_events_are_shown_the_newest_first(page: "Browser", sees: Sees) -> None:
    """With time, type, outcome, service and opaque actor."""
    rows = sees(lambda: [row for row in page.texts(".events tbody tr") if "authn_" in row])
    times = [re.findall(r"\d\d:\d\d:\d\d", row)[0] for row in page.texts(".events tbody tr")]

    assert times == sorted(times, reverse=True)
    assert any(word in rows[0] for word in ("success", "failure"))
    assert "correct horse" not in page.texts("body")[0]


def test_nothing_goes_wrong_and_nobody_else_is_asked(page: "Browser", exchange: str, sees: Sees) -> None:
    """After some renewals the console has no warning, and every request went to the page's own address."""
    before = calls_of(page, "AssetDAO.set_price")
    sees(lambda: calls_of(page, "AssetDAO.set_price") > before + 4)

    urls = {url for url in page.requests() if not url.startswith("data:")}
    assert {exchange} == urls
    assert [] == page.console()


@pytest.mark.parametrize("width", [320, 400, 768, 1024, 1400])
def test_the_page_fits_any_width(width: int, page: "Browser", sees: Sees) -> None:
    """From a phone to a desk, with everything opened, nothing reaches beyond the right edge."""
    page.resize(width)
    sees(lambda: open_an_order(page))
    open_everything(page)

    assert [] == page.run(BEYOND)
    assert width == page.run("return document.documentElement.scrollWidth")


@pytest.mark.parametrize(("scheme", "darkest", "lightest"), [("light", 200, 255), ("dark", 0, 50)])
def test_light_and_dark_follow_the_preference(
    scheme: str, darkest: int, lightest: int, page: "Browser", sees: Sees
) -> None:
    """The ground has the scheme's brightness, and every text a contrast of 4.5 at least (WCAG 2.2, 1.4.3)."""
    page.prefer(scheme)
    sees(lambda: open_an_order(page))
    open_everything(page)

    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert all(darkest <= int(part) <= lightest for part in re.findall(r"\d+", ground))
    assert [] == page.run(CONTRASTS)


def test_the_keyboard_reaches_everything_and_pauses(page: "Browser", sees: Sees) -> None:
    """The first stop leads past the head, the second is Pause; it stops renewal until it is pressed again."""
    page.press(TAB)
    assert "Skip to the figures" == page.run("return document.activeElement.textContent")
    page.press(TAB)
    page.press(ENTER)
    assert "paused" == page.texts("#state")[0]
    clock = page.texts("#clock")
    page.run("return new Promise(done => setTimeout(done, 4500))")

    assert clock == page.texts("#clock")
    page.press(ENTER)
    sees(lambda: clock != page.texts("#clock"))
    assert "live" == page.texts("#state")[0]


def test_parts_have_names_for_who_cannot_see_them(page: "Browser") -> None:
    """One main landmark, a heading in each part, heads for every column and row, roles that survive a narrow page."""
    assert ["Health", "Operations", "Traces", "Audit events"] == page.texts("main section h2")
    assert 1 == page.run("return document.querySelectorAll('main').length")
    assert 0 == page.run(
        "return document.querySelectorAll('thead th:not([scope=col]), tbody th:not([scope=row])').length"
    )
    assert 0 == page.run("return document.querySelectorAll('table:not([aria-label])').length")
    assert "en" == page.run("return document.documentElement.lang")


def test_without_script_the_page_is_whole_and_renewed(browser: "Browser", exchange: str, sees: Sees) -> None:
    """Where scripts are off, everything is there, and the page loads itself again."""
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(exchange)
    source = "return document.documentElement.innerText"
    before = browser.run(source)

    assert all(word in before for word in ("Health", "Operations", "Traces", "Audit events", "without script"))
    assert "Pause" not in before
    browser.requests()
    sees(lambda: exchange in browser.requests())


def test_markup_in_any_name_is_text(
    browser: "Browser", alone: tuple[LiveView, str, Callable[[], None]], sees: Sees
) -> None:
    """Names of services, checks, groups, spans, tables, errors, events and people are shown as they are, and run nowhere."""
    view, url, _ = alone
    group = ShownGroup(EVIL, "fail", (ShownCheck(EVIL, "fail", EVIL, EVIL),))
    view.note_health(ShownHealth(EVIL, EVIL, "fail", (group,), EVIL))
    attributes = {
        "db.system.name": "aws.dynamodb",
        "db.query.summary": EVIL,
        "db.operation.name": EVIL,
        "db.collection.name": EVIL,
        "error.type": EVIL,
    }
    now = int(view.now() * 1e9)
    span = {"name": EVIL, "trace_id": EVIL, "span_id": EVIL, "start_ns": now - 10**6, "end_ns": now, "service": EVIL}
    view.add_span(SpanRecord(failed=True, attributes=attributes, **span))
    view.add_event(ShownEvent(EVIL, view.now(), EVIL, EVIL, EVIL, 1, EVIL, EVIL, EVIL))
    browser.open(url)
    first = browser.texts("#clock")
    sees(lambda: first != browser.texts("#clock"))

    assert 0 == browser.run("return document.querySelectorAll('img').length")
    assert 1 == browser.run("return document.querySelectorAll('script').length")
    assert f"{EVIL}: live" == browser.run("return document.title")
    assert browser.texts("body")[0].count("<script>") >= 8
    assert [] == browser.console()


def test_a_server_that_is_gone_is_told(
    browser: "Browser", alone: tuple[LiveView, str, Callable[[], None]], sees: Sees
) -> None:
    """The page says that it is no longer live, and keeps what it has."""
    _, url, end = alone
    browser.open(url)
    sees(lambda: browser.texts("#state") == ["live"])
    end()

    sees(lambda: browser.texts("#state") == ["does not answer"])
    assert ["Health", "Operations", "Traces", "Audit events"] == browser.texts("main section h2")


def test_the_screenshot_is_drawn_on_request(page: "Browser", sees: Sees) -> None:
    """With ``COMMON_TEST_SCREENSHOT=docs/images/live-page.png``: a minute of business, and one order opened."""
    target = os.environ.get(SCREENSHOT)
    page.resize(1400, 1700)
    if target:
        time.sleep(SECONDS_OF_BUSINESS)
    sees(lambda: open_an_order(page, among=4))
    for service in ("gateway", "inventory", "orders", "users"):
        page.click(f'[id="group-{service}-readiness"] > summary')
    page.run("scrollTo(0, 0)")
    page.run("document.activeElement.blur()")
    picture = page.picture()

    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 500_000
    if target:
        file = ROOT / target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
