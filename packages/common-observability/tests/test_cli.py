"""``common health`` as an exec probe."""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable

import pytest

from common.core import App, Plugins, Settings, hookimpl
from common.core.health import CheckContext, CheckSpec, HealthCheck
from common.exceptions import ConfigurationError
from common.observability import hookspecs
from common.observability.cli import HEALTH_COMMAND


class Check:
    """A check of the group ``own`` that answers what it was made with."""

    def __init__(self, answer: bool) -> None:
        self.spec = CheckSpec("answer", groups=frozenset({"own"}))
        self._answer = answer

    def check(self, ctx: CheckContext) -> bool:
        return self._answer


class Checks:
    """A plugin with one check."""

    def __init__(self, answer: bool) -> None:
        self._answer = answer

    @hookimpl
    def common_health_checks(self) -> Iterable[HealthCheck]:
        return [Check(self._answer)]


def run(answer: bool, *words: str) -> int | None:
    """Run the command in a service with one plugin."""
    plugins = Plugins(hookspecs=[hookspecs])
    plugins.register(Checks(answer), name="checks")
    plugins.load(Settings(), entry_points=False)
    parser = ArgumentParser()
    HEALTH_COMMAND.configure(parser)
    assert HEALTH_COMMAND.run is not None
    return HEALTH_COMMAND.run(App(settings=Settings(service_name="orders"), plugins=plugins), parser.parse_args(words))


@pytest.mark.parametrize(("answer", "code", "status"), [(True, 0, "pass"), (False, 1, "fail")])
def test_the_exit_code_is_the_answer(answer: bool, code: int, status: str, capsys: pytest.CaptureFixture[str]) -> None:
    """0 or 1, and the whole report on standard output."""
    assert code == run(answer, "--group", "own")

    body = json.loads(capsys.readouterr().out)
    assert (status, "orders", status) == (body["status"], body["serviceId"], body["checks"]["answer"][0]["status"])


def test_readiness_is_asked_without_the_services_lifecycle(capsys: pytest.CaptureFixture[str]) -> None:
    """The command is a process of its own: it counts as started."""
    assert 0 == run(True)
    assert "pass" == json.loads(capsys.readouterr().out)["status"]


def test_an_unknown_group_is_refused_by_name() -> None:
    """The message has the groups that there are."""
    with pytest.raises(
        ConfigurationError, match=r"no health group 'redness'. Known: liveness, readiness, startup, own"
    ):
        run(True, "--group", "redness")


def test_the_installed_command_finds_it() -> None:
    """``python -m common.core health`` runs it, contributed by the entry point of the distribution."""
    others = "common-dynamo,common-auth"
    result = subprocess.run(
        [sys.executable, "-m", "common.core", "health", "--group", "liveness"],
        env={**os.environ, "COMMON_PLUGINS_BLOCK": others, "COMMON_PLUGINS_ONLY": ""},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert 0 == result.returncode, result.stderr
    assert "pass" == json.loads(result.stdout)["status"]
