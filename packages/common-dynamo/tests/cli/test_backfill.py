"""``common dynamo backfill``: what it does, tells, and ends with."""

import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.core.testing import InstalledDists
from common.dynamo import Database
from common.dynamo.backfill_progress import BackfillCounts, BackfillProgress
from common.dynamo.commands.progress_line import ProgressLine, progress_text
from common.dynamo.requests import PutItem
from common.dynamo.scans import Stretch
from common.dynamo.segments import START
from common.dynamo.testing import Engine, NetworkEngine, network_wire
from common.dynamo.testing.generations import BY_TITLE, CARD_1, CARD_3, Card1, Card3

Common = Callable[..., int]
Capture = pytest.CaptureFixture[str]

CARDS = """
import os, signal
from common.core import hookimpl
from common.dynamo import EntityType
from common.dynamo.testing.generations import BY_TITLE, CARD_3, Card3

sent = []

def rename(item):
    if item.get("phone") == {"S": "SIGTERM"} and not sent:
        sent.append(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    return CARD_3.upcast[1](item)

CARD = EntityType(
    Card3, "card", key=CARD_3.key, indexes=[BY_TITLE], schema=3, upcast={1: rename, 2: CARD_3.upcast[2]}
)

@hookimpl
def common_entity_types():
    return [CARD]
"""


@pytest.fixture
def backfill(common: Common, shop: InstalledDists, place: tuple[str, ...]) -> Common:
    """Run the command on cards, on fresh tables; return the exit code."""
    shop.add("acme-cards", version="3.0", plugins={"acme-cards": "acme_cards"}, modules={"acme_cards": CARDS})
    assert 0 == common("tables", "create", *place, COMMON_PLUGINS_ONLY="acme-cards")

    def run(*words: str | Path) -> int:
        return common("backfill", "cards-3", "--type", "card", *place, *words, COMMON_PLUGINS_ONLY="acme-cards")

    return run


@pytest.fixture
def older(backfill: Common, engine: Engine, place: tuple[str, ...]) -> Iterator[Database]:
    """The first release at work on the same tables."""
    table, where = place[1], place[3]
    if isinstance(engine, NetworkEngine):
        opened = Database.connect(table=table, wire=network_wire(where), entity_types=[CARD_1])
    else:
        opened = Database.embedded(where, table=table, entity_types=[CARD_1])
    with opened as db:
        yield db


def fill(older: Database, count: int) -> None:
    for number in range(count):
        older.dao(CARD_1).create(Card1(id=str(number), name="secret name"))


def told(capture: Capture) -> dict[str, str]:
    """Read the counts that were printed."""
    lines = [line.rsplit(None, 1) for line in capture.readouterr().out.splitlines()[:-1]]
    return {line[0].strip(): line[1] for line in lines if len(line) == 2}


def schemas(older: Database) -> set[str]:
    """The schemas of all cards, as they are stored."""
    read = older.dao(CARD_1).scan(name="check")
    return {item["_s"]["N"] for item in read.read(0, Stretch(START)).items}


# What it does


def test_outdated_items_are_rewritten_once(backfill: Common, older: Database, capsys: Capture) -> None:
    """The same command once more has nothing to do, and says what was done."""
    fill(older, 12)
    capsys.readouterr()

    assert 0 == backfill("--segments", "2")
    first = capsys.readouterr().out
    assert 0 == backfill()
    assert first.splitlines()[:-1] == capsys.readouterr().out.splitlines()[:-1]

    assert {"3"} == schemas(older)
    rows = {line.rsplit(None, 1)[0]: line.rsplit(None, 1)[1] for line in first.splitlines()[1:-1]}
    assert ("12", "12", "12") == (rows["examined"], rows["outdated"], rows["rewritten"])
    assert first.splitlines()[-1].startswith("cards-3: finished (1 run; ")


def test_a_dry_run_writes_nothing(backfill: Common, older: Database, capsys: Capture) -> None:
    """It counts; the next command begins at the beginning."""
    fill(older, 3)

    assert 0 == backfill("--dry-run")
    assert "cards-3: finished (a dry run; " in capsys.readouterr().out
    assert {"1"} == schemas(older)
    assert 0 == backfill()
    assert "3" == told(capsys)["rewritten"]


def test_more_to_do_has_an_exit_code_of_its_own(backfill: Common, older: Database, capsys: Capture) -> None:
    """A job that runs every night with --max-items knows when it is through."""
    fill(older, 5)

    assert 3 == backfill("--max-items", "3")
    assert "cards-3: stopped (1 run; " in capsys.readouterr().out
    assert 0 == backfill("--max-items", "3")
    assert "5" == told(capsys)["rewritten"]
    assert 0 == backfill("--restart", "--eventual", "--rate", "1000")
    assert {"examined": "5", "rewritten": "0"} == {
        name: count for name, count in told(capsys).items() if name in ("examined", "rewritten")
    }


def test_a_signal_stops_it_with_everything_saved(backfill: Common, older: Database, capsys: Capture) -> None:
    """SIGTERM ends it after the item that it is at: exit code 143, and the next one goes on behind it."""
    for number in range(5):
        older.dao(CARD_1).create(Card1(id=str(number), name="n", phone="SIGTERM"))
    before = signal.getsignal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == backfill()
    assert "1" == told(capsys)["rewritten"]
    assert before == signal.getsignal(signal.SIGTERM)
    assert 0 == backfill()
    assert "5" == told(capsys)["rewritten"]


