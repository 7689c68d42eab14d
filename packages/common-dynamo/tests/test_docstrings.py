"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import common.dynamo

pytestmark = pytest.mark.thorough


def module_names() -> Iterator[str]:
    """Yield the modules of this distribution, whatever lies beside them in the namespace."""
    yield "common.dynamo"
    for module in pkgutil.walk_packages(common.dynamo.__path__, "common.dynamo."):
        yield module.name


@pytest.mark.parametrize("name", list(module_names()))
def test_examples_of_a_module_run(name: str) -> None:
    """Each ``>>>`` prints what is written below it."""
    result = doctest.testmod(importlib.import_module(name), report=True, raise_on_error=False)

    assert 0 == result.failed


def test_the_main_names_have_examples() -> None:
    """The names that everybody meets first show how they are used."""
    finder = doctest.DocTestFinder(recurse=False)
    bare = [
        name
        for name in ("Database", "Key")
        if not any(test.examples for test in finder.find(getattr(common.dynamo, name), name))
    ]

    assert [] == bare
    assert doctest.DocTestFinder(recurse=False).find(importlib.import_module("common.dynamo.entity_type"))[0].examples
