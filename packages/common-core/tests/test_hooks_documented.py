"""Each hook of common-core states its contract."""

import inspect
from collections.abc import Callable

import pytest

from common.core import hookspecs

HOOKS = {name: function for name, function in vars(hookspecs).items() if hasattr(function, "common_spec")}


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("statement", ["When:", "how often:", "Returns:", "On an exception:"])
def test_a_hook_states_when_how_often_what_and_what_if(name: str, statement: str) -> None:
    """A plugin's author reads the contract in the docstring, not in the loader."""
    assert statement in (inspect.getdoc(HOOKS[name]) or "")


def test_the_hooks_are_those_of_the_published_table() -> None:
    """Adding one is a minor change, removing one a major change."""
    assert {
        "common_audit_sinks": ["settings"],
        "common_cli_commands": [],
        "common_health_checks": ["settings"],
        "common_password_hasher": ["settings"],
        "common_shutdown": ["app"],
        "common_startup": ["app"],
    } == {name: list(inspect.signature(function).parameters) for name, function in HOOKS.items()}


def test_every_collected_hook_has_a_rule() -> None:
    """What a hook returns is checked; only start-up and shutdown return nothing."""
    assert {rule.hook for rule in hookspecs.RULES} == HOOKS.keys() - {"common_startup", "common_shutdown"}


def test_every_argument_and_result_is_annotated() -> None:
    """An implementation can copy the signature, types included."""
    functions: list[Callable[..., object]] = list(HOOKS.values())
    for function in functions:
        signature = inspect.signature(function)

        assert inspect.Signature.empty is not signature.return_annotation
        assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
