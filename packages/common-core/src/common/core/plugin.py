"""common-core's own plugin, registered through the entry point that strangers use."""

from collections.abc import Iterable

from common.core.commands import CliCommand
from common.core.markers import hookimpl


@hookimpl
def common_cli_commands() -> Iterable[CliCommand]:
    """Contribute ``common plugins``."""
    from common.core.plugin_table import PLUGINS_COMMAND  # argparse and json, for the command alone

    return (PLUGINS_COMMAND,)
