"""Each public module says what it exports, completely."""

import importlib
import pkgutil
from types import ModuleType

import pytest

import common.observability as door

DOORS = [
    "common.observability",
    "common.observability.dev",
    "common.observability.health",
    "common.observability.logging",
    "common.observability.monitoring",
]
NEEDS_AN_EXTRA = {
    "common.observability.health.fastapi",
    "common.observability.monitoring.dev",
    "common.observability.monitoring.otlp",
}
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(door.__path__, "common.observability.")
    if found.name not in NEEDS_AN_EXTRA
)


@pytest.mark.parametrize("name", MODULES)
def test_the_list_of_a_module_is_complete_and_sorted(name: str) -> None:
    """Every name in ``__all__`` exists, and every class and function defined there without underscore is in it."""
    module = importlib.import_module(name)
    defined = {
        own
        for own, value in vars(module).items()
        if getattr(value, "__module__", None) == name and not own.startswith("_") and callable(value)
    }

    assert len(module.__all__) == len(set(module.__all__))
    assert defined <= set(module.__all__)
    assert set(module.__all__) <= set(vars(module))


@pytest.mark.parametrize("name", DOORS[1:])
def test_a_door_exports_what_it_imports(name: str) -> None:
    """Nothing is public by accident."""
    module = importlib.import_module(name)
    imported = {
        own for own, value in vars(module).items() if not own.startswith("_") and not isinstance(value, ModuleType)
    }

    assert imported == set(module.__all__)


def test_the_lazy_door_gives_what_it_lists() -> None:
    """Each name comes from the home that the door has written down, and none is missing there."""
    assert set(door._HOMES) == set(door.__all__)
    for name, home in door._HOMES.items():
        assert getattr(door, name) is getattr(importlib.import_module(home), name)
    assert set(door.__all__) <= set(dir(door))
