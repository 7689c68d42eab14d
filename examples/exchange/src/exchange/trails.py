"""The audit trails of a run: what each service wrote, and what vouches for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

WITNESS = "witness"
"""The folder of what vouches for the trails. In earnest it is on another host, which no service can change."""


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
