"""Finding, choosing and listing plugins, and reading what they contributed."""

import dataclasses
from pathlib import Path

import pluggy
import pytest

from common.core import App, Plugins, PluginState, Settings
from common.core.health import CheckContext, CheckSpec, Outcome
from common.core.hookspecs import AUDIT_SINKS, HEALTH_CHECKS
from common.core.testing import InstalledDists, bare_plugins, make_plugin
from common.exceptions import ConfigurationError, PluginLoadError

SINK = """
from common.core import hookimpl
from common.core.testing import RecordingSink

@hookimpl
def common_audit_sinks():
    return [RecordingSink({name!r})]
"""


class Check:
    """A health check that passes."""

    def __init__(self, name: str) -> None:
        self.spec = CheckSpec(name)

    def check(self, _ctx: CheckContext, /) -> Outcome:
        return Outcome()


def add_sink(dists: InstalledDists, name: str, *, version: str = "1.0.0") -> None:
    """Install a distribution with one audit sink; all three have one name."""
    module = f"{name}_plugin"
    dists.add(name, version=version, plugins={name: module}, modules={module: SINK.format(name=name)})


def test_an_installed_plugin_is_found_called_and_listed(installed_dists: InstalledDists) -> None:
    """An entry point in ``common.plugins`` is all that a distribution needs."""
    add_sink(installed_dists, "ant", version="1.2.3")
    plugins = installed_dists.load()
    (listing,) = [listing for listing in plugins.listing() if listing.name == "ant"]

    assert ["ant"] == [sink.name for sink in plugins.audit_sinks()]
    assert ("ant", "1.2.3", PluginState.LOADED, None) == (listing.dist, listing.version, listing.state, listing.cause)
    assert ("common_audit_sinks",) == listing.hooks


def test_core_itself_is_an_ordinary_plugin(installed_dists: InstalledDists) -> None:
    """common-core's own command arrives through the hook and the entry point that strangers use."""
    plugins = installed_dists.load()
    (contribution,) = plugins.contributions("common_cli_commands")

    assert ("common-core", "plugins") == (contribution.plugin, contribution.value.name)


def test_results_carry_the_name_of_their_plugin(installed_dists: InstalledDists) -> None:
    """A counter or log record can name whose sink failed, long after loading."""
    add_sink(installed_dists, "ant", version="1.2.3")
    plugins = installed_dists.load()
    (contribution,) = plugins.contributions(AUDIT_SINKS)

    assert ("ant", "ant", "1.2.3") == (contribution.plugin, contribution.dist, contribution.version)
    assert (contribution.value,) == plugins.audit_sinks()
    assert (contribution,) == plugins.contributions("common_audit_sinks")
    assert "ant (ant 1.2.3)" == contribution.origin


