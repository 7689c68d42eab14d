"""Start-up, shutdown, and plugins that come late."""

import logging
from collections.abc import Callable

import pytest

from common.core import App, Plugins, Settings, hookimpl
from common.core.health import CheckContext, CheckSpec, Outcome
from common.core.testing import bare_plugins, make_plugin
from common.exceptions import ConfigurationError, PluginLoadError, PluginStartError


class Check:
    """A health check that passes."""

    def __init__(self, name: str) -> None:
        self.spec = CheckSpec(name)

    def check(self, _ctx: CheckContext, /) -> Outcome:
        return Outcome()


class Service:
    """A plugin that writes down when it starts and stops."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.name, self.diary = name, diary

    @hookimpl
    def common_startup(self, app: App) -> None:
        self.diary.append(f"+{self.name}")

    @hookimpl
    def common_shutdown(self, app: App) -> None:
        self.diary.append(f"-{self.name}")


class Failing(Service):
    """A plugin that does not come up."""

    @hookimpl
    def common_startup(self, app: App) -> None:
        raise OSError("port in use")


class Late(Service):
    """A plugin that asks to start last."""

    @hookimpl(trylast=True)
    def common_startup(self, app: App) -> None:
        super().common_startup(app)


def app_of(plugins: Plugins) -> App:
    """Return an app around *plugins*."""
    return App(settings=Settings(), plugins=plugins)


def test_shutdown_goes_in_reverse_order_of_start_up() -> None:
    """What started last is stopped first, once."""
    diary: list[str] = []
    plugins = bare_plugins(Late("a", diary), Service("b", diary), Service("c", diary))
    app = app_of(plugins)
    plugins.start(app)
    plugins.stop(app)
    plugins.stop(app)

    assert ["+b", "+c", "+a", "-a", "-c", "-b"] == diary


def test_a_failing_start_up_stops_what_had_started() -> None:
    """The error names the plugin, the cause is chained, and nothing is left running."""
    diary: list[str] = []
    plugins = bare_plugins(Service("a", diary), Failing("b", diary), Service("c", diary))
    with pytest.raises(PluginStartError, match=r"plugin-2 .*OSError: port in use") as caught:
        plugins.start(app_of(plugins))

    assert ["+a", "-a"] == diary
    assert "common_startup" == caught.value.failure.hook
    assert isinstance(caught.value.__cause__, OSError)


def test_an_interrupt_while_starting_stops_what_had_started() -> None:
    """Ctrl-C during start-up is no plugin's failure, and leaves nothing running either."""
    diary: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    plugins = bare_plugins(Service("a", diary), make_plugin(common_startup=interrupt))
    with pytest.raises(KeyboardInterrupt):
        plugins.start(app_of(plugins))

    assert ["+a", "-a"] == diary


@pytest.mark.parametrize("error", [OSError("stuck"), SystemExit(3)])
def test_a_raising_shutdown_is_logged_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """The record names the plugin and keeps the traceback."""
    diary: list[str] = []

    def fail() -> None:
        raise error

    plugins = bare_plugins(Service("a", diary), make_plugin(common_shutdown=fail), Service("c", diary))
    with caplog.at_level(logging.ERROR), plugins.running(app_of(plugins)):
        pass
    (record,) = caplog.records

    assert ["+a", "+c", "-c", "-a"] == diary
    assert "plugin-2" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_plugin_without_start_up_is_shut_down_too() -> None:
    """Whoever only has something to stop is stopped, at its place in the order."""
    diary: list[str] = []
    plugins = bare_plugins(
        Service("a", diary), make_plugin(common_shutdown=lambda: diary.append("-b")), Service("c", diary)
    )
    with plugins.running(app_of(plugins)):
        pass

    assert ["+a", "+c", "-c", "-b", "-a"] == diary


def test_the_app_tells_the_time_that_is_left() -> None:
    """At start-up there is no deadline; at shutdown each plugin sees how many seconds remain."""
    seen: list[float | None] = []
    now = [100.0]

    def wait(app: App) -> None:
        seen.append(app.remaining())
        now[0] += 4.0

    slow = [make_plugin(common_startup=wait, common_shutdown=wait) for _ in range(2)]
    plugins = bare_plugins(*slow)
    with plugins.running(App(settings=Settings(), plugins=plugins, clock=lambda: now[0]), stop_within=6.0):
        pass

    assert [None, None, 6.0, 2.0] == seen