def test_a_second_runner_is_refused_in_one_line(backfill: Common, older: Database, capsys: Capture) -> None:
    """Unless it is told to take over from one that has died."""
    fill(older, 2)
    dead = BackfillProgress.begun("cards-3", CARD_3, 1, runner="dead", now=older.clock())
    table = older.table_of(CARD_1)
    with older.transaction() as tx:
        tx.part(PutItem(table=table, item=dead.item("w")))

    assert 1 == backfill()
    assert "common: Another runner works on backfill cards-3." in capsys.readouterr().err
    assert 0 == backfill("--take-over")


def test_an_unknown_type_is_told_with_the_known_ones(backfill: Common, common: Common, capsys: Capture) -> None:
    """In one line, exit code 1."""
    words = ("backfill", "x", "--type", "cards", "--embedded", "nowhere.db")

    assert 1 == common(*words, COMMON_PLUGINS_ONLY="acme-cards")
    assert "There is no entity type 'cards'; there are account, asset, card," in capsys.readouterr().err


def test_help_tells_the_exit_codes(common: Common, capsys: Capture) -> None:
    """And that the service may go on."""
    assert 0 == common("backfill", "--help")
    shown = " ".join(capsys.readouterr().out.split())

    assert "3 when there is more to do" in shown
    assert "130 and 143 after SIGINT and SIGTERM, with everything saved" in shown
    assert "the service may go on working" in shown


# What it tells


def test_failures_have_an_exit_code_and_keys_only_where_asked_for(
    backfill: Common, older: Database, capsys: Capture
) -> None:
    """No value of an item is ever told."""
    fill(older, 2)
    item = {**CARD_1.encode(Card1(id="broken", name="x")), "name": {"N": "1"}}
    with older.transaction() as tx:
        tx.part(PutItem(table=older.table_of(CARD_1), item=item))

    assert 4 == backfill()
    captured = capsys.readouterr()
    for canary in ("CARD#", "broken", "secret name"):
        assert canary not in captured.out + captured.err
    assert 4 == backfill("--restart", "--show-keys")
    shown = capsys.readouterr().out
    assert "CARD#broken CARD: A stored card" in shown
    assert "secret name" not in shown


def test_the_result_can_be_read_by_machines(backfill: Common, older: Database, capsys: Capture) -> None:
    """Counts and units; keys only where asked for."""
    fill(older, 2)
    capsys.readouterr()

    assert 0 == backfill("--json")
    result = json.loads(capsys.readouterr().out)
    assert ("cards-3", "finished", 1, 2) == (
        result["name"],
        result["state"],
        result["runs"],
        result["counts"]["rewritten"],
    )
    assert 2 * 2 + 2 == result["write_units"]  # each card and its index entry, and the progress twice
    assert "failures" not in result
    assert 0 == backfill("--json", "--restart", "--show-keys")
    assert [] == json.loads(capsys.readouterr().out)["failures"]


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_has_one_line_that_changes() -> None:
    """Ten times a second at most; it is cleared in the end."""
    now, stream = [0.0], Terminal()
    line = ProgressLine(stream, total=100, monotonic=lambda: now[0])
    for moment, examined in ((0.0, 0), (0.05, 10), (0.1, 20), (0.15, 30)):
        now[0] = moment
        line.show(BackfillCounts(examined=examined))
    line.clear()

    shown = stream.getvalue().split("\r\x1b[2K")
    assert ["", "[------------------------]   0%  examined 0, rewritten 0"] == shown[:2]
    assert shown[2].startswith("[####--------------------]  20%  examined 20, rewritten 0, 200 items/s")
    assert [""] == shown[3:]


def test_elsewhere_there_is_a_line_every_five_seconds() -> None:
    """Without control characters."""
    now, stream = [0.0], io.StringIO()
    line = ProgressLine(stream, total=None, monotonic=lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        line.show(BackfillCounts(scanned=second * 100, examined=second * 50, rewritten=second))
    line.clear()

    assert [
        "examined 250, rewritten 5, 100 items/s",
        "examined 500, rewritten 10, 100 items/s",
    ] == stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("counts", "total", "seconds", "text"),
    [
        (BackfillCounts(scanned=1500, examined=1000, invalid=2), None, 0.0, "examined 1,000, rewritten 0, failed 2"),
        (BackfillCounts(scanned=500), 1000, 10.0, "[############------------]  50%  examined 0, rewritten 0, 40 items/s, about 12 s left"),
        (BackfillCounts(scanned=110, examined=110), 100_000, 1.0, "[------------------------]   0%  examined 110, rewritten 0, 10 items/s, about 2.8 h left"),
        (BackfillCounts(scanned=2000, examined=10), 1000, 10.0, "[########################] 100%  examined 10, rewritten 0, 190 items/s"),
    ],
    ids=["no total", "half", "long", "more than it was said to be"],
)  # fmt: skip
def test_progress_in_words(counts: BackfillCounts, total: int | None, seconds: float, text: str) -> None:
    """Speed is that of this run, which began with a hundred items done."""
    assert text == progress_text(counts, BackfillCounts(scanned=100), total=total, seconds=seconds)


def test_new_index_entries_are_found(backfill: Common, older: Database) -> None:
    """The older release knew no index; now a query by title finds its cards."""
    fill(older, 3)
    assert 0 == backfill()
    newest = Database(older.wire, table=older.table_of(CARD_1), entity_types=[CARD_3])

    found = newest.dao(CARD_3).query(BY_TITLE, title="secret name").all()
    assert [Card3(id=str(number), title="secret name") for number in range(3)] == found
