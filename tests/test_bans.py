"""The dependency rules are enforced by tools; a forbidden import in a copy of the tree makes them fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FORBIDDEN = {
    "the SDK in the data layer": (
        "packages/common-dynamo/src/common/dynamo/codec.py",
        "import opentelemetry.sdk\n",
        "ruff",
    ),
    "auth in the data layer": (
        "packages/common-dynamo/src/common/dynamo/codec.py",
        "import common.auth\n",
        "import-linter",
    ),
    "a room above in a room below": (
        "packages/common-dynamo/src/common/dynamo/requests.py",
        "import common.dynamo.database\n",
        "import-linter",
    ),
    "the data layer in core": (
        "packages/common-core/src/common/core/health.py",
        "import common.dynamo\n",
        "import-linter",
    ),
    "the data layer in auth, outside the extra": (
        "packages/common-auth/src/common/auth/exceptions.py",
        "import common.dynamo\n",
        "import-linter",
    ),
    "auth in observability": (
        "packages/common-observability/src/common/observability/__init__.py",
        "import common.auth\n",
        "import-linter",
    ),
}

LINT_IMPORTS = """
import sys
sys.path[:0] = sys.argv[1:]
import importlib, common
common.__path__ = [f"{path}/common" for path in sys.argv[1:]]
from importlinter.cli import lint_imports
sys.exit(lint_imports())
"""


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources and of their configuration."""
    copied = tmp_path_factory.mktemp("tree")
    shutil.copy(root / "pyproject.toml", copied)
    shutil.copytree(root / "packages", copied / "packages", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    return copied


def passes(tool: str, tree: Path) -> bool:
    """Whether *tool* accepts the tree."""
    sources = sorted(str(path) for path in tree.glob("packages/*/src"))
    command = {
        "ruff": [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "."],
        "import-linter": [sys.executable, "-c", LINT_IMPORTS, *sources],
    }[tool]
    return subprocess.run(command, cwd=tree, capture_output=True, check=False).returncode == 0


def test_the_tree_itself_is_accepted(copy: Path) -> None:
    """Without a forbidden import both tools pass, so what fails below fails for its reason."""
    assert passes("ruff", copy)
    assert passes("import-linter", copy)


@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_forbidden_import_is_found(case: str, copy: Path) -> None:
    """Each rule is enforced: the tool in charge refuses the tree with the import in it."""
    file, line, tool = FORBIDDEN[case]
    source = copy / file
    before = source.read_text(encoding="utf-8")
    source.write_text(f"{before}\n{line}", encoding="utf-8")
    try:
        assert not passes(tool, copy)
    finally:
        source.write_text(before, encoding="utf-8")
