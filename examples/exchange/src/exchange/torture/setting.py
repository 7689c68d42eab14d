"""The setting of a run: what all of its processes have to know, written into its folder before they start."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from common.dynamo import Database
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire.faults import FaultPlan
from exchange.storage import session_for

__all__ = ["ROUND_SECONDS", "Setting"]

ROUND_SECONDS = 3
"""Newcomers sign up with other names after so many seconds: names are never given out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One run. Processes read it from the folder; nothing in it changes."""

    folder: Path
    seed: int
    seconds: int
    processes: int
    threads: int
    endpoint: str | None = None
    """Of the fault proxy before a server; ``None`` for the embedded engine, whose calls follow a fault plan each."""
    wire: str = "auto"
    """How the server is reached."""
    table: str
    users: tuple[str, ...] = ()
    """Accounts to do business with."""
    bits: tuple[str, ...] = ()
    """Accounts whose trades have an amount of their own each."""

    def write(self) -> None:
        """Store it where :meth:`read` finds it."""
        facts = asdict(self) | {"folder": str(self.folder)}
        (self.folder / "setting.json").write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the setting of the run in *folder*."""
        facts = json.loads((folder / "setting.json").read_text(encoding="utf-8"))
        lists = {name: tuple(facts[name]) for name in ("users", "bits")}
        return cls(**facts | lists | {"folder": folder})

    def open(self, *, endpoint: str | None = None, faults: FaultPlan | None = None, **options: Any) -> Database:
        """Open the ledger's database.

        Args:
            endpoint: Instead of the setting's own, such as that of the server behind the proxy.
            faults: Of the embedded engine.
            options: As for ``Database``.
        """
        options = {"table": self.table, "entity_types": LEDGER_ENTITY_TYPES} | options
        if self.endpoint is None:
            return Database.embedded(self.folder / "ledger.db", faults=faults, stream=True, **options)
        url = endpoint or self.endpoint
        return Database.connect(session=session_for(url), endpoint_url=url, wire=self.wire, **options)

    def history(self, process: int, life: int) -> Path:
        """Return where process number *process* notes its history in its *life*, counted from 0."""
        return self.folder / f"history-{process}-{life}.jsonl"

    def histories(self, process: int | None = None) -> list[Path]:
        """Return the histories so far, of one process or of all."""
        number = "*" if process is None else process
        return sorted(self.folder.glob(f"history-{number}-*.jsonl"))

    @property
    def rounds(self) -> range:
        """The rounds of newcomers; their names begin with :meth:`newcomers`."""
        return range(self.seconds // ROUND_SECONDS + 1)

    def newcomers(self, elapsed: float) -> str:
        """Return how names of newcomers begin, *elapsed* seconds after the start."""
        return f"n{min(int(elapsed // ROUND_SECONDS), self.rounds[-1])}"


def kit(database: Database) -> LedgerKit:
    """Return the ledger in *database*, with its one asset."""
    ledger = LedgerKit(database)
    ledger.list_asset("BTC")
    return ledger
