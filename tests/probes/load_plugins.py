"""Load what is installed in this interpreter's environment, by the environment's variables, and report as JSON."""

import json
import sys

from common.core import Plugins, Settings
from common.exceptions import PluginLoadError

HOOKS = (
    "common_audit_sinks",
    "common_cli_commands",
    "common_entity_types",
    "common_health_checks",
    "common_password_hasher",
)


def report(on_error: str = "raise") -> dict[str, object]:
    """Load as told by *on_error*, ``"raise"`` or ``"warn"``."""
    plugins = Plugins()
    error = ""
    try:
        plugins.load(Settings.from_environment(), on_error="warn" if on_error == "warn" else "raise")
    except PluginLoadError as caught:
        error = str(caught)
    return {
        "error": error,
        "states": {listing.name: listing.state for listing in plugins.listing()},
        "dists": {listing.name: f"{listing.dist} {listing.version}" for listing in plugins.listing()},
        "given": {hook: [c.plugin for c in plugins.contributions(hook)] for hook in HOOKS} if plugins.loaded else {},
    }


if __name__ == "__main__":
    print(json.dumps(report(*sys.argv[1:])))
