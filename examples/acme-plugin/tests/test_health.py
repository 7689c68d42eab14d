"""Acme's check of the disk that holds the audit trail."""

import time
from pathlib import Path

import pytest

from acme_plugin.health import MEGABYTE, FreeSpaceCheck, check_for
from common.core import Settings
from common.core.health import CheckContext, HealthCheck, Outcome, Status
from common.exceptions import ConfigurationError

LEAST = 100 * MEGABYTE


def look(check: FreeSpaceCheck) -> Outcome:
    """Run *check* once."""
    return check.check(CheckContext(deadline=time.monotonic() + 5))


@pytest.mark.parametrize(
    ("free", "status", "reason"),
    [
        (2 * LEAST, Status.PASS, ""),
        (2 * LEAST - 1, Status.WARN, "disk_nearly_full"),
        (LEAST, Status.WARN, "disk_nearly_full"),
        (LEAST - 1, Status.FAIL, "disk_full"),
        (0, Status.FAIL, "disk_full"),
    ],
)
def test_little_space_is_told_in_time(tmp_path: Path, free: int, status: Status, reason: str) -> None:
    """There is a warning before the check fails, and both show the free bytes."""
    outcome = look(FreeSpaceCheck(tmp_path, least_bytes=LEAST, free_bytes=lambda _: free))

    assert (status, reason, (float(free), "By")) == (outcome.status, outcome.reason, outcome.observed)


def test_the_real_disk_is_asked(tmp_path: Path) -> None:
    """Without a stand-in, the operating system answers; one byte is always free on a disk that runs tests."""
    check: HealthCheck = FreeSpaceCheck(tmp_path, least_bytes=1)
    outcome = look(FreeSpaceCheck(tmp_path, least_bytes=1))

    assert Status.PASS is outcome.status
    assert not check.spec.critical


def test_a_folder_that_is_not_there_yet_is_no_failure(tmp_path: Path) -> None:
    """Before the first record the disk of the nearest existing folder is looked at."""
    asked: list[Path] = []

    def free(folder: Path) -> int:
        asked.append(folder)
        return 2 * LEAST

    look(FreeSpaceCheck(tmp_path / "not" / "yet", least_bytes=LEAST, free_bytes=free))

    assert [tmp_path] == asked


def test_the_least_comes_from_the_settings(tmp_path: Path) -> None:
    """ACME_FREE_MB is counted in megabytes; more than any disk has makes the check fail."""
    settings = Settings.from_environment({"ACME_AUDIT_FILE": str(tmp_path / "a.jsonl"), "ACME_FREE_MB": "9" * 15})

    assert "disk_full" == look(check_for(settings)).reason


def test_a_least_that_is_no_number_is_refused() -> None:
    """The error names the variable."""
    with pytest.raises(ConfigurationError, match="ACME_FREE_MB"):
        check_for(Settings.from_environment({"ACME_FREE_MB": "plenty"}))