def test_an_async_start_up_handed_on_is_a_failure() -> None:
    """A coroutine that nobody awaits has started nothing."""

    async def start() -> None: ...

    plugins = bare_plugins(make_plugin(common_startup=lambda: start()))

    with pytest.raises(PluginStartError, match="returned a coroutine"):
        plugins.start(app_of(plugins))


def test_plugins_start_once_and_after_loading() -> None:
    """The wrong order is told, not worked around."""
    plugins = Plugins()
    with pytest.raises(ConfigurationError, match=r"load\(settings\) first"):
        plugins.start(app_of(plugins))
    plugins.load(Settings(), entry_points=False)
    plugins.start(app_of(plugins))

    with pytest.raises(ConfigurationError, match="second time"):
        plugins.start(app_of(plugins))


def test_stop_without_start_does_nothing() -> None:
    """A service that failed before start-up can stop in its ``finally`` all the same."""
    diary: list[str] = []
    plugins = bare_plugins(Service("a", diary))
    plugins.stop(app_of(plugins))

    assert [] == diary


def test_a_late_plugin_contributes_and_starts_at_once() -> None:
    """After start-up, ``register`` replays ``common_startup``; what was handed out before does not change."""
    diary: list[str] = []
    plugins = bare_plugins(Service("a", diary))
    app = app_of(plugins)
    plugins.start(app)
    before = plugins.health_checks()
    plugins.register(make_plugin(common_health_checks=lambda: [Check("late")]), name="checks")
    plugins.register(Service("b", diary), name="b")
    plugins.stop(app)

    assert () == before
    assert ["late"] == [check.spec.name for check in plugins.health_checks()]
    assert ["+a", "+b", "-b", "-a"] == diary


def test_a_late_plugin_that_does_not_start_is_unregistered_again() -> None:
    """Neither its results nor its name stay behind, and shutdown does not reach it."""
    diary: list[str] = []
    plugins = bare_plugins()
    app = app_of(plugins)
    plugins.start(app)
    with pytest.raises(PluginStartError, match="port in use"):
        plugins.register(Failing("a", diary), name="a")
    plugins.register(Service("again", diary), name="a")
    plugins.stop(app)

    assert ["+again", "-again"] == diary
    assert ["a"] == [listing.name for listing in plugins.listing()]


def raises() -> None:
    """Fail as a hook."""
    raise OSError("broken")


@pytest.mark.parametrize(
    "hooks",
    [
        pytest.param({"common_health_checks": raises}, id="raising"),
        pytest.param({"common_health_checks": lambda: [Check("disk")]}, id="duplicate"),
        pytest.param({"common_helth_checks": lambda: ()}, id="unknown"),
        pytest.param({"common_health_checks": lambda wrong: []}, id="signature"),
    ],
)
def test_a_late_plugin_that_is_wrong_changes_nothing(hooks: dict[str, Callable[..., object]]) -> None:
    """Late failures always raise, and nobody else is touched."""
    plugins = bare_plugins(make_plugin(common_health_checks=lambda: [Check("disk")]))
    with pytest.raises(PluginLoadError) as caught:
        plugins.register(make_plugin(**hooks), name="late")

    assert ["late"] == [failure.plugin for failure in caught.value.failures]
    assert ["plugin-1"] == [listing.name for listing in plugins.listing()]
    assert ["disk"] == [check.spec.name for check in plugins.health_checks()]
    assert () == plugins.failures


def test_a_late_plugin_can_be_blocked() -> None:
    """The operator's block list also holds for what the service registers while it runs."""
    plugins = bare_plugins(settings=Settings(plugins_block=("late",)))
    plugins.register(make_plugin(common_health_checks=lambda: [Check("late")]), name="late")

    assert () == plugins.health_checks()
    assert [("late", "blocked")] == [(listing.name, listing.state) for listing in plugins.listing()]


def test_app_finds_what_the_service_provides() -> None:
    """A plugin module keeps no state: it asks the app for the objects of a type that the service made."""
    app = App(settings=Settings(), plugins=bare_plugins(), provides=("first", 2, "third"))

    assert ("first", "third") == app.provided(str)
    assert () == app.provided(bytes)
    assert "first" not in repr(app)
