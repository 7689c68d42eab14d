"""The audit trail as a part of the plugin: sinks from settings, threads from start-up to shutdown."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from common.auth import plugin
from common.auth.exceptions import AuditUnavailable
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_settings import AuditSettings, owners_of_sinks
from common.auth.security.audit_sinks import JsonLinesSink, LoggingSink, MemorySink
from common.core import App, Plugins, Settings, hookimpl
from common.core.audit import AuditOutcome, AuditSink
from common.exceptions import ConfigurationError


class Stranger:
    """Somebody else's plugin, with a sink of its own."""

    @hookimpl
    def common_audit_sinks(self) -> Iterable[AuditSink]:
        """Contribute a durable sink."""
        return [MemorySink("acme-memory", durable=True)]


def settings(**variables: str) -> Settings:
    """Return settings with variables of the audit trail."""
    environ = {f"COMMON_AUTH_AUDIT_{name}": value for name, value in variables.items()}
    family = {"COMMON_SERVICE_NAME": "orders", "COMMON_AUTH_PASSWORDS": "off", "COMMON_PLUGINS_ONLY": ""}
    return Settings.from_environment({**family, **environ})


def loaded(wanted: Settings) -> Plugins:
    """Return plugins: ours, as it is installed, and the stranger's."""
    plugins = Plugins()
    plugins.register(Stranger(), name="stranger")
    plugins.load(wanted)
    return plugins


def test_settings_name_the_sinks(tmp_path: Path) -> None:
    """A file and the log, as the environment asks for, and none by default."""
    file = str(tmp_path / "audit.jsonl")

    assert () == AuditSettings.of(settings()).sinks()
    kinds = [type(sink) for sink in AuditSettings.of(settings(FILE=file, LOGGING="yes", KEEP="3")).sinks()]
    assert [JsonLinesSink, LoggingSink] == kinds


@pytest.mark.parametrize("variables", [{"MAX_BYTES": "12"}, {"KEEP": "0"}, {"LOGGING": "perhaps"}], ids=str)
def test_a_malformed_variable_is_named(variables: dict[str, str]) -> None:
    """The error tells which, at start-up (auth X3)."""
    with pytest.raises(ConfigurationError, match=f"COMMON_AUTH_AUDIT_{next(iter(variables))}"):
        AuditSettings.of(settings(**variables))


def test_ours_and_a_strangers_sinks_come_the_same_way(tmp_path: Path) -> None:
    """One service, one call: every plugin's sinks, and whose each is (auth A7)."""
    plugins = loaded(settings(FILE=str(tmp_path / "audit.jsonl")))

    owners = owners_of_sinks(plugins)
    assert {sink.name for sink in plugins.audit_sinks()} == owners.keys()
    assert ("common-auth", "stranger") == (owners["file"], owners["acme-memory"])


def test_start_up_starts_and_shutdown_flushes(tmp_path: Path) -> None:
    """The logger that the app provides is served by the plugin from the beginning to the end (auth A19)."""
    wanted = settings(FILE=str(tmp_path / "audit.jsonl"))
    plugins = loaded(wanted)
    audit = AuditLogger(plugins.audit_sinks(), service="orders", owners=owners_of_sinks(plugins))
    app = App(settings=wanted, plugins=plugins, provides=(audit,))
    plugin.common_startup(app)
    audit.emit_required("authz_change", outcome=AuditOutcome.SUCCESS, actor="u-1", after="operator")
    for _ in range(100):
        audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS)
    plugin.common_shutdown(app.stopping_within(5))

    lines = (tmp_path / "audit.jsonl").read_bytes().splitlines()
    assert 102 == len(lines)
    assert "stream_end" == json.loads(lines[-1])["event"]["type"]
    assert "authz_change" == json.loads(lines[0])["event"]["type"]
    with pytest.raises(AuditUnavailable):
        audit.emit_required("authz_change", outcome=AuditOutcome.SUCCESS)


def test_the_logging_sink_may_share_handlers_with_everything_else(caplog: pytest.LogCaptureFixture) -> None:
    """A service whose logs are collected needs nothing more than a variable."""
    audit = AuditLogger(AuditSettings.of(settings(LOGGING="1")).sinks(), service="orders")
    with caplog.at_level(logging.INFO, "common.audit"):
        audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS, actor="u-1")
        audit.close()

    assert ["common.audit"] == [record.name for record in caplog.records]
    assert '"actor":"u-1"' in caplog.text
