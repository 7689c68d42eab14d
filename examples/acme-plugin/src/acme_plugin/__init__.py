"""Acme's plugin for services of the common family: audit trail in a file, disk check, invoices.

A service installs this distribution and does nothing else; the entry point names :mod:`acme_plugin.plugin`.
"""

from acme_plugin.audit import FileSink, RecentSink
from acme_plugin.health import FreeSpaceCheck

__all__ = ["FileSink", "FreeSpaceCheck", "RecentSink"]
