"""A database file: durable, private, told from others, and never overwritten."""

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.dynamo.requests import CreateTable, DeleteTable, GetItem, ListTables, PutItem, Scan, TransactWriteItems
from common.dynamo.testing.values import N, S, definition, key
from common.dynamo.wire import NotSent
from common.dynamo.wire.embedded import EmbeddedWire, FileRefused
from common.dynamo.wire.embedded.file_format import APPLICATION_ID
from common.exceptions import ConfigurationError

TABLE = "orders-of-the-day"


def make(path: Path, **options: bool) -> EmbeddedWire:
    wire = EmbeddedWire(path, **options)
    wire.send(CreateTable(definition=definition(TABLE)), 5.0)
    return wire


def put(wire: EmbeddedWire, sort: str, number: int = 1, timeout: float = 5.0) -> int:
    return wire.send(PutItem(table=TABLE, item={**key("p", sort), "n": N(number)}), timeout).status


def count(wire: EmbeddedWire) -> int:
    return int(wire.send(Scan(table=TABLE), 5.0).body["Count"])


def test_a_file_is_there_again(tmp_path: Path) -> None:
    """Tables, items and indexes are found by the next one that opens the file."""
    first = make(tmp_path / "tables.db")
    put(first, "1", 7)
    first.close()

    second = EmbeddedWire(tmp_path / "tables.db")

    assert {"TableNames": [TABLE]} == second.send(ListTables(), 5.0).body
    assert N(7) == second.send(GetItem(table=TABLE, key=key("p", "1")), 5.0).body["Item"]["n"]
    second.close()


def test_a_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """It holds what the service holds, password hashes included."""
    path = tmp_path / "tables.db"
    wire = make(path)

    modes = {stat.S_IMODE(found.stat().st_mode) for found in tmp_path.iterdir()}

    assert {0o600} == modes
    wire.close()


WRITER = """
import sys
from common.dynamo.requests import CreateTable, PutItem, TransactWriteItems
from common.dynamo.testing.values import N, definition, key
from common.dynamo.wire.embedded import EmbeddedWire

wire = EmbeddedWire(sys.argv[1], fast=sys.argv[2] == "fast")
wire.send(CreateTable(definition=definition("orders-of-the-day")), 5.0)
number = 0
while True:
    number += 1
    parts = tuple(
        PutItem(table="orders-of-the-day", item={**key(name, str(number)), "n": N(number)}) for name in ("a", "b")
    )
    assert wire.send(TransactWriteItems(parts=parts), 5.0).status == 200
    print(number, flush=True)
"""


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_what_was_answered_survives_kill_9(tmp_path: Path, mode: str) -> None:
    """Every acknowledged transaction is there after the process died, and the one in flight is there whole or not at all."""
    path = tmp_path / "tables.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, path, mode], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(50)]
        finally:
            process.kill()
        lines += process.stdout.readlines()
    acknowledged = int(lines[-1])

    wire = EmbeddedWire(path)
    items = wire.send(Scan(table=TABLE), 5.0).body["Items"]
    found = {name: {int(item["n"]["N"]) for item in items if item["pk"] == S(name)} for name in ("a", "b")}

    assert found["a"] == found["b"]
    assert set(range(1, acknowledged + 1)) <= found["a"] <= set(range(1, acknowledged + 2))
    wire.close()


# Files that are not ours ----------------------------------------------------------------------------------------------


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.commit()
    connection.close()


