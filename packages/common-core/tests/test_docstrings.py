"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

PACKAGES = ["common.core", "common.entities", "common.exceptions"]


def module_names() -> Iterator[str]:
    """Yield the modules of this distribution, whatever lies beside them in the namespace."""
    for package in map(importlib.import_module, PACKAGES):
        yield package.__name__
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield module.name


@pytest.mark.parametrize("name", list(module_names()))
def test_examples_of_a_module_run(name: str) -> None:
    """Each ``>>>`` prints what is written below it."""
    result = doctest.testmod(importlib.import_module(name), report=True, raise_on_error=False)

    assert 0 == result.failed


def test_the_main_classes_have_examples() -> None:
    """The names that everybody meets first show how they are used."""
    finder = doctest.DocTestFinder(recurse=False)
    core = importlib.import_module("common.core")
    bare = [
        name
        for name in ("App", "CliCommand", "HookRule", "Plugins", "Secret", "Section", "Settings")
        if not any(test.examples for test in finder.find(getattr(core, name), name))
    ]

    assert [] == bare
