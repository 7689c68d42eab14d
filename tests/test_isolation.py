"""A stranger's plugin fails in every way that a plugin can, in a real service, and no request notices.

The service runs in a process of its own (``probes/service.py``), with the stranger's distribution installed beside the
family and acme-plugin (``probes/stranger.py``): once blocked, once loaded, and once with pluggy itself out of order.
"""

import json
import os
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.auth.gateway.identity import Identity
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.keys import KeyRing, SigningKey
from common.core.testing import InstalledDists
from common.core.utils import UlidGenerator
from common.observability.monitoring.span_file import read_spans

Fetch = Callable[..., Any]
Eventually = Callable[[Callable[[], object]], None]

PROBES = Path(__file__).parent / "probes"
STRANGER = "stranger-plugin"
SECONDS = 30
ROUNDS = 4
PASSWORD = "correct horse battery staple"
BROKEN_SINKS = {"stranger-raising", "stranger-exiting", "stranger-hanging"}
REASONS = {"raising": "OSError", "exiting": "SystemExit", "hanging": "timeout"}
BROKEN_CHECKS = {f"stranger-{name}-{kind}": reason for name, reason in REASONS.items() for kind in ("sync", "async")}


class Service:
    """A service on its way: where it listens, and how to be believed by it."""

    def __init__(self, folder: Path, port: int, gateway: GatewaySigner, fetch: Fetch) -> None:
        """Speak to *port*; what the service writes is in *folder*."""
        self.folder = folder
        self._port = port
        self._gateway = gateway
        self._fetch = fetch

    def request(self, method: str, path: str, content: Any = None, *, number: int = 0, signed: bool = True) -> Any:
        """Ask as the user ada, believably if *signed*; return status and body of the answer."""
        request_id = f"request-{number:03}"
        ada = Identity(user_id="ada", roles=frozenset({"trader"}), request_id=request_id, source="gateway")
        headers = self._gateway.sign(ada, audience="probe", method=method, raw_path=path.encode())
        unsigned = [header for header in headers if header[0] == b"x-request-id"]
        body = b"" if content is None else json.dumps(content).encode()
        return self.show(path, method=method, headers=headers if signed else unsigned, body=body)

    def show(self, path: str, **request: Any) -> Any:
        """Return status and body of an answer, unsigned and whole."""
        answer = self._fetch(self._port, path, **request)
        return answer.status, json.loads(answer.body)

    def trail(self, name: str) -> list[Any]:
        """Return what a good sink has stored so far, record by record."""
        file = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


@dataclass(frozen=True)
class Outcome:
    """What a service did, from its first request to its end."""

    answers: list[Any]
    health: Mapping[str, Any]
    trails: Mapping[str, list[Any]]
    log: str
    spans: list[str]
    code: int

    def lines(self, **fields: object) -> list[dict[str, Any]]:
        """Return the log lines with these fields."""
        every = [json.loads(line) for line in self.log.splitlines()]
        return [line for line in every if fields.items() <= line.items()]

    def events(self) -> list[Any]:
        """Return what the trail says of requests, in order, but for times and ids of events."""
        told = ("type", "outcome", "actor", "reason", "request_id", "source_service", "details")
        every = [record["event"] for record in self.trails["family"]]
        return [
            [event.get(name) for name in told] for event in every if not event["type"].startswith(("sys_", "stream_"))
        ]


