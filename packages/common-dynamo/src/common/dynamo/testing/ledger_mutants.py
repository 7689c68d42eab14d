"""Ledgers that are wrong in one way each: what a checker has to notice before its silence means anything (ledger R16).

Each mutant takes one safeguard away, in the code or on its way to the engine; within three short runs the bank has to report
violations. What is judged here is the checker, so it always runs in process.

>>> is_caught(next(mutant for mutant in MUTANTS if mutant.name == "no balance condition"))
True
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias
from unittest import mock

from common.core.utils import UlidGenerator
from common.dynamo.dao import instruction, registration, submission
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.dao.order_steps import Step
from common.dynamo.dao.postings import Posting
from common.dynamo.dao.refunds import Refund
from common.dynamo.database import Database
from common.dynamo.exceptions import RequestIdReused
from common.dynamo.layout import PARTITION_PATH
from common.dynamo.requests import (
    Constant,
    Exists,
    GetItem,
    PutItem,
    Request,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.bank import Bank
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.embedded import EmbeddedWire
from common.dynamo.wire.faults import CHECKER_RATES, FaultPlan
from common.dynamo.wire.faulty import FaultyWire

__all__ = ["MUTANTS", "Mutant", "is_caught"]

Patch: TypeAlias = Callable[[Any, str, Any], None]
"""Replaces an attribute of an object until the run is over."""

RATES: Final = replace(CHECKER_RATES, late=0.10, drop_after=0.08, duplicate=0.08)
"""A very bad day, so that three short runs meet what a mutant is blind to."""


class InPieces(FaultyWire):
    """Two writes instead of one: each part of a transaction goes out by itself, and the process may die in between."""

    def send(self, request: Request, timeout: float) -> Answer:
        """Send the parts one after the other, until one is refused."""
        if not isinstance(request, TransactWriteItems):
            return super().send(request, timeout)
        answer = Answer(200, {})
        for position, part in enumerate(request.parts):
            answer = super().send(part, timeout)  # type: ignore[arg-type]
            if answer.status != 200:
                return _as_cancelled(answer, position, len(request.parts))
        return Answer(200, {})


def _as_cancelled(answer: Answer, position: int, parts: int) -> Answer:
    if answer.body.get("__type") != "ConditionalCheckFailedException":
        return answer
    reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in range(parts)]
    reasons[position] = {"Code": "ConditionalCheckFailed", "Item": answer.body.get("Item")}
    return Answer(400, {"__type": "TransactionCanceledException", "CancellationReasons": reasons})


class ReadModifyWrite(FaultyWire):
    """Amounts are read, added up here, and written as absolute numbers."""

    def send(self, request: Request, timeout: float) -> Answer:
        """Replace every ADD on an account by a SET of what was read plus the amount."""
        if isinstance(request, TransactWriteItems):
            parts = tuple(self._absolute(part, timeout) for part in request.parts)
            request = replace(request, parts=parts, token=None)
        return super().send(request, timeout)

    def _absolute(self, part: Any, timeout: float) -> Any:
        if not isinstance(part, UpdateItem) or part.key["sk"] != {"S": "ACCT"}:
            return part
        read = self._wire.send(GetItem(table=part.table, key=part.key, consistent=True), timeout)
        item = read.body.get("Item", {})
        sums = tuple(
            (path, Constant({"N": str(Decimal(item.get(path.parts[0], {}).get("N", "0")) + Decimal(added.value["N"]))}))
            for path, added in part.update.add
        )
        return replace(part, update=Update(set=(*part.update.set, *sums)))


class EventualRead(FaultyWire):
    """Accounts are read as they may have been a moment ago."""

    def send(self, request: Request, timeout: float) -> Answer:
        """Ask for no more than an eventual read."""
        if isinstance(request, GetItem) and request.key["sk"] == {"S": "ACCT"}:
            request = replace(request, consistent=False)
        return super().send(request, timeout)


class TwoReads(FaultyWire):
    """An account is put together from two reads: cash of one moment, assets of another."""

    def send(self, request: Request, timeout: float) -> Answer:
        """Read twice, and take the cash from the first answer."""
        answer = super().send(request, timeout)
        if not isinstance(request, GetItem) or request.key["sk"] != {"S": "ACCT"} or "Item" not in answer.body:
            return answer
        time.sleep(0.002)
        later = super().send(request, timeout)
        if "Item" not in later.body:
            return later
        mixed = {**later.body["Item"], **{name: answer.body["Item"][name] for name in ("cash", "held")}}
        return replace(later, body={**later.body, "Item": mixed})


def plain(wire: Wire, plan: FaultPlan) -> FaultyWire:
    """The wire as it is."""
    return FaultyWire(wire, plan)


def take_without_asking(patch: Patch) -> None:
    """No balance condition: what is subtracted need not be there."""
    patch(Posting, "taken", property(lambda self: {}))


def write_over(patch: Patch) -> None:
    """No idempotency: the entry is put whether or not the id is taken."""
    patch(submission, "_ABSENT", None)


def call_repeats_failures(patch: Patch) -> None:
    """A replay is reported as a failure."""

    def refuse(*_: object) -> None:
        raise RequestIdReused

    patch(submission, "_replay", refuse)


def step_from_anywhere(patch: Patch) -> None:
    """An unconditioned transition: the order's status is not asked."""
    patch(Step, "_comes_from_source", property(lambda self: Exists(PARTITION_PATH)))


