"""Threads and processes on one engine: nothing lost, nothing torn."""

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.dynamo.requests import (
    Compare,
    CreateTable,
    GetItem,
    PutItem,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.values import N, const, definition, key, path
from common.dynamo.wire import Wire
from common.dynamo.wire.embedded import EmbeddedWire

pytestmark = pytest.mark.thorough

TABLE = "bank-of-the-family"
ACCOUNTS = 6
START = 100
TIMEOUT = 30.0


def open_bank(wire: Wire, table: str) -> None:
    assert wire.send(CreateTable(definition=definition(table)), TIMEOUT).status == 200
    for account in range(ACCOUNTS):
        wire.send(PutItem(table=table, item={**key(f"a{account}", "1"), "cash": N(START)}), TIMEOUT)


def move(wire: Wire, table: str, source: int, target: int, amount: int) -> bool:
    """Move money if there is enough; return whether it was."""

    def part(account: int, change: int, condition: Any = None) -> UpdateItem:
        update = Update(add=((path("cash"), const(N(change))),))
        return UpdateItem(table=table, key=key(f"a{account}", "1"), update=update, condition=condition)

    enough = Compare(">=", path("cash"), const(N(amount)))
    answer = wire.send(TransactWriteItems(parts=(part(source, -amount, enough), part(target, amount))), TIMEOUT)
    assert answer.status == 200 or answer.body["__type"] == "TransactionCanceledException"
    return answer.status == 200


def balances(wire: Wire, table: str) -> list[int]:
    parts = tuple(GetItem(table=table, key=key(f"a{account}", "1")) for account in range(ACCOUNTS))
    responses = wire.send(TransactGetItems(parts=parts), TIMEOUT).body["Responses"]
    return [int(each["Item"]["cash"]["N"]) for each in responses]


def trade(wire: Wire, table: str, seed: int, rounds: int) -> int:
    """Move money at random, and look at all of it after each move; return the moves that were done."""
    chance = random.Random(seed)
    done = 0
    for _ in range(rounds):
        source, target = chance.sample(range(ACCOUNTS), 2)
        done += move(wire, table, source, target, chance.randint(1, 60))
        seen = balances(wire, table)
        assert sum(seen) == ACCOUNTS * START, "a torn read, or money lost"
        assert min(seen) >= 0
    return done


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = []

    def run(number: int) -> None:
        try:
            results.append(work(number))
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("place", ["memory", "file"])
def test_a_bank_of_8_threads_keeps_its_money(tmp_path: Path, place: str) -> None:
    """Every read of all accounts sees every move whole, and the sum never changes."""
    wire = EmbeddedWire(None if place == "memory" else tmp_path / "bank.db", fast=True)
    open_bank(wire, TABLE)

    results = in_threads(8, lambda number: trade(wire, TABLE, number, 100))

    assert [] == [result for result in results if isinstance(result, BaseException)]
    assert sum(results) > 100
    assert ACCOUNTS * START == sum(balances(wire, TABLE))
    wire.close()


def bank_process(path: str, seed: int) -> None:
    wire = EmbeddedWire(path, fast=True)
    trade(wire, TABLE, seed, 40)
    wire.close()


def test_a_bank_of_4_processes_keeps_its_money(tmp_path: Path) -> None:
    """The same holds for processes that share nothing but the file."""
    path = tmp_path / "bank.db"
    wire = EmbeddedWire(path, fast=True)
    open_bank(wire, TABLE)
    script = "import runpy, sys; runpy.run_path(sys.argv[1])['bank_process'](sys.argv[2], int(sys.argv[3]))"
    processes = [subprocess.Popen([sys.executable, "-c", script, __file__, path, str(seed)]) for seed in range(4)]

    assert [0] * 4 == [process.wait() for process in processes]
    assert ACCOUNTS * START == sum(balances(wire, TABLE))
    wire.close()


def test_counters_of_many_threads_miss_nothing(bench: Any) -> None:
    """ADD is atomic on every wire."""
    increment = Update(add=((path("n"), const(N(1))),))

    in_threads(8, lambda _: [bench.update(increment) for _ in range(50)])

    assert {"n": N(400)} == bench.get()


def test_only_one_of_many_creates(bench: Any) -> None:
    """Of eight threads that put one new item on the condition that it is new, one succeeds."""
    from common.dynamo.requests import NotExists

    for item in range(20):
        statuses = in_threads(
            8, lambda number, sort=str(item): bench.put("p", sort, NotExists(path("pk")), by=N(number)).status
        )

        assert [200, *[400] * 7] == sorted(statuses)
