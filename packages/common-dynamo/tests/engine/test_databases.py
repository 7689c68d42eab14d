"""Databases (D2, D50): nothing bound at import, safe in threads and after a fork, one door for every option."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from common.dynamo import DAO, Database, EntityType, Index, Key, Pattern
from common.dynamo.locking import ForkSafeLock
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine, network_wire
from common.dynamo.testing.examples import INVOICE, NOTE, Invoice, Note, make_invoice
from common.dynamo.testing.server import Dynoxide
from common.exceptions import ConfigurationError

IMPORT = """
import socket, os, sys
def refuse(*_, **__): raise AssertionError("a socket was opened")
socket.socket.connect = refuse
before, loaded = dict(os.environ), set(sys.modules)
import common.dynamo, common.dynamo.database, common.dynamo.plugin
assert dict(os.environ) == before
print(sorted(name for name in ("boto3", "botocore", "opentelemetry.sdk", "pytest", "sqlite3") if name in set(sys.modules) - loaded))
"""


def test_importing_binds_nothing() -> None:
    """No socket, no credentials, no boto3, no SDK: an embedded database never needs them."""
    result = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)

    assert "[]" == result.stdout.strip()


def test_sixteen_threads_share_one_database(engine: Engine, table_name: str) -> None:
    """DAOs are made once, writes are all there, and every thread meters its own."""
    with engine.open(table=table_name, entity_types=[NOTE, INVOICE]) as db:
        failures: list[BaseException] = []
        daos: list[DAO[Note]] = []

        def work(thread: int) -> None:
            try:
                notes = db.dao(NOTE)
                daos.append(notes)
                for number in range(20):
                    with spend(trips=1):
                        notes.create(Note(id=f"{thread}-{number}", text="x"), deadline=30)
                assert notes.get(f"{thread}-0") is not None
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == failures
        assert 1 == len({id(dao) for dao in daos})
        found = db.dao(NOTE).batch_get([f"{thread}-{number}" for thread in range(16) for number in range(20)])
        assert 320 == len([note for note in found if note is not None])


def test_a_forked_process_uses_the_database_it_inherited(tmp_path: Path) -> None:
    """Parent and child write to one file; write ids stay distinct, since chance comes from the system."""
    with Database.embedded(tmp_path / "app.db", entity_types=[NOTE]) as db:
        notes = db.dao(NOTE)
        notes.create(Note(id="parent", text="x"))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                notes.create(Note(id="child", text=db.new_write_id()))
                code = 0 if notes.get("parent") is not None else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)

        assert 0 == os.waitstatus_to_exitcode(status)
        assert db.new_write_id() != notes.require("child").text
        notes.create(Note(id="after", text="x"))


def test_a_forked_process_uses_a_network_database_it_inherited(dynoxide: Dynoxide, table_name: str) -> None:
    """The child does not talk on the parent's connections."""
    wire = network_wire(dynoxide.endpoint_url)
    with Database.connect(table=table_name, wire=wire, entity_types=[NOTE]) as db:
        db.create_tables()
        notes = db.dao(NOTE)
        notes.create(Note(id="parent", text="x"))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for number in range(20):
                    notes.create(Note(id=f"child-{number}", text="x"), deadline=10)
                code = 0
            finally:
                os._exit(code)
        for number in range(20):
            notes.create(Note(id=f"parent-{number}", text="x"), deadline=10)
        _, status = os.waitpid(child, 0)

        assert 0 == os.waitstatus_to_exitcode(status)
        keys = [f"{who}-{number}" for who in ("child", "parent") for number in range(20)]
        assert all(note is not None for note in notes.batch_get(keys))


def test_shared_things_are_made_once_per_database(database: Database) -> None:
    """In whatever thread they are first asked for."""

    class Catalogue:
        pass

    made: list[Catalogue] = []
    threads = [threading.Thread(target=lambda: made.append(database.shared(Catalogue, Catalogue))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(set(map(id, made)))


def test_write_ids_are_short_and_distinct(database: Database) -> None:
    """21 hex digits; they travel in every item."""
    ids = {database.new_write_id() for _ in range(1000)}

    assert 1000 == len(ids)
    assert {21} == {len(each) for each in ids}


def test_a_type_that_comes_late_gets_the_table_of_its_group() -> None:
    """In an embedded database, whose tables are made on first use; an index cannot come late."""
    key = Key("N#{id}", "N")
    elsewhere = EntityType(Note, "late", key=key, group="late")
    indexed = EntityType(
        Note, "indexed", key=Key("N#{id}", "I"), group="late", indexes=[Index("GSI1", Key("T#{text}", "{id}"))]
    )
    with Database.embedded(entity_types=[NOTE], tables={"late": "late-table"}) as database:
        notes = database.dao(NOTE)
        notes.create(Note(id="n", text="early"))
        late = database.dao(elsewhere)
        late.create(Note(id="n", text="late"))

        assert ("early", "late") == (notes.require("n").text, late.require("n").text)
        assert () == database.diff_tables()
        with pytest.raises(ConfigurationError, match="made without it"):
            database.dao(indexed)


def test_a_type_that_is_named_twice_is_one_type() -> None:
    """A service may gather its types from several lists."""
    with Database.embedded(entity_types=[NOTE, INVOICE, NOTE]) as database:
        assert "2 entity types" in repr(database)


def test_any_client_object_will_do(engine: Engine, table_name: str) -> None:
    """A boto3 client, alone: it has session, endpoint and region of its own."""
    boto3: Any = pytest.importorskip("boto3")
    session = boto3.Session(aws_access_key_id="t", aws_secret_access_key="t", region_name="eu-central-1")
    client = session.client("dynamodb", endpoint_url="http://127.0.0.1:9")

    with Database.connect(client=client, table=table_name) as db:
        assert ("boto", ("127.0.0.1", 9), "eu-central-1") == (db.wire.name, db.wire.endpoint, db.wire.region)
    with pytest.raises(ConfigurationError, match="give it alone"):
        Database.connect(client=client, region="eu-west-1")
    with pytest.raises(ConfigurationError, match="There is no such wire: give 'auto', 'boto', 'direct'"):
        Database.connect(session=session, wire="pigeon")


def test_a_closed_block_is_closed(engine: Engine, table_name: str) -> None:
    """The context manager closes; repr tells state and no secret."""
    with engine.open(table=table_name, entity_types=[NOTE], cursor_keys=["very secret key!"]) as db:
        assert "entity types" in repr(db)
        assert "secret" not in repr(db)


def test_raw_requests_go_the_same_way(database: Database) -> None:
    """For DAOs that build their own: cost, deadline, errors."""
    invoices: DAO[Invoice] = database.dao(INVOICE)
    invoices.create(make_invoice())
    result = database.execute(invoices.plan.get(("t1", 1)), Pattern("Test.get", "GetItem"), deadline=1.0)

    assert make_invoice().email == INVOICE.decode(result.body["Item"]).email
    assert "Item" not in repr(result)


def test_a_lock_that_was_held_at_a_fork_is_free_in_the_child() -> None:
    """Counters are guarded by it: a child must not wait for a thread that it does not have."""
    lock = ForkSafeLock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            with lock:
                code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    done.set()
    holder.join()

    assert 0 == os.waitstatus_to_exitcode(status)
