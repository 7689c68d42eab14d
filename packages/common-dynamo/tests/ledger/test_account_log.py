"""The checker of logs and of readings sees what is wrong (ledger R5, R16): it is judged by damaged records."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from common.dynamo import Database
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing.account_log import check_log
from common.dynamo.testing.history import History, Outcome, Request
from common.dynamo.testing.ledger import LedgerKit

Records = list[dict[str, Any]]


def of_accounts(records: Records) -> list[int]:
    """Where the changes of accounts are, but for the first one of each."""
    accounts = [at for at, record in enumerate(records) if record["dynamodb"]["Keys"]["sk"] == {"S": "ACCT"}]
    return [at for at in accounts if records[at]["eventName"] == "MODIFY"]


def lose_one(records: Records, history: History) -> str:
    """A change is missing."""
    del records[of_accounts(records)[3]]
    return "the log of an account has a gap"


def lose_the_last(records: Records, history: History) -> str:
    """The end is missing."""
    del records[of_accounts(records)[-1]]
    return "the log of an account does not end with the account as it stands"


def change_an_amount(records: Records, history: History) -> str:
    """A change is by another amount than its entry says; what follows no longer fits."""
    image = records[of_accounts(records)[2]]["dynamodb"]["NewImage"]
    image["cash"] = {"N": str(Decimal(image["cash"]["N"]) + 1)}
    return "a change of an account is not what its journal entry says"


def turn_round(records: Records, history: History) -> str:
    """A request was acknowledged before one was made that stands before it."""
    first, second = (records[at]["dynamodb"]["NewImage"] for at in of_accounts(records)[-2:])
    user = first["user"]["S"]
    for id, asked_at, done_at in ((first["lst"]["S"], 30, 40), (second["lst"]["S"], 10, 20)):
        history.told[user, id].asked_at, history.told[user, id].done_at = asked_at, done_at
    return "a request came before one that had been acknowledged when it was made"


@pytest.mark.parametrize("damage", [lose_one, lose_the_last, change_an_amount, turn_round])
def test_a_damaged_log_is_noticed(damage: Callable[[Records, History], str]) -> None:
    """One damage, and the check says which."""
    with Database.embedded(stream=True, entity_types=LEDGER_ENTITY_TYPES) as database:
        ledger = LedgerKit(database)
        user = ledger.open_account()
        history = History()
        for number in range(1, 8):
            request = Request("deposit", user, ledger.new_id(), Decimal(number))
            history.ask(request)
            ledger.balances.deposit(user, request.amount, request_id=request.id)
            history.tell(request, Outcome.OK)
        records: Records = [dict(record) for record in database.changes().records]
        assert check_log(ledger, records, history, [user]) == []
        expected = damage(records, history)

        assert expected in check_log(ledger, records, history, [user])


def test_a_history_is_read_from_the_files_of_several_processes(tmp_path: Path) -> None:
    """What stands in the files is what was noted, and the half line of a process that was killed is no event."""
    files = [tmp_path / "one", tmp_path / "other"]
    asked = [Request("deposit", "alice", f"id-{number}", Decimal("5.00"), "detail") for number in range(2)]
    for file, request in zip(files, asked, strict=True):
        with file.open("w") as lines:
            history = History(lines)
            history.ask(request)
            history.read("alice", history.now(), {"cash": Decimal("1.50")})
            history.violated("something")
            if request is asked[0]:
                history.tell(request, Outcome.OK)
            lines.write('{"event": "tell", "us')
    loaded = History.load(files)

    assert [told.request for told in loaded.told.values()] == asked
    assert [told.outcomes for told in loaded.told.values()] == [[Outcome.OK], []]
    assert loaded.unfinished() == [asked[1]]
    assert [reading.amounts for reading in loaded.readings] == [{"cash": Decimal("1.50")}] * 2
    assert loaded.violations == ["something", "something"]
