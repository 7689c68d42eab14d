"""What is public is listed, and nothing else is (family F8)."""

import importlib
import pkgutil
import types

import pytest

import common.auth

# Modules that need an extra, or pytest, are looked at where these are installed.
NEEDING_MORE = {"common.auth.gateway.fastapi"}
MODULES = [
    found.name
    for found in pkgutil.walk_packages(common.auth.__path__, "common.auth.")
    if found.name not in NEEDING_MORE and not found.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_all_is_complete(name: str) -> None:
    """``__all__`` has every public name that the module defines, each once, and no name that is not there."""
    module = importlib.import_module(name)
    own = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", name) == name
        and getattr(value, "__name__", key) == key
        and isinstance(value, type | types.FunctionType)
    }

    assert own <= set(module.__all__)
    assert len(module.__all__) == len(set(module.__all__))
    assert all(hasattr(module, listed) for listed in module.__all__)


@pytest.mark.parametrize("name", common.auth.__all__)
def test_every_name_of_the_door_can_be_had(name: str) -> None:
    """The door imports it when it is asked for."""
    assert name == getattr(common.auth, name).__name__


def test_the_door_lists_what_it_has() -> None:
    """``__all__`` is sorted and is what ``dir`` shows."""
    assert sorted(common.auth.__all__) == common.auth.__all__
    assert set(common.auth._HOMES) == set(common.auth.__all__)
    assert set(common.auth.__all__) <= set(dir(common.auth))


def test_the_door_makes_nothing_up() -> None:
    """An unknown name is the usual error."""
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = common.auth.Nonsense
