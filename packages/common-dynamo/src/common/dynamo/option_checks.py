"""What the options of a database may be: checked when it is opened, so that no call meets them first."""

import os
import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from common.dynamo.arguments import (
    LONGEST_DEADLINE,
    require_callback,
    require_flag,
    require_kind,
    require_mapping,
    require_seconds,
)
from common.dynamo.opening import DatabaseOptions
from common.dynamo.telemetry import Events, SdkSpans
from common.exceptions import ConfigurationError

__all__ = ["check_options", "check_place"]

_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:aws[a-z-]*:dynamodb:[\w.:/-]{1,1000}")
"""A name of a table (Developer Guide, "Naming rules"), or the ARN of one, perhaps of another account."""


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that no database has, and those of another kind.

    What can be walked over only once, types and interceptors, is checked where it is taken.

    Raises:
        ConfigurationError: It names the option and what it must be.
    """
    unknown = options.keys() - DatabaseOptions.__annotations__.keys()
    if unknown:
        known = ", ".join(sorted(DatabaseOptions.__annotations__))
        raise ConfigurationError(f"A database has no option {', '.join(sorted(unknown))}; it has: {known}.")
    _check_table("table", options.get("table", "app"))
    for group, table in require_mapping("tables", options.get("tables", {})).items():
        require_kind("A group in tables", group, str)
        _check_table("tables", table)
    if require_seconds("deadline", options.get("deadline", 1), most=LONGEST_DEADLINE) <= 0:
        raise ConfigurationError("deadline must be above zero seconds, else no call of the database could be made.")
    for name in ("clock", "monotonic", "random"):
        require_callback(name, options.get(name, float), "() -> float")
    require_callback("sleep", options.get("sleep", float), "(seconds) -> None")
    _check_watchers(options)


def _check_table(name: str, table: object) -> None:
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise ConfigurationError(f"{name} must name a table by 3 to 255 letters, digits or characters of _.-")


def _check_watchers(options: Mapping[str, Any]) -> None:
    for name, choice in (("sdk_spans", get_args(SdkSpans)), ("events", get_args(Events))):
        if options.get(name, choice[0]) not in choice:
            raise ConfigurationError(f"{name} must be one of {', '.join(choice)}.")
    if options.get("plugins") is not None and not hasattr(options["plugins"], "contributions"):
        raise ConfigurationError(
            "plugins must be a Plugins object that has been loaded: Plugins(), then load(settings)."
        )


def check_place(path: object, *, fast: object, faults: object) -> None:
    """Refuse a file, or a way to write it, that cannot be meant.

    Raises:
        ConfigurationError: *path* is no path, *fast* no flag, or *faults* no plan.
    """
    if path is not None and not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"path must be a path, or None for memory, not {type(path).__name__}.")
    require_flag("fast", fast)
    if faults is not None and not callable(getattr(faults, "draw", None)):
        raise ConfigurationError(f"faults must be a FaultPlan, not {type(faults).__name__}.")
