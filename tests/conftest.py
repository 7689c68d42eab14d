"""What the cross-distribution tests share: the tree, its members, and wheels built once per run."""

import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DISTS = ("common-core", "common-dynamo", "common-auth", "common-observability")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def dists() -> tuple[str, ...]:
    """The names of the family's distributions."""
    return DISTS


@pytest.fixture(scope="session")
def pyprojects() -> Mapping[str, Mapping[str, Any]]:
    """The parsed pyproject of every workspace member, by distribution name."""
    files = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
    parsed = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {project["project"]["name"]: project for project in parsed}


@pytest.fixture(scope="session")
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks, or would track, and that is text."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    files = (ROOT / name for name in names)
    return tuple(file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8192])


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A wheel of each distribution and of acme-plugin, built from the tree."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = {name: ROOT / "packages" / name for name in DISTS} | {"acme-plugin": ROOT / "examples" / "acme-plugin"}
    for source in sources.values():
        subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", folder, source], check=True, cwd=ROOT)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in sources}
