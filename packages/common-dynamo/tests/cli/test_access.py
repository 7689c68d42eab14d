"""``common dynamo entities``, ``explain`` and ``iam``."""

import json
from collections.abc import Callable

import pytest

from common.core.testing import InstalledDists
from common.dynamo.dao.access_patterns import LEDGER_PATTERNS
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES

Common = Callable[..., int]
Capture = pytest.CaptureFixture[str]

# entities -------------------------------------------------------------------------------------------------------------


def test_entity_types_are_listed_with_their_keys_and_owners(common: Common, capsys: Capture) -> None:
    """One table says what they are and whose, another one where their items lie."""
    assert 0 == common("entities")
    facts, keys = capsys.readouterr().out.split("\n\n")

    assert [
        "TYPE",
        "MODEL",
        "GROUP",
        "SCHEMA",
        "VERSION",
        "EXPIRES",
        "BY",
        "UNIQUE",
        "REGISTERED",
        "BY",
    ] == facts.splitlines()[0].split()
    ticket = next(line for line in facts.splitlines() if line.startswith("ticket "))
    order = next(line for line in facts.splitlines() if line.startswith("order "))
    assert [
        "ticket",
        "Ticket",
        "shop",
        "1",
        "version",
        "-",
        "holder/seat",
        "acme-shop",
        "(acme-shop",
        "2.1)",
    ] == ticket.split()
    assert order.endswith("common-dynamo (common-dynamo 1.0.0)")
    rows = [line.split() for line in keys.splitlines()]
    assert ["TYPE", "KEY", "PARTITION", "SORT"] == rows[0]
    assert ["ticket", "table", "TICKET#{id}", "TICKET"] in rows
    assert ["GSI3", "(KEYS_ONLY)", "HOLDER#{holder}", "{id}"] in rows
    assert ["GSI2", "LO#{asset}#{book_side}", "in", "4", "shards", "{limit_price:12.18}#{id}"] in rows


def test_entity_types_can_be_read_by_machines(common: Common, capsys: Capture) -> None:
    """Everything of the tables, and the module of the model."""
    assert 0 == common("entities", "--json")
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}

    assert {entity.name for entity in LEDGER_ENTITY_TYPES} | {"ticket"} == listed.keys()
    assert {
        "name": "ticket",
        "model": "acme_shop.Ticket",
        "group": "shop",
        "schema": 1,
        "version": "version",
        "ttl": None,
        "key": ["TICKET#{id}", "TICKET"],
        "shards": 1,
        "indexes": [{"name": "GSI3", "key": ["HOLDER#{holder}", "{id}"], "shards": 1, "projection": "KEYS_ONLY"}],
        "unique": [["holder", "seat"]],
        "plugin": "acme-shop",
        "dist": "acme-shop",
        "dist_version": "2.1",
    } == listed["ticket"]


SPREAD = """
from pydantic import BaseModel
from common.core import hookimpl
from common.dynamo import EntityType, Index, Key, MultiKey

class Spread(BaseModel):
    id: str
    kind: str

@hookimpl
def common_entity_types():
    indexes = [Index("GSI8", Key("KIND#{kind}", "{id}", shards=4)), Index("GSI9", MultiKey("kind", ("id",)))]
    return [EntityType(Spread, "spread", key=Key("SPREAD#{id}", "SPREAD"), indexes=indexes)]
"""