def test_a_dist_that_is_found_twice_counts_once(
    installed_dists: InstalledDists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata of one distribution on two path entries is no duplicate: the copy that would be imported counts."""
    add_sink(installed_dists, "ant", version="1.0.0")
    monkeypatch.syspath_prepend(tmp_path / "earlier")
    add_sink(InstalledDists(tmp_path / "earlier"), "ant", version="2.0.0")
    plugins = installed_dists.load()

    assert ["2.0.0"] == [listing.version for listing in plugins.listing() if listing.name == "ant"]
    assert ["ant"] == [sink.name for sink in plugins.audit_sinks()]


@pytest.mark.parametrize(
    ("variables", "loaded"),
    [
        pytest.param({}, ["ant", "bee", "cat"], id="neither"),
        pytest.param({"COMMON_PLUGINS_BLOCK": "bee"}, ["ant", "cat"], id="block one"),
        pytest.param({"COMMON_PLUGINS_BLOCK": " ant , ,cat "}, ["bee"], id="block two, untidily"),
        pytest.param({"COMMON_PLUGINS_BLOCK": ""}, ["ant", "bee", "cat"], id="block empty"),
        pytest.param({"COMMON_PLUGINS_ONLY": "bee"}, ["bee"], id="only one"),
        pytest.param({"COMMON_PLUGINS_ONLY": ""}, [], id="only empty"),
        pytest.param({"COMMON_PLUGINS_ONLY": "ant,bee", "COMMON_PLUGINS_BLOCK": "ant"}, ["bee"], id="both"),
    ],
)
def test_the_environment_decides_what_loads(
    installed_dists: InstalledDists, variables: dict[str, str], loaded: list[str]
) -> None:
    """Unset allows all, empty allows none from outside the family; the block list wins over the allow list."""
    for name in ("ant", "bee", "cat"):
        add_sink(installed_dists, name)
    plugins = installed_dists.load(Settings.from_environment(variables))
    states = {listing.name: listing.state for listing in plugins.listing()}

    assert loaded == [sink.name for sink in plugins.audit_sinks()]
    assert all(states[name] is PluginState.BLOCKED for name in {"ant", "bee", "cat"} - set(loaded))
    assert states["common-core"] is PluginState.LOADED


def test_a_blocked_plugin_is_not_imported(installed_dists: InstalledDists) -> None:
    """Blocking a plugin means that none of its code runs, so it can be blocked whatever is wrong with it."""
    installed_dists.add("ant", plugins={"ant": "ant_plugin"}, modules={"ant_plugin": "raise SystemExit(3)"})
    plugins = installed_dists.load(Settings(plugins_block=("ant",)))
    (listing,) = [listing for listing in plugins.listing() if listing.name == "ant"]

    assert listing.state is PluginState.BLOCKED
    assert "blocked by name (COMMON_PLUGINS_BLOCK)" == listing.cause


def test_a_blocked_part_takes_its_hooks_along(installed_dists: InstalledDists) -> None:
    """With common-dynamo blocked, a plugin's entity types are left alone, and are no mistake of that plugin."""
    source = "from common.core import hookimpl\n@hookimpl\ndef common_entity_types(): raise OSError\n"
    installed_dists.add(
        "common-dynamo", version="9.9", plugins={"common-dynamo": "x"}, hookspecs={"common-dynamo": "x"}
    )
    installed_dists.add("ant", plugins={"ant": "ant_plugin"}, modules={"ant_plugin": source})
    plugins = installed_dists.load()

    assert () == plugins.entity_types()
    assert PluginState.LOADED in [listing.state for listing in plugins.listing() if listing.name == "ant"]


def test_both_allow_lists_apply(installed_dists: InstalledDists) -> None:
    """What the service's code allows, the operator can narrow and cannot widen, and the other way round."""
    for name in ("ant", "bee", "cat"):
        add_sink(installed_dists, name)
    plugins = Plugins()
    siblings = ["common-dynamo", "common-auth", "common-observability"]
    plugins.load(Settings(plugins_only=("ant", "bee")), block=siblings, only=["bee", "cat"])

    assert ["bee"] == [sink.name for sink in plugins.audit_sinks()]


@pytest.mark.parametrize("variable", ["COMMON_PLUGINS_BLOCK", "COMMON_PLUGINS_ONLY"])
def test_an_unknown_name_in_a_list_warns_with_the_nearest(
    installed_dists: InstalledDists, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    """A slip in a list would otherwise block nothing, or everything, in silence."""
    installed_dists.add("ant-sinks", plugins={"ant-sinks": "ant_plugin"}, modules={"ant_plugin": ""})
    installed_dists.load(Settings.from_environment({variable: "ant_sinks"}))
    (text,) = [record.getMessage() for record in caplog.records if "ant_sinks" in record.getMessage()]

    assert variable in text
    assert "did you mean ant-sinks?" in text


def test_a_plugin_without_entry_point_is_registered_by_name() -> None:
    """What the service registers in code loads with all others; the operator can block it by its name."""
    for blocked, expected in (((), ["one"]), (("mine",), [])):
        plugins = Plugins()
        plugins.register(make_plugin(common_health_checks=lambda: [Check("one")]), name="mine")
        plugins.load(Settings(plugins_block=blocked, plugins_only=()), entry_points=False)

        assert expected == [check.spec.name for check in plugins.health_checks()]
        assert [("mine", None)] == [(listing.name, listing.dist) for listing in plugins.listing()]


def test_a_second_load_is_refused() -> None:
    """Plugins are loaded once; to load anew, a service makes new ones."""
    plugins = bare_plugins()

    with pytest.raises(ConfigurationError, match="second time"):
        plugins.load(Settings(), entry_points=False)


def test_results_are_not_read_before_loading() -> None:
    """Nothing is answered before loading: an empty answer could pass for a service without audit sinks."""
    with pytest.raises(ConfigurationError, match=r"Call Plugins\.load"):
        Plugins().audit_sinks()


def test_results_are_not_read_after_a_failed_load() -> None:
    """After a failed strict load only the listing can be read."""
    plugins = Plugins()
    plugins.register(make_plugin(common_audit_sinks=lambda: 7), name="bad")

    with pytest.raises(PluginLoadError):
        plugins.load(Settings(), entry_points=False)
    with pytest.raises(ConfigurationError):
        plugins.audit_sinks()
    assert not plugins.loaded
    assert [PluginState.FAILED] == [listing.state for listing in plugins.listing()]
    assert "<Plugins: 1 failed>" == repr(plugins)


def test_two_services_in_one_process_share_nothing() -> None:
    """There is no global: what one Plugins has, another has not."""
    one, other = bare_plugins(make_plugin(common_health_checks=lambda: [Check("one")])), bare_plugins()

    assert (1, 0) == (len(one.health_checks()), len(other.health_checks()))


def test_hooks_of_absent_parts_are_empty() -> None:
    """Reading a hook whose owner is not installed gives nothing; reading one that nobody has is a mistake."""
    plugins = bare_plugins()

    assert () == plugins.entity_types() == plugins.dynamo_interceptors() == plugins.span_processors()
    assert () == plugins.access_patterns() == plugins.token_claims() == plugins.breach_checkers()
    assert {} == plugins.resource_attributes()
    with pytest.raises(ConfigurationError, match="did you mean common_audit_sinks"):
        plugins.contributions("common_audit_sink")


def test_what_is_handed_out_is_frozen() -> None:
    """Nobody changes for others what Plugins handed out."""
    plugins = bare_plugins(make_plugin(common_health_checks=lambda: [Check("one")]))
    (listing,) = plugins.listing()
    (contribution,) = plugins.contributions(HEALTH_CHECKS)
    app = App(settings=Settings(), plugins=plugins)

    for value, field in ((listing, "state"), (contribution, "value"), (app, "plugins")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, None)


def test_each_hook_is_called_once_with_the_arguments_that_it_names() -> None:
    """An implementation takes as few of the hook's arguments as it likes, and reading results calls it no more."""
    seen: list[object] = []
    settings = Settings(service_name="orders")

    def with_settings(settings: Settings) -> list[Check]:
        seen.append(settings)
        return []

    def without() -> list[Check]:
        seen.append("nothing")
        return []

    plugins = bare_plugins(
        make_plugin(common_health_checks=with_settings),
        make_plugin(common_health_checks=without),
        settings=settings,
    )
    plugins.health_checks()
    plugins.health_checks()

    assert [settings, "nothing"] == seen


def test_request_paths_never_call_pluggy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once loaded, results are plain objects: no read of them calls a hook."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("pluggy was called")

    plugins = bare_plugins(make_plugin(common_health_checks=lambda: [Check("one")]))
    with monkeypatch.context() as patch:  # pytest itself lives on pluggy, so only around the reads
        for method in ("__call__", "call_historic", "call_extra"):
            patch.setattr(pluggy.HookCaller, method, fail)
        checks = plugins.health_checks()
        rest = (plugins.token_claims(), plugins.contributions(AUDIT_SINKS), plugins.password_hasher())

    assert ["one"] == [check.spec.name for check in checks]
    assert ((), (), None) == rest
