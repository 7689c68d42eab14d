"""Load what is installed, open a database with all of its entity types, and report as JSON."""

import json

from common.core import Plugins, Settings
from common.dynamo import Database
from common.exceptions import PluginLoadError


def report() -> dict[str, object]:
    """Say which entity types there are, or why there is no database."""
    plugins = Plugins()
    try:
        plugins.load(Settings.from_environment())
        with Database.embedded(plugins=plugins):
            types = [entity.name for entity in plugins.entity_types()]
    except PluginLoadError as error:
        return {"error": str(error), "types": []}
    return {"error": "", "types": types}


if __name__ == "__main__":
    print(json.dumps(report()))
