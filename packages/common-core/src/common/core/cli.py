"""The ``common`` command."""

from common.core.commands import CliCommand

__all__ = ["CliCommand"]
