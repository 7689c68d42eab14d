"""The kit that the tests of common-dynamo share; it ships with the distribution."""

import os

import pytest

pytest_plugins = ["common.dynamo.testing"]

ON_AN_ENGINE = frozenset({"engine", "wire", "dynoxide"})
"""Fixtures that every test on an engine uses, directly or by way of another."""

ON_A_SCRIPT = "server"
"""The fixture of tests whose server is no engine, and does what its script says."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another engine than the default, run the tests of engines alone: the others have run and would say the same."""
    if os.environ.get("COMMON_TEST_ENGINE", "embedded") == "embedded":
        return
    left = [item for item in items if not _concerns_engines(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]


def _concerns_engines(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    uses_one = not ON_AN_ENGINE.isdisjoint(names) and ON_A_SCRIPT not in names
    return uses_one and item.get_closest_marker("in_process") is None
