"""Whether there is room for the audit trail."""

import shutil
from collections.abc import Callable
from pathlib import Path

from acme_plugin.audit import audit_file
from common.core import Settings
from common.core.health import CheckContext, CheckSpec, Outcome, Status

MEGABYTE = 1_000_000


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def check_for(settings: Settings) -> "FreeSpaceCheck":
    """Return the check of the audit file's folder, or of the working folder where there is no file.

    ``ACME_FREE_MB`` is the least free space in megabytes (10**6 bytes); 100 by default.

    Raises:
        ConfigurationError: ``ACME_FREE_MB`` is not a whole number above zero.
    """
    path = audit_file(settings)
    least = settings.section("ACME_").integer("FREE_MB", 100, minimum=1)
    return FreeSpaceCheck(path.parent if path is not None else Path(), least_bytes=least * MEGABYTE)


class FreeSpaceCheck:
    """PASS while there is plenty of free space, WARN below twice the least, FAIL below the least."""

    def __init__(self, folder: Path, *, least_bytes: int, free_bytes: Callable[[Path], int] = _free_bytes) -> None:
        """Watch the disk of *folder*, which need not exist yet.

        Args:
            folder: Where the audit file is or will be.
            least_bytes: Free bytes below which the check fails.
            free_bytes: Asks the operating system.
        """
        self._folder = folder
        self._least = least_bytes
        self._free_bytes = free_bytes
        self.spec = CheckSpec("acme-audit-disk", critical=False, component_type="system", ttl=30.0)

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Look at the disk once; the observed value is the free space in bytes (UCUM ``By``)."""
        folder = self._folder.absolute()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        free = self._free_bytes(folder)
        observed = (float(free), "By")
        if free < self._least:
            return Outcome(Status.FAIL, "disk_full", observed, {"least_bytes": self._least})
        if free < 2 * self._least:
            return Outcome(Status.WARN, "disk_nearly_full", observed, {"least_bytes": self._least})
        return Outcome(observed=observed)
