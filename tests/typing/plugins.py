"""What type checkers see of plugins, settings, lifecycle and commands. Checked, never executed."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any, assert_type

from pluggy import HookimplMarker, HookspecMarker

from common.core import (
    App,
    Claim,
    CliCommand,
    Contribution,
    HookRule,
    PluginListing,
    Plugins,
    PluginState,
    Secret,
    Section,
    Settings,
    hookimpl,
    hookspec,
)
from common.core.audit import AuditSink
from common.core.health import HealthCheck
from common.core.hookspecs import AUDIT_SINKS, HEALTH_CHECKS
from common.core.json_types import AttributeValue, JSONValue
from common.core.passwords import PasswordHasher
from common.exceptions import CommonError, PluginFailure, PluginLoadError, Problem, to_problem


def markers() -> None:
    assert_type(hookimpl, HookimplMarker)
    assert_type(hookspec, HookspecMarker)


def results(plugins: Plugins) -> None:
    assert_type(plugins.health_checks(), tuple[HealthCheck, ...])
    assert_type(plugins.audit_sinks(), tuple[AuditSink, ...])
    assert_type(plugins.password_hasher(), PasswordHasher | None)
    assert_type(plugins.cli_commands(), tuple[CliCommand, ...])
    assert_type(plugins.token_claims(), tuple[Callable[[Any], Mapping[str, JSONValue]], ...])
    assert_type(plugins.resource_attributes(), Mapping[str, AttributeValue])
    assert_type(plugins.contributions(AUDIT_SINKS), tuple[Contribution[AuditSink], ...])
    assert_type(plugins.contributions("common_audit_sinks"), tuple[Contribution[Any], ...])
    assert_type(plugins.results(HEALTH_CHECKS), tuple[HealthCheck, ...])
    assert_type(plugins.contributions(AUDIT_SINKS)[0].value.durable, bool)


def a_rule_types_its_results(plugins: Plugins) -> None:
    rule: HookRule[str] = HookRule(
        "common_greetings",
        wants="a greeting",
        accepts=lambda value: isinstance(value, str),
        claims=lambda greeting: [Claim("greeting", greeting.upper())],
    )
    assert_type(plugins.results(rule), tuple[str, ...])


def facts(plugins: Plugins, error: PluginLoadError) -> None:
    assert_type(plugins.listing(), tuple[PluginListing, ...])
    assert_type(plugins.listing()[0].state, PluginState)
    assert_type(plugins.failures, tuple[PluginFailure, ...])
    assert_type(error.failures, tuple[PluginFailure, ...])
    assert_type(error.failures[0].error, BaseException | None)


def errors_may_be_taken_by_a_function(plugins: Plugins, settings: Settings) -> None:
    def note(error: PluginLoadError) -> None: ...

    plugins.load(settings, on_error=note)
    plugins.load(settings, on_error="warn")
    plugins.load(settings, on_error="ignore")  # type: ignore[arg-type]


def lifecycle(plugins: Plugins, settings: Settings) -> None:
    app = App(settings=settings, plugins=plugins, provides=("a database",))
    assert_type(app.provided(str), tuple[str, ...])
    assert_type(app.remaining(), float | None)
    with plugins.running(app) as running:
        assert_type(running, App)


def settings_are_typed(section: Section) -> None:
    assert_type(section.text("A"), str)
    assert_type(section.text("A", None), str | None)
    assert_type(section.secret("A"), Secret)
    assert_type(section.secret("A").reveal(), str)
    assert_type(section.flag("A", False), bool)
    assert_type(section.integer("A", minimum=1), int)
    assert_type(section.integer("A", None), int | None)
    assert_type(section.number("A"), float)
    assert_type(section.choice("A", ["x", "y"]), str)
    assert_type(section.items("A"), tuple[str, ...])


def commands() -> CliCommand:
    def run(app: App, arguments: Namespace) -> int:
        return len(app.settings.service_name)

    def configure(parser: ArgumentParser) -> None: ...

    return CliCommand("acme greet", "Say hello.", run, configure)


def errors(error: CommonError) -> None:
    assert_type(to_problem(error), Problem)
    assert_type(error.retryable, bool)