def test_shards_and_keys_of_attributes_are_told(common: Common, shop: InstalledDists, capsys: Capture) -> None:
    """How many partitions a key is spread over, and which fields are the key themselves."""
    shop.add("spread", plugins={"spread": "spread_shop"}, modules={"spread_shop": SPREAD})

    assert 0 == common("entities", COMMON_PLUGINS_ONLY="spread")
    told = capsys.readouterr().out
    assert "KIND#{kind} in 4 shards" in told
    assert 0 == common("entities", "--json", COMMON_PLUGINS_ONLY="spread")
    listed = next(each for each in json.loads(capsys.readouterr().out) if each["name"] == "spread")
    assert [
        {"name": "GSI8", "key": ["KIND#{kind}", "{id}"], "shards": 4, "projection": "ALL"},
        {"name": "GSI9", "attributes": [["kind"], ["id"]], "shards": 1, "projection": "ALL"},
    ] == listed["indexes"]
    assert 0 == common("explain", "Spread.query, by GSI8", COMMON_PLUGINS_ONLY="spread")
    assert "4 times Query (spread by GSI8)" in capsys.readouterr().out


def test_a_broken_plugin_does_not_hide_the_others(common: Common, shop: InstalledDists, capsys: Capture) -> None:
    """Its failure is told, the rest is listed, and the exit code is 1."""
    shop.add("broken", plugins={"broken": "broken_shop"}, modules={"broken_shop": "raise RuntimeError('a bug')"})

    assert 1 == common("entities", COMMON_PLUGINS_ONLY="acme-shop,broken")
    told = capsys.readouterr()
    assert "broken" in told.err
    assert "ticket" in told.out


# explain --------------------------------------------------------------------------------------------------------------


def test_a_pattern_is_explained(common: Common, capsys: Capture) -> None:
    """What it sends and costs, in each course, and what it sends now and then."""
    assert 0 == common("explain", "OrderDAO.cancel", "BalanceDAO.history")

    assert [
        "PATTERN                          READ  WRITE  TRIPS  SENDS",
        "BalanceDAO.history              <=2.5      0      1  Query (entry): a page of 20 items of 1 KB",
        "BalanceDAO.history, consistent    <=5      0      1  Query (entry): a page of 20 items of 1 KB",
        "OrderDAO.cancel                     0    4+3      1  TransactWriteItems (update account, update order)",
        "OrderDAO.cancel, pending            0    1+2      1  UpdateItem (order)",
        "",
        "Now and then, such as for an asset not seen before or a request id of yesterday, also:",
        "PATTERN          SENDS",
        "OrderDAO.cancel  GetItem (order)",
        "",
    ] == capsys.readouterr().out.splitlines()[:-1]


def test_the_patterns_of_a_stranger_are_explained_too(common: Common, capsys: Capture) -> None:
    """They follow from the entity type: a lock for the unique field, an index."""
    assert 0 == common("explain", "Ticket.create")

    line = capsys.readouterr().out.splitlines()[1]
    assert "Ticket.create 0 4+1 1 TransactWriteItems (put ticket, put lock of ticket.seat)" == " ".join(line.split())


def test_all_patterns_can_be_read_by_machines(common: Common, capsys: Capture) -> None:
    """The figures are those of the one table that the budgets are tested by."""
    assert 0 == common("explain", "--json")
    listed = {(each["name"], each["case"]): each for each in json.loads(capsys.readouterr().out)}

    for row in LEDGER_PATTERNS:
        told = listed[row.name, row.case]
        assert (row.rcu, row.wcu, row.indexes, len(row.trips), row.is_exact) == (
            told["read_units"],
            told["write_units"],
            told["index_write_units"],
            told["round_trips"],
            told["is_exact"],
        )
        assert [str(trip) for trip in row.trips] == told["sends"]
    assert ("Health.tables", "") in listed
    assert ("Ticket.query", "") in listed


def test_an_unknown_pattern_is_told_with_the_way_to_the_known_ones(common: Common, capsys: Capture) -> None:
    """Exit code 1."""
    assert 1 == common("explain", "OrderDAO.bye")
    assert "There is no access pattern OrderDAO.bye. `common dynamo explain` lists all" in capsys.readouterr().err


# iam ------------------------------------------------------------------------------------------------------------------

ACCOUNT = ("iam", "export", "--account", "123456789012")
REGION = ("--region", "eu-central-1")


