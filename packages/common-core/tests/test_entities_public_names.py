"""The doors of entities, validation and utils are complete, and everybody's import lines work."""

import importlib
from types import ModuleType

import pytest

DOORS = ["common.entities", "common.core.validation", "common.core.utils"]

IMPORTS = {
    "common.entities.user": "User Balance BalanceTransaction TransactionType TransactionStatus",
    "common.entities.order": "Order OrderCreate OrderResponse OrderType OrderStatus",
    "common.entities.inventory": "Asset AssetListResponse",
    "common.entities.asset": "AssetBalance AssetTransaction AssetTransactionType AssetTransactionStatus",
}


@pytest.mark.parametrize("door", DOORS)
def test_the_door_shows_what_it_has(door: str) -> None:
    """Every public name is in __all__, which is sorted and holds no name twice."""
    module = importlib.import_module(door)
    public = {name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)}

    assert public == set(module.__all__)
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize(("module", "name"), [(m, name) for m, names in IMPORTS.items() for name in names.split()])
def test_entities_come_from_their_module_and_from_the_door(module: str, name: str) -> None:
    """``from common.entities.user import User`` and ``from common.entities import User`` give one class."""
    door = importlib.import_module("common.entities")

    assert getattr(importlib.import_module(module), name) is getattr(door, name)


@pytest.mark.parametrize("door", DOORS)
def test_an_unknown_name_is_an_error(door: str) -> None:
    """The door makes nothing up."""
    with pytest.raises(AttributeError):
        _ = importlib.import_module(door).Nonsense