def key_by_time(patch: Patch) -> None:
    """The journal is keyed by the time of the attempt instead of the caller's id."""
    new_id = UlidGenerator()
    patch(instruction, "sortable_request_id", lambda request_id: new_id())


def forget_refusals(patch: Patch) -> None:
    """No tombstone: a refusal is told and not written down."""

    def tell(op: object, refused_submission: object, refused: Any, **_: object) -> None:
        raise refused.error

    patch(submission, "refuse", tell)


def nothing(patch: Patch) -> None:
    """The code as it is; the mutation is on the wire."""


def refund_without_end(patch: Patch) -> None:
    """No bound of refunds: each is compared with the order's total, and not with what was refunded before."""
    patch(Refund, "_leaves_enough", property(lambda self: Exists(PARTITION_PATH)))


def take_addresses(patch: Patch) -> None:
    """The lock on an address is put whoever has it."""
    patch(registration, "claim", lambda table, item: PutItem(table=table, item=item))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to be wrong."""

    name: str
    mutate: Callable[[Patch], None]
    """Takes the safeguard away in the code."""
    wire_of: Callable[[Wire, FaultPlan], FaultyWire]
    """Takes it away on the way to the engine."""
    run: Callable[[Bank], list[str]]
    """The workload that has to notice."""


MUTANTS: Final = (
    Mutant("no balance condition", take_without_asking, plain, Bank.run),
    Mutant("no idempotency", write_over, plain, Bank.run),
    Mutant("two writes", nothing, InPieces, Bank.run),
    Mutant("replay reported as failure", call_repeats_failures, plain, Bank.run),
    Mutant("read-modify-write", nothing, ReadModifyWrite, Bank.run),
    Mutant("unconditioned transition", step_from_anywhere, plain, Bank.run),
    Mutant("timestamp key", key_by_time, plain, Bank.run),
    Mutant("no tombstone", forget_refusals, plain, Bank.run),
    Mutant("eventual account read", nothing, EventualRead, Bank.run_bits),
    Mutant("account in two reads", nothing, TwoReads, Bank.run_bits),
    Mutant("no bound of refunds", refund_without_end, plain, Bank.run),
    Mutant("names and addresses are overwritten", take_addresses, plain, Bank.run_registrations),
)
"""Each with the workload that has to notice it."""


def is_caught(mutant: Mutant, seeds: Sequence[int] = (1, 2, 3)) -> bool:
    """Tell whether one of a few short runs of *mutant* reports a violation."""
    return any(_violations(mutant, seed) for seed in seeds)


def _violations(mutant: Mutant, seed: int) -> list[str]:
    plan = FaultPlan(seed)
    wire = mutant.wire_of(EmbeddedWire(), plan)
    with Database.connect(wire=wire, entity_types=LEDGER_ENTITY_TYPES) as database, ExitStack() as stack:
        database.create_tables()
        ledger = LedgerKit(database)
        ledger.list_asset("BTC")
        bank = Bank(ledger, plan, seed=seed, operations=240, rates=RATES)
        bank.prepare()
        mutant.mutate(lambda owner, name, value: stack.enter_context(mock.patch.object(owner, name, value)))
        return mutant.run(bank)
