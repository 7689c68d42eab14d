"""The audit trails of a run: what each service wrote, what vouches for it, and whether somebody has changed it."""

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from common.core import cli

WITNESS = "witness"
"""The folder of what vouches for the trails. In earnest it is on another host, which no service can change."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``common audit verify`` has found."""

    code: int
    """Its exit code: 0 intact, 1 tampered, 2 incomplete."""
    word: str
    records: int
    anchors: int
    first_bad: int
    """Place in its stream of the first line that is wrong; 0 where none is."""


@dataclass(frozen=True, slots=True)
class Trail:
    """One service's audit trail."""

    service: str
    records: Path
    """JSON lines, each of which names the hash of the one before."""
    anchors: Path
    """Signed statements of how far it had come."""
    key: Path
    """The public key of these, pinned before the service began."""

    @classmethod
    def of(cls, folder: Path, service: str) -> Self:
        """Return the trail of *service* in the run that is kept in *folder*."""
        witness = folder / WITNESS
        return cls(
            service,
            folder / f"{service}.audit.jsonl",
            witness / f"{service}.anchors.jsonl",
            witness / f"{service}.pem",
        )

    def variables(self) -> Mapping[str, str]:
        """Return the settings that name the three files, for the service and for ``common audit``."""
        return {
            "COMMON_AUTH_AUDIT_FILE": str(self.records),
            "COMMON_AUTH_AUDIT_ANCHOR_FILE": str(self.anchors),
            "COMMON_AUTH_AUDIT_ANCHOR_KEYS": str(self.key),
        }

    def verify(self, records: Path | None = None) -> Verdict:
        """Run ``common audit verify`` on the trail, or on *records* in its place.

        A service may have several sinks; this trail is what the sink ``file`` got.
        """
        words = [
            "audit",
            "verify",
            *(() if records is None else (str(records),)),
            "--sink",
            "file",
            "--ended",
            "--json",
        ]
        printed = io.StringIO()
        with redirect_stdout(printed):
            code = cli.main(words, environ=self.variables())
        report: Mapping[str, Any] = json.loads(printed.getvalue())[0]
        first_bad = next((problem["seq"] for problem in report["problems"]), 0)
        return Verdict(code, report["verdict"], report["records"], report["anchors"], first_bad)
