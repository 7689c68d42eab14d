"""A crash at every step of emitting and relaying (D39): no event is lost, none is told without its commit."""

from contextlib import suppress
from typing import Any

import pytest

from common.dynamo import Database
from common.dynamo.exceptions import DynamoError
from common.dynamo.outbox import EmittedEvent
from common.dynamo.relay import OutboxRelay
from common.dynamo.testing import Crash, Fault, FaultPlan
from common.dynamo.testing.events import Postbox, Told
from common.dynamo.testing.examples import NOTE, Note

pytestmark = pytest.mark.thorough

FAULTS = [fault for fault in Fault if fault not in (Fault.HANG, Fault.TRUNCATE, Fault.UNPROCESSED)]
NAMES = ("a", "b", "c")
CALLS_OF_A_PASS = 8 + 2 * len(NAMES)


def drain(db: Database, box: Postbox) -> None:
    relay = OutboxRelay(db, box)
    while relay.run_once().published:
        pass


def commit(db: Database, name: str, number: int) -> None:
    with db.transaction() as tx:
        tx.create(db.dao(NOTE), Note(id=f"{name}{number}", text="x"))
        tx.emit(Told(about=name, number=number))


@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_is_told_if_and_only_if_its_note_is_there(faulty: Database, faults: FaultPlan, fault: Fault) -> None:
    """Whatever happens at the commit of one of three, with a commit of the same aggregate after it."""
    for number in range(3):
        if number == 1:
            faults.script(fault)
        with suppress(Crash, DynamoError):
            commit(faulty, "a", number)
    faults.heal()
    faults.settle()
    box = Postbox()
    drain(faulty, box)

    there = [number for number in range(3) if faulty.dao(NOTE).get(f"a{number}") is not None]
    assert there == sorted(box.numbers("a", repeats=True))
    assert {0, 2} <= set(there)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_call_of_the_relay_loses_nothing_and_keeps_the_order(
    faulty: Database, faults: FaultPlan, clock: Any, fault: Fault
) -> None:
    """Each call of a pass in turn: listing, claiming, acknowledging. The next relay goes on."""
    told = 0
    for position in range(CALLS_OF_A_PASS):
        for name in NAMES:
            for number in (told, told + 1):
                commit(faulty, name, number)
        told += 2
        faults.script(*[None] * position, fault)
        box = Postbox()
        with suppress(Crash, DynamoError):
            OutboxRelay(faulty, box).run_once()
        faults.heal()
        faults.settle()
        clock.now += 60
        drain(faulty, box)
        for name in NAMES:
            assert [told - 2, told - 1] == box.numbers(name), f"{fault} at call {position + 1}"
            assert len(box.numbers(name, repeats=True)) <= 4


@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("number", range(3))
def test_a_relay_that_dies_while_it_publishes_leaves_the_rest_to_the_next(
    faulty: Database, clock: Any, dies: str, number: int
) -> None:
    """Before the world has the event, or after it and before it was acknowledged: then it comes again."""
    for each in range(3):
        commit(faulty, "a", each)
    box = Postbox()

    def publish(event: EmittedEvent) -> None:
        mine = f'"number":{number}' in event.body
        if mine and dies == "before":
            raise Crash
        box(event)
        if mine:
            raise Crash

    with suppress(Crash):
        OutboxRelay(faulty, publish).run_once()
    clock.now += 60
    drain(faulty, box)

    assert [0, 1, 2] == box.numbers("a")
    assert 3 + number + (dies == "after") == len(box.events)