OPEN = """
from pydantic import BaseModel
from common.core import hookimpl
from common.dynamo import EntityType, Key

class Open(BaseModel):
    id: str

@hookimpl
def common_entity_types():
    return [EntityType(Open, "open", key=Key("{id}", "OPEN"))]
"""


def policy(common: Common, capsys: Capture, *words: str, **environ: str) -> dict[str, list[str]]:
    """Export a policy and return the actions of each statement."""
    assert 0 == common(*ACCOUNT, *words, **environ)
    statements = json.loads(capsys.readouterr().out)["Statement"]
    return {each["Resource"].rpartition(":")[2] + " " + each["Sid"]: each["Action"] for each in statements}


def test_a_service_gets_what_it_names(common: Common, capsys: Capture) -> None:
    """Patterns by name or with a star, methods of an entity type's DAO, each on the table of its group."""
    words = ("--pattern", "BalanceDAO.get", "--pattern", "AssetDAO.l*", "--use", "ticket=get,delete")

    assert {
        "table/app AppGetItem": ["dynamodb:GetItem"],
        "table/app AppQuery": ["dynamodb:Query"],
        "table/tickets TicketsDeleteItem": ["dynamodb:DeleteItem"],
        "table/tickets TicketsGetItem": ["dynamodb:GetItem"],
    } == policy(common, capsys, *REGION, "--group", "shop=tickets", *words)


def test_without_a_choice_it_is_all_that_services_do(common: Common, capsys: Capture) -> None:
    """With the health check; making tables is for who deploys. The region comes from the environment."""
    statements = policy(common, capsys, AWS_REGION="eu-central-1")
    actions = {action for each in statements.values() for action in each}

    assert "dynamodb:DescribeTable" in actions
    assert "dynamodb:CreateTable" not in actions
    assert "dynamodb:ConditionCheckItem" in actions


def test_a_statement_without_partitions_is_pointed_out(common: Common, shop: InstalledDists, capsys: Capture) -> None:
    """The policy is complete on the output; what it cannot limit is told beside it."""
    shop.add("open", plugins={"open": "open_shop"}, modules={"open_shop": OPEN})

    assert 0 == common(*ACCOUNT, *REGION, "--use", "open=get", COMMON_PLUGINS_ONLY="open")
    told = capsys.readouterr()
    assert ["AppGetItem"] == [each["Sid"] for each in json.loads(told.out)["Statement"]]
    assert "AppGetItem is not limited to partitions" in told.err


def test_a_scan_is_allowed_where_it_is_named_and_pointed_out(common: Common, capsys: Capture) -> None:
    """Neither the policy of a whole service nor a star has it."""
    for words in ((), ("--pattern", "Ticket.*")):
        found = policy(common, capsys, *REGION, *words)
        assert "dynamodb:Scan" not in [action for actions in found.values() for action in actions]

    assert 0 == common(*ACCOUNT, *REGION, "--use", "ticket=scan,get")
    told = capsys.readouterr()
    assert ["dynamodb:Scan"] in [each["Action"] for each in json.loads(told.out)["Statement"]]
    assert "AppScan reads every item of the table" in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*REGION, "--pattern", "OrderDAO.bye"), "no access pattern OrderDAO.bye"),
        ((*REGION, "--use", "tickets=get"), "no entity type 'tickets'; there are account, asset"),
        ((*REGION, "--use", "ticket=drop"), "no method drop; it has get"),
        (("--region", "Frankfurt"), "no AWS region; give one such as eu-central-1"),
        ((), "Give --region, or set AWS_REGION"),
    ],
)
def test_what_is_not_known_is_told_with_what_is(
    common: Common, words: tuple[str, ...], told: str, capsys: Capture
) -> None:
    """One line, exit code 1, and no half policy on the output."""
    assert 1 == common(*ACCOUNT, *words)
    captured = capsys.readouterr()
    assert told in captured.err
    assert "" == captured.out
