"""One run: an engine, accounts, processes on a bad day, and the verdict."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.dynamo import Database
from common.dynamo.testing.audit import entry_ids
from common.dynamo.testing.bank import open_branch
from common.dynamo.testing.bits import open_bits
from common.dynamo.testing.proxy import FaultProxy
from common.dynamo.testing.server import Dynoxide, find_dynoxide
from common.dynamo.testing.streams import feed_records, stream_records
from common.dynamo.wire.faults import CHECKER_RATES, FaultPlan
from common.exceptions import ConfigurationError
from exchange.storage import session_for
from exchange.torture.crew import Crew, Progress
from exchange.torture.setting import Setting, kit
from exchange.torture.verdict import Verdict, judge

__all__ = ["Outcome", "TortureOptions", "torture"]

_BITS_PER_SECOND: Final = 1
"""Accounts for trades of an amount of their own; one takes 88 trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TortureOptions:
    """What the command line says."""

    engine: str = "embedded"
    """``embedded``, ``dynoxide``, or the URL of a server."""
    wire: str = "auto"
    """How a server is reached: ``auto``, ``boto`` or ``direct``."""
    seed: int = 1
    seconds: int = 20
    processes: int = 3
    threads: int = 4

    @property
    def place(self) -> str:
        """The engine, and the wire where it was chosen."""
        return self.engine if self.wire == "auto" or self.engine == "embedded" else f"{self.engine} ({self.wire} wire)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is over."""

    options: TortureOptions
    progress: Progress
    verdict: Verdict
    seconds: float
    """All of it: opening, business, checking."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a run takes place."""

    endpoint: str | None
    """Of the proxy; ``None`` for the embedded engine."""
    upstream: str | None
    """Of the server itself."""
    proxy: FaultProxy | None

    def changes(self, database: Database, table: str) -> Iterable[Mapping[str, Any]]:
        """Return all records of the stream of *table*."""
        if self.upstream is None:
            return feed_records(database)
        client = session_for(self.upstream).client("dynamodbstreams", endpoint_url=self.upstream)  # type: ignore[union-attr]
        return stream_records(client, table)


@contextmanager
def stage_of(engine: str, seed: int) -> Iterator[Stage]:
    """Start what *engine* needs, with a fault proxy before a server; stop it in the end.

    Raises:
        ConfigurationError: The server's binary is not here.
    """
    if engine == "embedded":
        yield Stage(None, None, None)
        return
    with ExitStack() as stack:
        upstream = engine
        if engine == "dynoxide":
            binary = find_dynoxide([Path.cwd()])
            if binary is None:
                raise ConfigurationError(
                    "The dynoxide binary was not found. Install it with `npm ci --ignore-scripts --prefix tools/engine`, name it "
                    "in COMMON_TEST_DYNOXIDE, or use --engine embedded."
                )
            upstream = stack.enter_context(Dynoxide(binary)).endpoint_url
        proxy = stack.enter_context(FaultProxy(upstream, FaultPlan(seed)))
        yield Stage(proxy.endpoint_url, upstream, proxy)


def torture(options: TortureOptions, folder: Path, watch: Callable[[str, float, Progress], None]) -> Outcome:
    """Run in *folder*, telling *watch* how it goes: what is done, seconds of business so far, figures."""
    started = time.monotonic()
    with stage_of(options.engine, options.seed) as stage:
        setting = Setting(
            folder=folder,
            seed=options.seed,
            seconds=options.seconds,
            processes=options.processes,
            threads=options.threads,
            endpoint=stage.endpoint,
            wire=options.wire,
            table=f"exchange-torture-{options.seed}",
        )
        watch("opening accounts", 0.0, Progress())
        setting, opening = _open(setting, stage)
        with Crew(setting) as crew:
            if stage.proxy is not None:
                stage.proxy.plan.rates = CHECKER_RATES
            crew.work(lambda elapsed, progress: watch("business on a bad day", elapsed, _with(progress, stage)))
        if stage.proxy is not None:
            stage.proxy.plan.heal()
            stage.proxy.settle()
        watch("checking everything", float(options.seconds), crew.progress)
        with setting.open(endpoint=stage.upstream, deadline=60.0) as database:
            verdict = judge(setting, database, opening, lambda: stage.changes(database, setting.table))
    return Outcome(options, crew.progress, verdict, time.monotonic() - started)


def _open(setting: Setting, stage: Stage) -> tuple[Setting, frozenset[str]]:
    with setting.open(endpoint=stage.upstream) as database:
        if stage.upstream is not None:
            database.create_tables(stream=True)
        ledger = kit(database)
        users, opening = open_branch(ledger)
        bits = tuple(open_bits(ledger, f"bits-{number}") for number in range(2 + setting.seconds * _BITS_PER_SECOND))
        opening |= frozenset().union(*(entry_ids(ledger, user) for user in bits))
    setting = replace(setting, users=users, bits=bits)
    setting.write()
    return setting, opening


def _with(progress: Progress, stage: Stage) -> Progress:
    """Add what the proxy has injected, where the faults are there and not in the processes."""
    if stage.proxy is not None:
        faults = dict(stage.proxy.plan.injected)
        progress.lives[-1, 0] = {"served": {}, "told": {}, "faults": faults, "violations": 0}
    return progress