class Services:
    """Runs services of the same kind, each in a process and a folder of its own."""

    def __init__(self, folder: Path, fetch: Fetch, eventually: Eventually) -> None:
        """Keep everything below *folder*, the stranger's distribution among it."""
        self.folder = folder
        self.fetch = fetch
        self.eventually = eventually
        self.keys = KeyRing([SigningKey.generate("EdDSA")], issuer="gateway")
        self.request_id = UlidGenerator()()
        source = (PROBES / "stranger.py").read_text(encoding="utf-8")
        stranger = InstalledDists(folder / "installed")
        stranger.add(STRANGER, version="6.6.6", plugins={STRANGER: "stranger"}, modules={"stranger": source})

    def run(
        self, name: str, *arguments: str, blocked: str = "", settled: Callable[[Service], bool] | None = None
    ) -> Outcome:
        """Start a service, live an ordinary day with it, look at its health once *settled*, and let it end."""
        with self.running(name, *arguments, COMMON_PLUGINS_BLOCK=blocked) as (service, process):
            answers = list(self.everyday(service))
            self.eventually(lambda: settled is None or settled(service))
            health = {path: service.show(path) for path in ("/livez", "/readyz", "/health", "/info")}
            process.communicate(timeout=SECONDS)
        trails = {trail: service.trail(trail) for trail in ("family", "acme", "stranger")}
        spans = sorted(span.name for span in read_spans(service.folder))
        log = (service.folder / "log").read_text(encoding="utf-8")
        return Outcome(answers, health, trails, log, spans, process.returncode)

    @contextmanager
    def running(self, name: str, *arguments: str, **variables: str) -> Iterator[tuple[Service, subprocess.Popen[str]]]:
        """Start a service; it is gone after the block, however that ends."""
        folder = self.folder / name
        folder.mkdir()
        command = [sys.executable, str(PROBES / "service.py"), str(folder), *arguments]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(
                command,
                env=self.environment(folder) | variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                assert process.stdout is not None
                port = process.stdout.readline()
                assert port, (folder / "log").read_text(encoding="utf-8")
                yield Service(folder, int(port), GatewaySigner(self.keys), self.fetch), process
            finally:
                process.kill()

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the variables of a service: ours without those of the family, and its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMMON_", "OTEL_"))}
        return kept | {
            "PYTHONPATH": str(self.folder / "installed"),
            "PROBE_GATEWAY_JWKS": json.dumps(self.keys.public_jwks()),
            "COMMON_SERVICE_NAME": "probe",
            "COMMON_ENVIRONMENT": "development",
            "COMMON_AUTH_BCRYPT_COST": "10",
            "COMMON_AUTH_PEPPERS": f"p1:{b64encode(secrets.token_bytes(32)).decode()}",
            "COMMON_AUTH_AUDIT_FILE": str(folder / "family.jsonl"),
            "ACME_AUDIT_FILE": str(folder / "acme.jsonl"),
            "STRANGER_FILE": str(folder / "stranger.jsonl"),
        }

    def everyday(self, service: Service) -> Iterator[Any]:
        """Yield the answers of an ordinary day: successes, a refusal of each kind, tokens, a user with a password."""
        for number in range(0, ROUNDS * 10, 10):
            note = f"/notes/n-{number}"
            yield service.request("PUT", note, {"text": f"text {number}"}, number=number)
            yield service.request("GET", note, number=number + 1)
            yield service.request("GET", "/notes/unknown", number=number + 2)
            yield service.request("DELETE", note, number=number + 3)
            yield service.request("GET", note, number=number + 4, signed=False)
            yield service.request("GET", "/tokens/acme.ada", number=number + 5)
        user = {"password": PASSWORD, "request_id": self.request_id}
        yield service.request("PUT", "/users/ada", user, number=999)


def broken_sinks_are_told(service: Service) -> bool:
    """Whether the trail says of every broken sink that it went down."""
    events = [record["event"] for record in service.trail("family")]
    return {event["details"]["sink"] for event in events if event["type"] == "sys_monitor_disabled"} >= BROKEN_SINKS


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, fetch: Fetch, eventually: Eventually) -> Services:
    """Services with the stranger's distribution installed."""
    return Services(tmp_path_factory.mktemp("isolation"), fetch, eventually)


@pytest.fixture(scope="module")
def calm(services: Services) -> Outcome:
    """The service without the stranger's plugin."""
    return services.run("calm", blocked=STRANGER)


@pytest.fixture(scope="module")
def troubled(services: Services) -> Outcome:
    """The service with the stranger's plugin; its health is asked for when every broken sink has been found out."""
    return services.run("troubled", settled=broken_sinks_are_told)


