"""The doors of common.dynamo are complete."""

import importlib
from types import ModuleType

import pytest

DOORS = ["common.dynamo"]
PUBLIC_MODULES = [
    "access",
    "aws",
    "budgets",
    "backfill",
    "change_feed",
    "entity_access",
    "exceptions",
    "hookspecs",
    "iam",
    "interceptors",
    "own_items_access",
    "requests",
    "scans",
    "streams",
    "table_drift",
    "table_templates",
    "testing",
    "wire",
]


@pytest.mark.parametrize("door", DOORS)
def test_the_door_shows_what_it_has(door: str) -> None:
    """Every public name is in ``__all__``, and every name in ``__all__`` is there."""
    module = importlib.import_module(door)
    public = {name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)}

    assert public == set(module.__all__)


@pytest.mark.parametrize("door", DOORS)
def test_names_are_sorted_and_stand_once(door: str) -> None:
    """As ruff sorts them: constants, then classes, then functions."""
    names = importlib.import_module(door).__all__

    def rank(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert sorted(set(names), key=rank) == list(names)


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_the_public_modules_exist_and_are_named_at_the_door(name: str) -> None:
    """Names that do not come from the door come from a module that the package names."""
    door = importlib.import_module("common.dynamo")

    assert importlib.import_module(f"common.dynamo.{name}").__doc__
    assert f":mod:`common.dynamo.{name}`" in (door.__doc__ or "")


def test_every_error_is_in_its_modules_list() -> None:
    """All of the tree, and nothing else."""
    module = importlib.import_module("common.dynamo.exceptions")
    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    errors = {name for name, value in own.items() if isinstance(value, type) and issubclass(value, Exception)}

    assert {name for name in errors if name[0] != "_"} <= set(module.__all__)
