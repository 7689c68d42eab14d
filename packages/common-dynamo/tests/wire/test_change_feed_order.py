"""The change feed under threads, processes and death: in order, without gap, in step with the table."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.dynamo import Database
from common.dynamo.requests import Scan
from common.dynamo.testing.examples import COUNTER, Counter
from common.dynamo.testing.streams import Record, feed_records
from common.dynamo.wire.embedded import EmbeddedWire


def chains(records: Sequence[Record]) -> dict[str, list[int]]:
    """Return the numbers that each item went through, after checking that each image is the one before the next."""
    last: dict[str, Any] = {}
    numbers: dict[str, list[int]] = {}
    for record in records:
        change = record["dynamodb"]
        name = change["Keys"]["pk"]["S"]
        assert last.get(name) == change.get("OldImage")
        last[name] = change["NewImage"]
        numbers.setdefault(name, []).append(int(change["NewImage"]["hits"]["N"]))
    return numbers


def test_threads_keep_each_items_changes_in_order(tmp_path: Path) -> None:
    """Each record begins with what the one before it on the same item has left."""
    with Database.embedded(tmp_path / "a.db", entity_types=[COUNTER], stream=True, fast=True) as database:
        counters = database.dao(COUNTER)
        for name in ("left", "right"):
            counters.create(Counter(name=name))

        def count(number: int) -> None:
            for _ in range(10):
                counters.update(("left", "right")[number % 2], lambda change, it: change.add(it.hits, 1), deadline=30.0)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(4)))

        assert {name: list(range(21)) for name in ("CNT#left", "CNT#right")} == chains(feed_records(database))


def test_switching_on_misses_nothing_that_follows(tmp_path: Path) -> None:
    """Others count while the table is told to keep its changes: from the first record on, none is missing."""
    file = tmp_path / "a.db"
    with Database.embedded(file, entity_types=[COUNTER], fast=True) as database:
        counters = database.dao(COUNTER)
        counters.create(Counter(name="visits"))
        begun = threading.Event()

        def count() -> None:
            for _ in range(40):
                counters.update("visits", lambda change, it: change.add(it.hits, 1), deadline=30.0)
                begun.set()

        with ThreadPoolExecutor(2) as pool:
            counting = [pool.submit(count) for _ in range(2)]
            begun.wait(30.0)
            with Database.embedded(file, entity_types=[COUNTER], stream=True, fast=True) as other:
                other.dao(COUNTER).update("visits", lambda change, it: change.add(it.hits, 1), deadline=30.0)
            for each in counting:
                each.result()
        records = feed_records(database)

    hits = [int(record["dynamodb"]["NewImage"]["hits"]["N"]) for record in records]
    assert list(range(hits[0], 82)) == hits


COUNTING = """
import sys
from common.dynamo import Database
from common.dynamo.testing.examples import COUNTER

with Database.embedded(sys.argv[1], entity_types=[COUNTER], stream=True, fast=True) as database:
    counters = database.dao(COUNTER)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(20):
        counters.update("visits", lambda change, it: change.add(it.hits, 1), deadline=30.0)
"""


@pytest.mark.thorough
def test_processes_share_one_feed(tmp_path: Path) -> None:
    """Three processes count one item up; their records are one sequence without gap or repeat."""
    file = tmp_path / "a.db"
    with Database.embedded(file, entity_types=[COUNTER], stream=True) as database:
        database.dao(COUNTER).create(Counter(name="visits"))
        command = [sys.executable, "-c", COUNTING, str(file)]
        started = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.communicate("go\n")

        assert [0, 0, 0] == [process.returncode for process in started]
        assert {"CNT#visits": list(range(61))} == chains(feed_records(database))


WRITING = """
import sys
from common.dynamo import Database, Pattern
from common.dynamo.requests import PutItem, TransactWriteItems
from common.dynamo.testing.values import N, key

write = Pattern("Test.write", "PutItem")
with Database.embedded(sys.argv[1], stream=True) as database:
    number = 0
    while True:
        number += 1
        parts = tuple(PutItem(table="app", item={**key(name, str(number % 7)), "n": N(number)}) for name in ("a", "b"))
        database.execute(TransactWriteItems(parts=parts), write)
        print(number, flush=True)
"""


@pytest.mark.thorough
def test_after_kill_9_feed_and_table_are_in_step(tmp_path: Path) -> None:
    """What the records tell, in order, is exactly what the table holds, up to the last answered write at least."""
    file = tmp_path / "a.db"
    command = [sys.executable, "-c", WRITING, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(30)]
        finally:
            process.kill()
        lines += process.stdout.readlines()
    acknowledged = int(lines[-1])

    with Database.embedded(file, stream=True) as database:
        replayed: dict[str, Any] = {}
        for record in feed_records(database):
            replayed[repr(record["dynamodb"]["Keys"])] = record["dynamodb"]["NewImage"]
        stored = scan(file)

    assert sorted(map(repr, replayed.values())) == sorted(map(repr, stored))
    numbers = [int(item["n"]["N"]) for item in stored]
    assert acknowledged <= max(numbers) <= acknowledged + 1
    assert 2 == numbers.count(max(numbers))


def scan(file: Path) -> list[Any]:
    wire = EmbeddedWire(file)
    try:
        return list(wire.send(Scan(table="app"), 5.0).body["Items"])
    finally:
        wire.close()
