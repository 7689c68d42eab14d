"""The wheels hold what they should, and nothing of each other."""

import subprocess
import zipfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest

PACKAGES = {
    "common-core": {"core", "entities", "exceptions"},
    "common-dynamo": {"dynamo"},
    "common-auth": {"auth"},
    "common-observability": {"observability"},
}


def names(wheel: Path) -> set[str]:
    """Return the paths in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("dist", PACKAGES)
def test_a_wheel_holds_its_own_packages_and_no_tests(dist: str, wheels: Mapping[str, Path]) -> None:
    """A wheel has its import packages, its metadata and its licence: no tests, no namespace ``__init__``."""
    paths = names(wheels[dist])
    own = tuple(f"common/{package}/" for package in PACKAGES[dist])
    metadata = f"{dist.replace('-', '_')}-"
    strangers = {path for path in paths if not path.startswith(own) and not path.startswith(metadata)}

    assert set() == strangers
    assert "common/__init__.py" not in paths
    assert any(path.endswith("licenses/LICENSE") for path in paths)
    assert not any("/tests/" in path or "/test_" in path for path in paths)


@pytest.mark.parametrize("dist", PACKAGES)
def test_every_import_package_is_typed(dist: str, wheels: Mapping[str, Path]) -> None:
    """Each import package carries its own ``py.typed`` (PEP 561 does not honour one in a namespace)."""
    paths = names(wheels[dist])

    assert set() == {f"common/{package}/py.typed" for package in PACKAGES[dist]} - paths


def test_no_path_occurs_in_two_wheels(wheels: Mapping[str, Path]) -> None:
    """Installing or removing one distribution never touches a file of another."""
    for (one, first), (two, second) in combinations(wheels.items(), 2):
        assert set() == names(first) & names(second), f"{one} and {two}"


def test_sdist_builds_the_same_wheel(root: Path, wheels: Mapping[str, Path], tmp_path: Path) -> None:
    """From the sdist the same wheel can be built, file for file."""
    for dist in PACKAGES:
        source = root / "packages" / dist
        subprocess.run(["uv", "build", "--quiet", "--out-dir", tmp_path / dist, source], check=True, cwd=root)
        built = next((tmp_path / dist).glob("*.whl"))

        assert names(wheels[dist]) == names(built), dist
