"""A ledger that is wrong in one way fails the bank within three runs: the checker can see (ledger R16).

Each mutant takes one safeguard away, in the code or on its way to the engine; the bank has to report violations. What is
judged here is the checker, so it always runs in process; the ledger itself is judged on the engine of the run.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from common.core.utils import UlidGenerator
from common.dynamo.dao import instruction, registration, submission
from common.dynamo.dao.order_steps import Step
from common.dynamo.dao.postings import Posting
from common.dynamo.dao.refunds import Refund
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
from common.dynamo.testing import CHECKER_RATES, FaultPlan, FaultyWire
from common.dynamo.testing.bank import Bank
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.embedded import EmbeddedWire

pytestmark = pytest.mark.thorough

RATES = replace(CHECKER_RATES, late=0.10, drop_after=0.08, duplicate=0.08)
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


def take_without_asking(patch: pytest.MonkeyPatch) -> None:
    """No balance condition: what is subtracted need not be there."""
    patch.setattr(Posting, "taken", property(lambda self: {}))


def write_over(patch: pytest.MonkeyPatch) -> None:
    """No idempotency: the entry is put whether or not the id is taken."""
    patch.setattr(submission, "_ABSENT", None)


def call_repeats_failures(patch: pytest.MonkeyPatch) -> None:
    """A replay is reported as a failure."""

    def refuse(*_: object) -> None:
        raise RequestIdReused

    patch.setattr(submission, "_replay", refuse)


def step_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    """An unconditioned transition: the order's status is not asked."""
    patch.setattr(Step, "_comes_from_source", property(lambda self: Exists(PARTITION_PATH)))


def key_by_time(patch: pytest.MonkeyPatch) -> None:
    """The journal is keyed by the time of the attempt instead of the caller's id."""
    new_id = UlidGenerator()
    patch.setattr(instruction, "sortable_request_id", lambda request_id: new_id())


def forget_refusals(patch: pytest.MonkeyPatch) -> None:
    """No tombstone: a refusal is told and not written down."""

    def tell(op: object, refused_submission: object, refused: Any, **_: object) -> None:
        raise refused.error

    patch.setattr(submission, "refuse", tell)


def nothing(patch: pytest.MonkeyPatch) -> None:
    """The code as it is; the mutation is on the wire."""


def refund_without_end(patch: pytest.MonkeyPatch) -> None:
    """No bound of refunds: each is compared with the order's total, and not with what was refunded before."""
    patch.setattr(Refund, "_leaves_enough", property(lambda self: Exists(PARTITION_PATH)))


def take_addresses(patch: pytest.MonkeyPatch) -> None:
    """The lock on an address is put whoever has it."""
    patch.setattr(registration, "claim", lambda table, item: PutItem(table=table, item=item))


Mutate = Callable[[pytest.MonkeyPatch], None]
WireOf = Callable[[Wire, FaultPlan], FaultyWire]
Workload = Callable[[Bank], list[str]]

MUTANTS: dict[str, tuple[Mutate, WireOf, Workload]] = {
    "no balance condition": (take_without_asking, plain, Bank.run),
    "no idempotency": (write_over, plain, Bank.run),
    "two writes": (nothing, InPieces, Bank.run),
    "replay reported as failure": (call_repeats_failures, plain, Bank.run),
    "read-modify-write": (nothing, ReadModifyWrite, Bank.run),
    "unconditioned transition": (step_from_anywhere, plain, Bank.run),
    "timestamp key": (key_by_time, plain, Bank.run),
    "no tombstone": (forget_refusals, plain, Bank.run),
    "eventual account read": (nothing, EventualRead, Bank.run_bits),
    "account in two reads": (nothing, TwoReads, Bank.run_bits),
    "no bound of refunds": (refund_without_end, plain, Bank.run),
    "names and addresses are overwritten": (take_addresses, plain, Bank.run_registrations),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bank_catches(mutant: str, ledger_on: Callable[..., LedgerKit], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within three runs some account, journal or answer is wrong, and the bank says so."""
    mutate, wire_of, run = MUTANTS[mutant]
    for seed in (1, 2, 3):
        plan = FaultPlan(seed)
        ledger = ledger_on(wire_of(EmbeddedWire(), plan))
        with monkeypatch.context() as patch:
            bank = Bank(ledger, plan, seed=seed, operations=240, rates=RATES)
            bank.prepare()
            mutate(patch)
            violations = run(bank)
        ledger.db.close()
        if violations:
            return
    pytest.fail(f"three runs did not notice: {mutant}")
