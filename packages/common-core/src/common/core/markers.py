"""The pluggy markers of the family's one project."""

from pluggy import HookimplMarker, HookspecMarker

PROJECT = "common"

hookspec: HookspecMarker = HookspecMarker(PROJECT)
"""Marks a hook specification; for the family's own ``hookspecs`` modules."""
hookimpl: HookimplMarker = HookimplMarker(PROJECT)
"""Marks a hook implementation: ``from common.core import hookimpl``."""
