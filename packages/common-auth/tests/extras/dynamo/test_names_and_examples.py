"""What is public in the extra's package is listed, and its examples give what they show (family F8)."""

import doctest
import importlib
import pkgutil

import pytest

import common.auth.dynamo

MODULES = [found.name for found in pkgutil.iter_modules(common.auth.dynamo.__path__, "common.auth.dynamo.")]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_lists_what_it_has(name: str) -> None:
    """``__all__`` has no name that is not there, and every example of the module runs."""
    module = importlib.import_module(name)

    assert all(hasattr(module, listed) for listed in module.__all__)
    assert 0 == doctest.testmod(module).failed


@pytest.mark.parametrize("name", common.auth.dynamo.__all__)
def test_every_name_of_the_door_can_be_had(name: str) -> None:
    """It is imported when it is asked for."""
    assert name == getattr(common.auth.dynamo, name).__name__
    assert name in dir(common.auth.dynamo)


def test_the_door_makes_nothing_up() -> None:
    """An unknown name is the usual error."""
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = common.auth.dynamo.Nonsense
    assert sorted(common.auth.dynamo.__all__) == common.auth.dynamo.__all__
