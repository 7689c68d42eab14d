"""What every service of the family has: plugins, settings, lifecycle, and the value types that plugins exchange.

The names below are the public door. Further public modules: :mod:`common.core.audit`, :mod:`common.core.health` and
:mod:`common.core.passwords` (value types and protocols), :mod:`common.core.hookspecs` (the hooks and their rules),
:mod:`common.core.cli` (the ``common`` command), :mod:`common.core.validation`, :mod:`common.core.utils` and
:mod:`common.core.testing` (pytest fixtures).
"""

from common.core.commands import CliCommand
from common.core.hook_rules import Claim, HookRule, Shape
from common.core.lifecycle import App
from common.core.markers import hookimpl, hookspec
from common.core.plugins import Contribution, PluginListing, Plugins, PluginState
from common.core.settings import Secret, Section, Settings

__all__ = [
    "App",
    "Claim",
    "CliCommand",
    "Contribution",
    "HookRule",
    "PluginListing",
    "PluginState",
    "Plugins",
    "Secret",
    "Section",
    "Settings",
    "Shape",
    "hookimpl",
    "hookspec",
]
