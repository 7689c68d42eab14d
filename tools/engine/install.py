"""Install the second test engine, pinned by ``package-lock.json`` and by the checksum of its binary.

    python tools/engine/install.py

Without npm, or on a platform that the engine has no binary for, it says so and exits 0, and the tests that need the
engine are skipped; with COMMON_TEST_REQUIRE_ENGINES=1 it exits 1 instead.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
BINARY = FOLDER / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"
SHA256 = "be909b7910d3fb552e85db10ef3c8ebae4bd35fee0f26dffdb6dfa5cc656426e"


def installed() -> bool:
    """Whether the pinned binary is in place, byte for byte."""
    return BINARY.is_file() and hashlib.sha256(BINARY.read_bytes()).hexdigest() == SHA256


def obstacle() -> str | None:
    """Return why the engine cannot be installed here, or ``None``."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"there is no binary of the engine for {sys.platform} {platform.machine()}"
    if shutil.which("npm") is None:
        return "npm is not installed"
    return None


def main() -> int:
    """Install the engine unless it is there; return the exit code."""
    if installed():
        print(f"engine: {BINARY.name} is in place")
        return 0
    reason = obstacle()
    if reason is None:
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(FOLDER)]
        subprocess.run(npm, check=True)  # noqa: S603 - a fixed command
        if installed():
            print(f"engine: {BINARY.name} installed")
            return 0
        reason = f"the installed binary does not have the checksum {SHA256}"
    print(f"engine: not installed: {reason}. Name any DynamoDB endpoint with COMMON_TEST_ENGINE to test on it.")
    return 1 if os.environ.get("COMMON_TEST_REQUIRE_ENGINES") == "1" else 0


if __name__ == "__main__":
    raise SystemExit(main())