def other_application(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id=4711")
    connection.commit()
    connection.close()


def newer_version(path: Path) -> None:
    make(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def damaged(path: Path) -> None:
    wire = make(path, fast=True)
    for number in range(200):
        put(wire, str(number))
    wire.close()
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    damaged(path)
    path.write_bytes(path.read_bytes()[:4096])


BROKEN: list[tuple[str, Callable[[Path], object]]] = [
    ("a text", lambda path: path.write_text("shopping list\n" * 100)),
    ("a short text", lambda path: path.write_text("x")),
    ("another database", foreign_database),
    ("another application's empty database", other_application),
    ("a newer version", newer_version),
    ("a damaged file", damaged),
    ("a file that is cut off", cut_off),
]


@pytest.mark.parametrize("prepare", [row[1] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, prepare: Callable[[Path], object]) -> None:
    """The error names the file and the next step; not one byte of the file changes."""
    path = tmp_path / "found.db"
    prepare(path)
    before = path.read_bytes()

    with pytest.raises(FileRefused, match=r"found\.db.*was not opened: .+\. \w.+\.") as refused:
        EmbeddedWire(path)

    assert isinstance(refused.value, ConfigurationError)
    assert before == path.read_bytes()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """Nothing is made on the way."""
    with pytest.raises(FileRefused, match="cannot be made"):
        EmbeddedWire(tmp_path / "no" / "tables.db")

    assert [] == list(tmp_path.iterdir())


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    """A temporary file that somebody made beforehand becomes a database."""
    path = tmp_path / "empty.db"
    path.touch()
    wire = make(path)

    assert 200 == put(wire, "1")
    wire.close()


def test_an_empty_file_of_the_first_version_is_upgraded_in_place(tmp_path: Path) -> None:
    """A database of an older version, here one without any table yet, is brought up to date when it is opened."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("VACUUM")
    connection.close()

    wire = make(path)

    assert 200 == put(wire, "1")
    wire.close()


# Processes and threads ------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], int]) -> int:
    """Return the exit code of *work* in a forked child."""
    process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(work()))
    process.start()
    process.join(30)
    return process.exitcode if process.exitcode is not None else -1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_wire_goes_on_in_parent_and_child_after_a_fork(tmp_path: Path) -> None:
    """Both write to the one file that was open before, and see what the other wrote."""
    wire = make(tmp_path / "tables.db")
    put(wire, "before")

    code = in_child(lambda: int(not (count(wire) == 1 and put(wire, "child") == 200)))
    put(wire, "parent")

    assert 0 == code
    assert 3 == count(wire)
    wire.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_workers_that_start_together_set_up_one_file(tmp_path: Path) -> None:
    """Of eight processes that open a new file at the same moment none is refused, and all write to the same table."""
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        path, gate = tmp_path / f"{attempt}.db", context.Barrier(8)

        def work(path: Path = path, gate: Any = gate) -> None:
            gate.wait()
            os._exit(0 if put(make(path, fast=True), str(os.getpid())) == 200 else 1)

        processes = [context.Process(target=work) for _ in range(8)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        wire = EmbeddedWire(path)

        assert [0] * 8 == [process.exitcode for process in processes]
        assert 8 == count(wire)
        wire.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_memory_does_not_pass_a_fork(tmp_path: Path) -> None:
    """A child would write to a copy that nobody else sees; it is told so."""
    wire = EmbeddedWire()
    wire.send(CreateTable(definition=definition(TABLE)), 5.0)

    def work() -> int:
        try:
            put(wire, "child")
        except ConfigurationError as error:
            return 0 if "Database.embedded(path)" in str(error) else 1
        return 2

    assert 0 == in_child(work)
    assert 200 == put(wire, "parent")
    wire.close()


def test_two_memories_share_nothing() -> None:
    """Each wire without a file is a database of its own."""
    one, other = EmbeddedWire(), EmbeddedWire()
    one.send(CreateTable(definition=definition(TABLE)), 5.0)

    assert {"TableNames": []} == other.send(ListTables(), 5.0).body
    one.close()
    other.close()


def test_a_closed_wire_says_so(tmp_path: Path) -> None:
    """It is no answer that the engine gives."""
    wire = make(tmp_path / "tables.db")
    wire.close()

    with pytest.raises(ConfigurationError, match="closed"):
        put(wire, "1")


def test_a_table_that_another_process_remade_is_found(tmp_path: Path) -> None:
    """What one wire knows of a table does not outlive the table."""
    one = make(tmp_path / "tables.db")
    put(one, "1")
    other = EmbeddedWire(tmp_path / "tables.db")
    other.send(DeleteTable(table=TABLE), 5.0)

    assert 400 == put(one, "2")
    other.send(CreateTable(definition=definition(TABLE)), 5.0)
    assert 200 == put(one, "3")
    assert 1 == count(one)
    one.close()
    other.close()


def test_a_writer_in_the_way_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    """Then the write is certainly not applied; a reader does not wait at all."""
    waited: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    make(tmp_path / "tables.db").close()
    wire = EmbeddedWire(tmp_path / "tables.db", sleep=sleep, timer=lambda: now[0], random=lambda: 0.5)
    rival = sqlite3.connect(tmp_path / "tables.db", isolation_level=None)
    rival.execute("BEGIN IMMEDIATE")

    assert 0 == count(wire)
    with pytest.raises(NotSent):
        put(wire, "1", timeout=0.25)
    rival.execute("ROLLBACK")
    rival.close()

    assert pytest.approx(0.25) == sum(waited)
    assert 200 == put(wire, "1")
    wire.close()


def test_a_transaction_is_never_seen_in_part(tmp_path: Path) -> None:
    """A write that fails half way, here for lack of room, leaves nothing behind."""
    wire = make(tmp_path / "tables.db")
    put(wire, "1")
    connection = sqlite3.connect(tmp_path / "tables.db")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    wire.send(ListTables(), 5.0)
    handle = wire._wire._storage._local.handle.connection  # type: ignore[attr-defined]
    handle.execute(f"PRAGMA max_page_count={pages + 2}")
    parts = tuple(PutItem(table=TABLE, item={**key("p", f"big{number}"), "v": S("x" * 3000)}) for number in range(9))

    with pytest.raises(NotSent):
        wire.send(TransactWriteItems(parts=parts), 5.0)

    assert 1 == count(wire)
    wire.close()


@pytest.mark.parametrize("named", ["a folder", "nul\0inside"])
def test_what_cannot_be_a_file_is_refused_by_name(named: str, tmp_path: Path) -> None:
    """A folder, or a text that is no path, is refused with the next step, by an error of ours."""
    (tmp_path / "a folder").mkdir()

    with pytest.raises(FileRefused, match=r"Name a file\."):
        EmbeddedWire(str(tmp_path / named))
