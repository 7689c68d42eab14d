"""Where peers are missing: the command starts itself again in an environment that has them."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from peer_benchmark.environment import checkout
from peer_benchmark.works import Row

__all__ = ["start_again_with_peers", "why_missing"]

_AGAIN: Final = "PEER_BENCHMARK_STARTED_AGAIN"
_GROUP: Final = "peers"


def start_again_with_peers(rows: Sequence[Row], arguments: Sequence[str]) -> None:
    """Replace this process by one that has the group ``peers``, where a row needs what is not installed.

    The environment is one of its own (``uv run --isolated``): the one that the command was started in stays as it is. Where the
    group as a whole cannot be installed, each of its lines is tried by itself. Returns where nothing is missing, or where
    nothing can be done about it; the rows then say what they lack.
    """
    missing = sorted({name for row in rows for name in row.missing})
    if not missing or os.environ.get(_AGAIN):
        return
    root, uv = checkout(), shutil.which("uv")
    if root is None or uv is None:
        _tell(f"without {', '.join(missing)}: there is no {'uv' if root else 'checkout'} to install them by.")
        return
    options = _installable(uv, root)
    if options:
        _tell(f"starting again with the dependency group {_GROUP}, since {', '.join(missing)} are not installed here.")
        command = [uv, "run", "--isolated", "--quiet", "--project", str(root), "--python", sys.executable, *options]
        os.environ[_AGAIN] = "1"
        sys.stdout.flush()
        os.execv(uv, [*command, "bench", *arguments])


def why_missing(row: Row) -> str:
    """Return why *row* cannot be measured, or nothing."""
    return f"not installed: {', '.join(row.missing)}" if row.missing else ""


def _installable(uv: str, root: Path) -> list[str]:
    group = ["--group", _GROUP]
    failure = _failure(uv, root, group)
    if failure is None:
        return group
    _tell(f"the group {_GROUP} cannot be installed as a whole: {failure}")
    lines = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"][_GROUP]
    singly = [["--with", line] for line in lines]
    return [option for options in singly if _failure(uv, root, options) is None for option in options]


def _failure(uv: str, root: Path, options: list[str]) -> str | None:
    """Return the last line that uv says where it cannot make an environment with *options*; ``None`` where it can."""
    command = [uv, "run", "--isolated", "--quiet", "--project", str(root), "--python", sys.executable, *options]
    done = subprocess.run([*command, "python", "-c", ""], check=False, capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)
