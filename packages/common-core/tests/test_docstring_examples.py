"""The examples in the docstrings of common-core run, and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ["common.core", "common.entities", "common.exceptions"]
MODULES = sorted(
    name
    for package in PACKAGES
    for name in (
        package,
        *(found.name for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")),
    )
    if not name.endswith("__main__")
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_what_they_show(module: str) -> None:
    """Every ``>>>`` of the module runs by itself."""
    results = doctest.testmod(importlib.import_module(module), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert 0 == results.failed


def test_examples_are_there() -> None:
    """The check finds examples at all, in validation and in the entities."""
    finder = doctest.DocTestFinder()
    for module in ("common.core.validation.money", "common.entities.order"):
        assert any(found.examples for found in finder.find(importlib.import_module(module)))
