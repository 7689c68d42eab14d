"""Every hook of the family is documented, tested, implemented, and kept compatible."""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from common.core import App, HookRule, Plugins, PluginState, Settings, Shape
from common.core.testing import bare_plugins, make_plugin

ROOT = Path(__file__).resolve().parent.parent
MODULES: tuple[ModuleType, ...] = tuple(point.load() for point in metadata.entry_points(group="common.hookspecs"))
HOOKS: Mapping[str, Callable[..., object]] = {
    name: function for module in MODULES for name, function in vars(module).items() if hasattr(function, "common_spec")
}
RULES: Mapping[str, HookRule[object]] = {rule.hook: rule for module in MODULES for rule in module.RULES}
LIFECYCLE = {"common_startup", "common_shutdown"}

SIGNATURES_OF_1_0 = {
    "common_access_patterns": (),
    "common_audit_sinks": ("settings",),
    "common_breach_checker": ("settings",),
    "common_cli_commands": (),
    "common_dynamo_interceptors": ("settings",),
    "common_entity_types": (),
    "common_health_checks": ("settings",),
    "common_password_hasher": ("settings",),
    "common_resource_attributes": (),
    "common_shutdown": ("app",),
    "common_span_processors": ("settings",),
    "common_startup": ("app",),
    "common_token_claims": ("subject",),
}
"""What plugins written for 1.0 rely on: entries may be added here, never taken away before 2.0."""


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_is_documented(hook: str) -> None:
    """The docstring says when it is called, how often, what it returns and what an exception does."""
    text = (inspect.getdoc(HOOKS[hook]) or "").lower()
    missing = [part for part in ("when:", "how often:", "returns:", "on an exception:") if part not in text]

    assert [] == missing


def implementers(hook: str) -> list[str]:
    """Return the installed plugins, built in or acme's, that implement a hook."""
    plugins = Plugins()
    plugins.load(Settings())
    return [listing.name for listing in plugins.listing() if hook in listing.hooks]


def sources_of_tests() -> Iterator[str]:
    """Yield the source of every test function of the repository, but for those of this file."""
    for file in (*ROOT.glob("packages/*/tests/**/test_*.py"), *ROOT.glob("examples/*/tests/test_*.py")):
        source = file.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield "\n".join(lines[node.lineno - 1 : node.end_lineno])


@pytest.fixture(scope="module")
def tests() -> tuple[str, ...]:
    """The sources of all test functions."""
    return tuple(sources_of_tests())


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_is_tested_and_implemented(hook: str, tests: tuple[str, ...]) -> None:
    """At least one test names it, and a built-in or acme-plugin implements it."""
    assert any(hook in source for source in tests)
    assert [] != implementers(hook)


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_checks_what_it_is_given(hook: str) -> None:
    """Each hook that has results has a rule, which refuses an object of no meaning."""
    if hook in LIFECYCLE:
        assert hook not in RULES
    else:
        assert not RULES[hook].accepts(object())
        assert RULES[hook].wants


@pytest.mark.parametrize("argument", ["settings", "app", "subject"])
def test_arguments_are_single_frozen_objects(argument: str) -> None:
    """Fields can be added to an argument without breaking an implementation."""
    kinds: dict[str, type] = {"settings": Settings, "app": App}
    if argument == "subject":
        from common.auth.security.claim_sources import TokenSubject

        kinds["subject"] = TokenSubject
    kind = kinds[argument]

    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert {name for function in HOOKS.values() for name in inspect.signature(function).parameters} <= {
        "settings",
        "app",
        "subject",
    }


def implementation(arguments: tuple[str, ...], hook: str) -> Callable[..., object]:
    """Return an implementation with exactly these arguments that contributes nothing."""
    shape = RULES[hook].shape if hook in RULES else None
    nothing = {Shape.ITEMS: "()", Shape.MAPPING: "{}"}.get(shape, "None") if shape else "None"
    function: Callable[..., object] = eval(f"lambda {', '.join(arguments)}: {nothing}")
    return function


@pytest.mark.parametrize("taken", ["all", "none"])
def test_a_plugin_written_for_1_0_still_registers(taken: str) -> None:
    """With the arguments of 1.0, or with none of them, every hook of 1.0 is accepted and called."""
    hooks = {
        hook: implementation(arguments if taken == "all" else (), hook) for hook, arguments in SIGNATURES_OF_1_0.items()
    }
    plugins = bare_plugins(make_plugin(**hooks), hookspecs=MODULES)
    app = App(settings=Settings(), plugins=plugins)
    with plugins.running(app):
        (listing,) = plugins.listing()

    assert listing.state is PluginState.LOADED
    assert tuple(sorted(SIGNATURES_OF_1_0)) == listing.hooks
    assert 1 == len(plugins.token_claims())
    assert plugins.token_claims()[0](None) is None


def test_the_table_of_1_0_is_complete() -> None:
    """A hook that is new enters the table in the minor version that brings it."""
    assert SIGNATURES_OF_1_0 == {
        hook: tuple(inspect.signature(function).parameters) for hook, function in HOOKS.items()
    }
