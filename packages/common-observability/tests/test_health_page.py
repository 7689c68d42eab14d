"""The health of a process as a page of HTML, for whoever opens it in a browser."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from typing import Any

import pytest

from common.core.health import CheckContext, CheckSpec, Outcome, Status
from common.observability.health import Clocks, HealthApp, HealthRunner, Level, ServiceDescription
from common.observability.health.page import prefers_html
from common.observability.health.routes import HealthAnswer, respond_sync
from common.observability.health.runner import HealthRequest

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, and the cells of its tables."""

    def __init__(self, answer: HealthAnswer) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.tables: dict[str, list[list[str]]] = {}
        self._text = ""
        self._row: list[str] = []
        self._caption = ""
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag in ("td", "th", "caption"):
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self._caption = self._text.partition(":")[0]
            self.tables[self._caption] = []
        elif tag in ("td", "th"):
            self._row.append(self._text)
        elif tag == "tr":
            self.tables[self._caption].append(self._row)
            self._row = []


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def answer_of(answers: dict[str, Outcome], name: str, context: CheckContext) -> Outcome:
    """Check by looking up."""
    return answers[name]


def runner_at(level: Level, clock: Clock, answers: dict[str, Outcome]) -> HealthRunner:
    """Return a runner that is ready and shows *level*; its checks give *answers*."""
    runner = HealthRunner(
        service=ServiceDescription("orders", version="1.4.0"),
        detail_level=lambda request: level,
        clocks=Clocks(monotonic=clock, wall=clock),
        groups={"paying": ["ledger"]},
    )
    for name in list(answers):
        runner.add(CheckSpec(name, ttl=30.0, ttl_fail=1.0), partial(answer_of, answers, name))
    runner.lifecycle.ready()
    return runner


def ask(runner: HealthRunner, path: str = "/health", accept: str = BROWSER, method: str = "GET") -> HealthAnswer:
    """Ask as a browser does."""
    return respond_sync(runner, HealthRequest(path, method, {"accept": accept}))


def test_a_browser_gets_checks_by_group_with_status_reason_and_age() -> None:
    """A check is shown in each of its groups, configured ones included, and the stage of the service beside it."""
    clock = Clock()
    runner = runner_at(Level.SUMMARY, clock, {"ledger": Outcome(Status.WARN, "slow"), "cache": Outcome()})
    ask(runner)
    clock.now += 12.34

    answer = ask(runner)

    tables = Page(answer).tables
    assert 200 == answer.code
    assert [["check", "status", "reason", "age"], ["ledger", "warn", "slow", "12.3 s"]] == tables["paying"]
    assert ["cache", "pass", "", "12.3 s"] in tables["readiness"]
    assert ["lifecycle", "pass", "", "0.0 s"] in tables["readiness"]
    assert ["liveness", "readiness", "startup", "paying", "Last transitions"] == list(tables)
    assert "orders 1.4.0" in answer.body.decode()


def test_durations_are_shown_at_level_full_alone() -> None:
    """As in JSON."""
    answers = {"ledger": Outcome()}

    summary = Page(ask(runner_at(Level.SUMMARY, Clock(), answers))).tables["readiness"]
    full = Page(ask(runner_at(Level.FULL, Clock(), answers))).tables["readiness"]

    assert [4, 5] == [len(summary[0]), len(full[0])]
    assert "duration" == full[0][-1]
    assert all(row[-1].endswith(" ms") for row in full[1:])


def test_the_last_transitions_are_shown_the_latest_first() -> None:
    """With time, check, both statuses and the reason; no more than 20 of them."""
    clock, answers = Clock(), {"ledger": Outcome()}
    runner = runner_at(Level.SUMMARY, clock, answers)
    for number in range(30):
        answers["ledger"] = Outcome(Status.FAIL, "down") if number % 2 == 0 else Outcome()
        clock.now += 60.0
        answer = ask(runner)

    head, *rows = Page(answer).tables["Last transitions"]
    assert ["time", "check", "from", "to", "reason"] == head
    assert 20 == len(rows)
    assert ["2027-01-15 08:30:00 UTC", "ledger", "fail", "pass", ""] == rows[0]
    assert ["2027-01-15 08:29:00 UTC", "ledger", "pass", "fail", "down"] == rows[1]


