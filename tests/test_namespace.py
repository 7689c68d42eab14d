"""The portions of the namespace merge, however they were installed."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PROBE = """
import common, importlib, json
parts = ["core", "entities", "exceptions", "dynamo", "auth", "observability"]
for part in parts:
    importlib.import_module(f"common.{part}")
print(json.dumps({"file": getattr(common, "__file__", None), "portions": len(list(common.__path__))}))
"""


def install(environment: Path, root: Path, *arguments: str | Path) -> None:
    """Create a virtual environment and install *arguments* into it; third parties come from this interpreter's."""
    subprocess.run(
        ["uv", "venv", "--quiet", "--python", sys.executable, environment], check=True, cwd=environment.parent
    )
    command = ["uv", "pip", "install", "--quiet", "--no-config", "--no-deps", "--python", environment, *arguments]
    subprocess.run(command, check=True, cwd=environment.parent)
    (next(environment.glob("lib/python*/site-packages")) / "third_parties.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages"))
    )


def probe(environment: Path) -> Mapping[str, object]:
    """Import every part in a fresh process of *environment* and report on the namespace."""
    python = environment / "bin" / "python"
    result = subprocess.run([python, "-P", "-c", PROBE], check=True, capture_output=True, text=True, cwd=environment)
    answer: Mapping[str, object] = json.loads(result.stdout)
    return answer


def editable(paths: Sequence[Path]) -> list[str | Path]:
    """Return pip arguments that install *paths* editable."""
    return [argument for path in paths for argument in ("--editable", path)]


@pytest.mark.parametrize("style", ["wheels", "editable", "one wheel beside editable siblings"])
def test_portions_merge(
    style: str, root: Path, dists: tuple[str, ...], wheels: Mapping[str, Path], tmp_path: Path
) -> None:
    """``common`` is a namespace without a file, and all six import packages are found in it."""
    sources = [root / "packages" / dist for dist in dists]
    arguments = {
        "wheels": [wheels[dist] for dist in dists],
        "editable": editable(sources),
        "one wheel beside editable siblings": [wheels[dists[0]], *editable(sources[1:])],
    }[style]

    install(tmp_path / "environment", root, *arguments)

    assert None is probe(tmp_path / "environment")["file"]
