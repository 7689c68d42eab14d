"""Exactly what an answer tells, at each level."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from common.core.health import CheckAnswer, CheckSpec, Outcome, Status
from common.observability.health import Clocks, Finding, HealthRunner, Level, Report, ServiceDescription
from common.observability.testing import Canary, Metrics

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "health_json.schema.json").read_text())
SERVICE = ServiceDescription(
    "orders", version="1.4.0", api_version="1", description="Places orders.", links={"about": "/runbook"}
)


def finding(spec: CheckSpec, outcome: Outcome, age: float = 0.0) -> Finding:
    """Return a finding made *age* seconds before a fixed moment."""
    return Finding(spec=spec, outcome=outcome, monotonic=100.0 - age, wall=1_800_000_000.0 - age, duration=0.0125)


FINDINGS = (
    finding(
        CheckSpec("dynamo.traffic", critical=False, component_type="datastore", measurement="errorRatio", affected=("/orders/{id}",)),
        Outcome(Status.WARN, "throttled", (0.02, "1"), {"trace_id": "0af7651916cd43dd8448eb211c80319c", "calls": 50}),
    ),
    finding(CheckSpec("cache", affected=("/assets",)), Outcome(observed=(3, "ms")), 1.5),
    finding(CheckSpec("gateway"), Outcome(Status.FAIL, "timeout")),
)  # fmt: skip


@pytest.mark.parametrize("level", Level)
def test_a_body_tells_what_its_level_allows(level: Level) -> None:
    """Golden bodies: none has the status alone, summary status, time and reason, full everything."""
    report = Report(status=Status.FAIL, findings=FINDINGS, level=level, service=SERVICE)

    golden = json.loads((HERE / "golden" / f"health_{level.name.lower()}.json").read_text())
    assert golden == json.loads(report.http()[2])


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("status", Status)
def test_every_body_is_valid_and_goes_with_its_code(status: Status, level: Level) -> None:
    """Against the schema of the draft; PASS and WARN are 200, FAIL is 503."""
    found = (finding(CheckSpec("check", affected=("/a",), measurement="m"), Outcome(status, "code" if status else "")),)
    for findings in ((), found, FINDINGS):
        code, headers, body = Report(status=status, findings=findings, level=level, service=SERVICE).http()

        jsonschema.validate(json.loads(body), SCHEMA)
        assert (503 if status is Status.FAIL else 200) == code
        assert ("Content-Type", "application/health+json") in headers
        assert ("Content-Length", str(len(body))) in headers


def test_the_schema_itself_refuses_what_the_draft_refuses() -> None:
    """An output on a pass, a status that is none, a check that is no list."""
    time = "2027-01-15T08:00:00Z"
    wrongs: list[dict[str, Any]] = [
        {"status": "good"},
        {"checks": {}},
        {"status": "pass", "checks": {"a": {"status": "pass"}}},
        {"status": "pass", "checks": {"a": [{"status": "pass", "time": time, "output": "x"}]}},
        {"status": "pass", "checks": {"a:b:c": [{"status": "pass", "time": time}]}},
    ]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


def test_details_are_redacted(canary: Canary) -> None:
    """Names and texts that look like secrets, and resource names of AWS, are masked even at level full."""
    detail: dict[str, Any] = {
        "password": canary.value,
        "note": f"Bearer {canary.value}",
        "table": f"arn:aws:dynamodb:eu-central-1:1234:table/{canary.value}",
        "ratio": float("nan"),
    }
    report = Report(
        status=Status.WARN, findings=(finding(CheckSpec("a"), Outcome(Status.WARN, "x", detail=detail)),), level=Level.FULL
    )  # fmt: skip

    body = report.http()[2]
    canary.assert_absent(body)
    assert "nan" == json.loads(body)["checks"]["a"][0]["detail"]["ratio"]


@pytest.mark.parametrize("value", [float("nan"), 10**30, Decimal("0.5"), object()])
def test_any_observed_value_has_a_body(value: Any) -> None:
    """What JSON does not have is written as text; the probe is answered."""
    found = finding(CheckSpec("a"), Outcome(observed=(value, "1")))

    _, _, body = Report(status=Status.PASS, findings=(found,), level=Level.FULL).http()
    assert isinstance(json.loads(body)["checks"]["a"][0]["observedValue"], str)


@pytest.mark.parametrize(("ages", "age"), [((0.0, 1.5), 3), ((4.9,), 0), ((), 0)])
def test_an_answer_may_be_kept_until_its_first_finding_is_stale(ages: tuple[float, ...], age: int) -> None:
    """``max-age`` is the smallest ttl left, in whole seconds; probes of orchestrators are never kept."""
    clock = [0.0]
    runner = HealthRunner(clocks=Clocks(monotonic=lambda: clock[0], wall=lambda: clock[0]))
    for number, old in enumerate(ages):
        runner.add(CheckSpec(f"c{number}"), lambda context: True)
        clock[0] = -old
        runner.evaluate_check_sync(f"c{number}")
    clock[0] = 0.0
    runner.start()

    report = runner.evaluate_sync("readiness")
    assert ("Cache-Control", f"max-age={age}") in report.http(cached=True)[1]
    assert ("Cache-Control", "no-store") in report.http()[1]


def test_status_and_duration_are_metrics(metrics: Metrics) -> None:
    """One series per check and state, 1 for the state it is in; the duration by name and state, in seconds."""
    runner = HealthRunner()
    answers: list[CheckAnswer] = [Outcome(Status.WARN, "slow"), Outcome(Status.WARN, "slow"), True]
    runner.add(CheckSpec("gauge", ttl=0, ttl_fail=0), lambda context: answers.pop(0))
    runner.start()
    for _ in range(3):
        runner.evaluate_sync()

    statuses = {
        point.attributes["common.health.check.state"]: point.value
        for point in metrics.points("common.health.check.status")
        if point.attributes["common.health.check.name"] == "gauge"
    }
    durations = {
        point.attributes["common.health.check.state"]: point.count
        for point in metrics.points("common.health.check.duration")
        if point.attributes["common.health.check.name"] == "gauge"
    }
    assert {"pass": 1, "warn": 0, "fail": 0} == statuses
    assert {"warn": 2, "pass": 1} == durations