def test_the_code_is_that_of_the_json_answer() -> None:
    """503 where a group fails, for browsers too."""
    runner = runner_at(Level.SUMMARY, Clock(), {"ledger": Outcome(Status.FAIL, "down")})

    page, body = ask(runner), ask(runner, accept="application/json")

    assert 503 == page.code == body.code
    assert "fail" == json.loads(body.body)["status"]


def test_nothing_is_loaded_or_run() -> None:
    """No script, image, font, frame or link: the policy of the page forbids all but its own style sheet."""
    answer = ask(runner_at(Level.FULL, Clock(), {"ledger": Outcome()}))
    page, headers = Page(answer), dict(answer.headers)

    assert not {"script", "img", "link", "iframe", "form", "object"} & set(page.tags)
    assert {"lang", "charset", "name", "content", "class"} >= page.attributes
    style = re.search(rb"<style>(.*)</style>", answer.body, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert b"http" not in answer.body


def test_markup_in_names_and_reasons_is_text() -> None:
    """Whatever the service and its plugins call things."""
    runner = HealthRunner(
        service=ServiceDescription(EVIL, version='"><b>'),
        detail_level=lambda request: Level.FULL,
        groups={"<i>own</i>": ["ledger"]},
    )
    runner.add(CheckSpec("ledger"), lambda context: Outcome(Status.FAIL, "down"))
    answer = ask(runner)

    assert EVIL.encode() not in answer.body
    assert not {"script", "b", "i"} & set(Page(answer).tags)
    assert b"&lt;script&gt;" in answer.body
    assert b"&lt;i&gt;own&lt;/i&gt;" in answer.body


def test_a_reason_that_is_no_code_is_not_shown() -> None:
    """The text of an exception, markup or not, gets no further than in JSON."""
    answers = {"ledger": Outcome(Status.FAIL, f"could not connect {EVIL}")}

    answer = ask(runner_at(Level.FULL, Clock(), answers))

    assert b"alert" not in answer.body
    assert b"connect" not in answer.body


@pytest.mark.parametrize("level", list(Level))
def test_without_a_level_a_browser_gets_json(level: Level) -> None:
    """The page needs a caller who may see the summary; every answer of ``/health`` depends on what is accepted."""
    answer = ask(runner_at(level, Clock(), {"ledger": Outcome()}))
    headers = dict(answer.headers)

    expected = "application/health+json" if level is Level.NONE else "text/html; charset=utf-8"
    assert expected == headers["Content-Type"]
    assert "Accept" == headers["Vary"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/health/checks/ledger", "/info"])
def test_probes_are_json_for_everybody(path: str) -> None:
    """Only reports of groups have a page."""
    answer = ask(runner_at(Level.FULL, Clock(), {"ledger": Outcome()}), path)

    assert dict(answer.headers)["Content-Type"].split("/")[0] == "application"
    assert "Vary" not in dict(answer.headers)


def test_one_group_has_a_page_too_and_head_its_headers() -> None:
    """``/health/paying`` shows that group alone."""
    runner = runner_at(Level.SUMMARY, Clock(), {"ledger": Outcome()})
    answer, head = ask(runner, "/health/paying"), ask(runner, "/health/paying", method="HEAD")

    assert ["paying"] == list(Page(answer).tables)
    assert (answer.code, dict(answer.headers), b"") == (head.code, dict(head.headers), head.body)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML;q=0.5", True),
        ("text/html, application/json", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html;q=0", False),
        ("text/html;q=0.4, application/json;q=0.9", False),
        ("text/html;q=0.4, application/health+json", False),
        ("text/html;q=nonsense", False),
        ("text/html;level=1;q=0.7, application/json;q=0.7", True),
        (";;,,;q=", False),
    ],
)
def test_html_goes_to_whoever_asks_for_it(accept: str, expected: bool) -> None:
    """By name and weight; ``*/*`` is what tools send."""
    assert expected is prefers_html(accept)


def test_a_browser_gets_the_page_from_a_real_server(serve: Callable[..., int], fetch: Callable[..., Any]) -> None:
    """By the plain application, over a socket."""
    runner = HealthRunner(detail_level=lambda request: Level.SUMMARY)
    port = serve(HealthApp(runner))

    page = fetch(port, "/health", headers={"Accept": BROWSER})
    body = fetch(port, "/health")

    assert ["text/html; charset=utf-8", "application/health+json"] == [
        answer.headers["content-type"] for answer in (page, body)
    ]
    assert page.body.startswith(b"<!doctype html>")
