"""Import the module named by the first argument and print, as JSON, what the import did beside importing.

Run in a fresh isolated interpreter. Only what code of the family does counts for reads of the environment and scans of
entry points, since third parties read both; sockets, processes and files opened for writing count whoever opens them.
"""

import importlib.metadata
import json
import logging
import os
import sys
import threading
from typing import Any

effects: list[str] = []
sys.dont_write_bytecode = True


def family_is_asking() -> bool:
    """Whether the nearest frame outside the standard library belongs to the family."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "").partition(".")[0]
        if name not in sys.stdlib_module_names and name != "__main__":
            return bool(name == "common")
        frame = frame.f_back
    return False


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Record sockets, processes and written files."""
    if event.startswith(("socket.", "subprocess.", "os.system", "os.putenv", "os.unsetenv")):
        effects.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        effects.append(f"open {arguments[0]}")


class WatchedEnvironment(dict[str, str]):
    """The environment, telling who reads it."""

    def __getitem__(self, name: str) -> str:
        if family_is_asking():
            effects.append(f"environment {name}")
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Read one variable."""
        if family_is_asking():
            effects.append(f"environment {name}")
        return super().get(name, default)


def watched_entry_points(**keywords: Any) -> Any:
    """Scan entry points, and tell who does."""
    if family_is_asking():
        effects.append("entry points")
    return found(**keywords)


def state() -> tuple[object, ...]:
    """Return what an import must leave as it was."""
    root = logging.getLogger()
    return root.level, len(root.handlers), threading.active_count(), dict(real)


found = importlib.metadata.entry_points
real = os.environ
before = state()
sys.addaudithook(audit)
importlib.metadata.entry_points = watched_entry_points  # type: ignore[assignment]
os.environ = WatchedEnvironment(real)  # type: ignore[assignment]
__import__(sys.argv[1])
if before != state():
    effects.append("logging, threads or environment changed")
print(json.dumps(effects))
