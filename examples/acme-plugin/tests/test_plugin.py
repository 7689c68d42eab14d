"""The plugin as a service sees it: found by its entry point, asked through hooks, with or without the other parts."""

import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

import acme_plugin.plugin
from common.core import App, Plugins, Settings
from common.core.cli import main
from common.core.testing import bare_plugins
from common.exceptions import PluginLoadError

FAMILY = ["common-auth", "common-dynamo", "common-observability"]


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a service whose audit file is in *folder*."""
    return {"ACME_AUDIT_FILE": str(folder / "trail.jsonl"), "COMMON_PLUGINS_BLOCK": ",".join(FAMILY)}


def test_the_entry_point_is_named_after_the_distribution() -> None:
    """An operator blocks the plugin by the name that the installer shows."""
    [found] = [point for point in entry_points(group="common.plugins") if point.module == "acme_plugin.plugin"]

    assert "acme-plugin" == found.name == distribution("acme-plugin").name


def test_the_distribution_needs_common_core_alone() -> None:
    """Whoever installs the plugin gets no part of the family that the service does not use."""
    needs = distribution("acme-plugin").requires or []

    assert ["common-core"] == [need.split("~")[0] for need in needs if need.startswith("common-")]


def test_an_installed_plugin_is_found_called_and_listed(tmp_path: Path) -> None:
    """Its sink, check and command arrive, and the listing names its distribution."""
    plugins = Plugins()
    plugins.load(Settings.from_environment(environment(tmp_path)), only=["acme-plugin"])
    [listing] = [listing for listing in plugins.listing() if listing.name == "acme-plugin"]

    assert ("acme-plugin", "1.0.0", "loaded") == (listing.dist, listing.version, listing.state.value)
    assert ["acme-file"] == [sink.name for sink in plugins.audit_sinks()]
    assert ["acme-audit-disk"] == [check.spec.name for check in plugins.health_checks()]
    assert ("acme", "audit") in [command.path for command in plugins.cli_commands()]


def test_a_blocked_plugin_does_nothing() -> None:
    """After COMMON_PLUGINS_BLOCK=acme-plugin nothing of it is left but its line in the listing."""
    plugins = Plugins()
    plugins.load(Settings(), block=["acme-plugin", *FAMILY])

    assert not plugins.audit_sinks()
    assert ["blocked"] == [listing.state.value for listing in plugins.listing() if listing.name == "acme-plugin"]


def test_the_plugin_serves_a_service_without_the_other_parts() -> None:
    """With the hooks of common-core alone its optional hooks are left aside, and nothing fails."""
    plugins = bare_plugins(acme_plugin.plugin)

    assert ["acme-recent"] == [sink.name for sink in plugins.audit_sinks()]


def test_loading_imports_no_other_part() -> None:
    """Importing and loading the plugin brings in neither storage nor pydantic."""
    code = """
import sys
import acme_plugin.plugin
from common.core import Plugins, Settings
plugins = Plugins()
plugins.register(acme_plugin.plugin, name="acme-plugin")
plugins.load(Settings(), entry_points=False)
print(sorted({"common.dynamo", "common.auth", "common.observability", "boto3", "pydantic"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == answer.stdout.strip()


def test_a_wrong_setting_is_told_with_the_plugin_name() -> None:
    """A service that cannot get its check does not start, and the error names the plugin and the variable."""
    with pytest.raises(PluginLoadError, match="ACME_FREE_MB"):
        bare_plugins(acme_plugin.plugin, settings=Settings.from_environment({"ACME_FREE_MB": "plenty"}))


def test_starting_makes_the_audit_folder(tmp_path: Path) -> None:
    """The folder is there before the first event."""
    settings = Settings.from_environment({"ACME_AUDIT_FILE": str(tmp_path / "deep" / "trail.jsonl")})
    plugins = bare_plugins(acme_plugin.plugin, settings=settings)
    plugins.start(App(settings=settings, plugins=plugins))

    assert (tmp_path / "deep").is_dir()


@pytest.mark.parametrize(
    ("subject", "claims"),
    [("acme.alice", {"acme_tenant": "acme"}), ("a.b.c", {"acme_tenant": "a"}), ("alice", {})],
)
def test_tokens_name_the_tenant(subject: str, claims: dict[str, str]) -> None:
    """A subject with a tenant before its first dot gets a claim; others get none."""
    sources = pytest.importorskip("common.auth.security.claim_sources", reason="tokens need common-auth")

    assert claims == acme_plugin.plugin.common_token_claims(
        sources.TokenSubject(id=subject, audience="orders", client_id="web")
    )


def test_the_command_shows_the_latest_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``common acme audit --lines 2`` prints the last two whole lines."""
    (tmp_path / "trail.jsonl").write_text('{"seq":1}\n{"seq":2}\n\n{"seq":3}\n')

    assert 0 == main(["acme", "audit", "--lines", "2"], environ=environment(tmp_path))
    assert '{"seq":2}\n{"seq":3}\n' == capsys.readouterr().out


def test_the_command_works_before_the_first_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is no error: nothing has happened yet."""
    assert 0 == main(["acme", "audit"], environ=environment(tmp_path))
    assert "No records yet.\n" == capsys.readouterr().out


def test_the_command_says_which_setting_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file there is nothing to show; one line on stderr says what to set."""
    assert 1 == main(["acme", "audit"], environ={"COMMON_PLUGINS_BLOCK": ",".join(FAMILY)})
    assert "ACME_AUDIT_FILE" in capsys.readouterr().err
