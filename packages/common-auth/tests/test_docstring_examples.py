"""The examples in the docstrings of common-auth run, and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import common.auth

pytestmark = pytest.mark.thorough

MODULES = [
    found.name
    for found in pkgutil.walk_packages(common.auth.__path__, "common.auth.")
    if not found.name.endswith(".gateway.fastapi") and not found.name.startswith("common.auth.dynamo")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_what_they_show(module: str) -> None:
    """Every ``>>>`` of the module runs by itself."""
    results = doctest.testmod(importlib.import_module(module), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert 0 == results.failed


def test_examples_are_there() -> None:
    """The check finds examples at all."""
    finder = doctest.DocTestFinder()
    for module in ("common.auth.security.password_manager", "common.auth.security.token_manager"):
        assert any(found.examples for found in finder.find(importlib.import_module(module)))