@pytest.fixture(scope="module")
def without_pluggy(services: Services) -> Outcome:
    """The service with no hook that can be called once it has started."""

    def ask_pluggy(service: Service) -> bool:
        assert 500 == service.request("GET", "/hooks/any", number=500)[0]
        return True

    return services.run("without-pluggy", "without-pluggy", blocked=STRANGER, settled=ask_pluggy)


def test_no_request_notices_a_broken_plugin(calm: Outcome, troubled: Outcome) -> None:
    """Every answer is the same with and without it, but for the claim that it adds to tokens; the service ends in order."""
    claimed = [answer for answer in troubled.answers if answer[1].pop("stranger", None) == "yes"]

    assert [*[200, 200, 404, 403, 401, 200] * ROUNDS, 200] == [status for status, _ in calm.answers]
    assert ROUNDS == len(claimed)
    assert calm.answers == troubled.answers
    assert (0, 0) == (calm.code, troubled.code)


def test_every_good_sink_gets_every_event(calm: Outcome, troubled: Outcome) -> None:
    """The family's, acme's and the stranger's own good one have the same records, without a gap and in order."""
    family, acme, stranger = (troubled.trails[name] for name in ("family", "acme", "stranger"))

    assert 3 * ROUNDS == len(calm.events())
    assert calm.events() == troubled.events()
    assert list(range(1, len(family) + 1)) == [record["seq"] for record in family]
    assert family == acme == stranger
    assert calm.trails["family"] == calm.trails["acme"]


def test_the_health_report_names_broken_checks_and_shows_the_others(calm: Outcome, troubled: Outcome) -> None:
    """Each broken check fails by its own code; every other one is what it is without them."""
    checks = {name: entries[0] for name, entries in troubled.health["/health"][1]["checks"].items()}
    broken = {name: checks.pop(name) for name in BROKEN_CHECKS}
    others = {name: check["status"] for name, check in checks.items()}
    alone = {name: entries[0]["status"] for name, entries in calm.health["/health"][1]["checks"].items()}

    assert BROKEN_CHECKS == {name: check["output"] for name, check in broken.items()}
    assert {"fail"} == {check["status"] for check in broken.values()}
    assert alone | {"stranger-good": "pass", "auth.audit": "warn"} == others
    assert {"pass"} == set(alone.values())
    assert BROKEN_SINKS == {
        name for name, state in checks["auth.audit"]["detail"].items() if state in ("down", "hanging")
    }
    assert (200, 200) == (troubled.health["/livez"][0], troubled.health["/readyz"][0])


def test_the_log_names_the_plugin_of_whatever_fails(calm: Outcome, troubled: Outcome) -> None:
    """Sinks, checks and span processors alike, and never with the text of an error."""
    sinks = troubled.lines(logger="common.auth.audit", plugin=STRANGER)
    checks = troubled.lines(logger="common.observability.health", plugin=STRANGER)
    processors = troubled.lines(logger="common.observability.monitoring", plugin=STRANGER)

    assert BROKEN_SINKS == {line["sink"] for line in sinks}
    assert BROKEN_CHECKS == {line["check"]: line["reason"] for line in checks}
    assert ["OSError", "SystemExit"] == sorted(line["error.type"] for line in processors)
    assert [] == calm.lines(plugin=STRANGER)
    assert "told-to-nobody" not in troubled.log


def test_good_span_processors_see_every_span(calm: Outcome, troubled: Outcome) -> None:
    """Those that come after the broken ones record requests and data access as ever."""
    assert "PUT /notes/{name}" in calm.spans
    assert "Note.put" in calm.spans
    assert calm.spans == troubled.spans


def test_requests_are_served_without_pluggy(calm: Outcome, without_pluggy: Outcome) -> None:
    """Once the service has started no hook is called: answers, health and trail are the same when that would fail.

    One request calls a hook on purpose and fails, so that what is shown here could be otherwise.
    """
    statuses = [{path: status for path, (status, _) in run.health.items()} for run in (calm, without_pluggy)]

    assert calm.answers == without_pluggy.answers
    assert calm.events() == without_pluggy.events()
    assert statuses[0] == statuses[1]
    assert 1 == len(without_pluggy.lines(logger="probe"))
    assert 0 == without_pluggy.code
