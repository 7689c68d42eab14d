"""The engine itself dies in the middle of business: nothing that was acknowledged is missing (ledger section 10)."""

import random
import threading
from pathlib import Path

import pytest

from common.dynamo import Database
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing import Dynoxide, network_wire
from common.dynamo.testing.audit import audit
from common.dynamo.testing.bank import open_branch
from common.dynamo.testing.business import Business
from common.dynamo.testing.history import History, Outcome
from common.dynamo.testing.ledger import LedgerKit

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("seed", range(1, 3))
def test_what_was_acknowledged_survives_kill_9_of_the_engine(
    dynoxide: Dynoxide, tmp_path: Path, table_name: str, seed: int
) -> None:
    """Six threads do business while the engine is killed; started again on its file, it has every yes and no doubles."""
    history, stopping = History(), threading.Event()
    server = Dynoxide(dynoxide.binary, file=tmp_path / "tables.db")
    with server:
        ledger = LedgerKit(_open(server, table_name))
        ledger.list_asset("BTC")
        users, opening = open_branch(ledger)
        business = Business(ledger, history, users)

        def serve(number: int) -> None:
            chance = random.Random(f"{seed}-{number}")
            while not stopping.is_set():
                business.serve(chance)

        threads = [threading.Thread(target=serve, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        while len(history.answered()) < 100:
            threading.Event().wait(0.005)
        server.kill()
        stopping.set()
        for thread in threads:
            thread.join()
        ledger.db.close()

        server.start()
        with _open(server, table_name) as database:
            found = audit(LedgerKit(database), history, users, opening)

    assert found == []
    assert sum(Outcome.OK in told.outcomes for told in history.told.values()) > 30


def _open(server: Dynoxide, table: str) -> Database:
    database = Database.connect(
        table=table, wire=network_wire(server.endpoint_url, "boto"), entity_types=LEDGER_ENTITY_TYPES
    )
    database.create_tables()
    return database
