"""``common dynamo tables``: create, diff, export."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.dynamo.table_templates import EXPORTS

Common = Callable[..., int]
Capture = pytest.CaptureFixture[str]


def test_what_is_created_is_equal(common: Common, place: tuple[str, ...], capsys: Capture) -> None:
    """Create says what is ready, twice over; diff finds nothing and exits 0."""
    table = place[1]
    codes = [common("tables", word, *place) for word in ("create", "create", "diff")]

    assert [0, 0, 0] == codes
    ready = f"{table}: ready (GSI1, GSI2, GSI3)"
    assert [ready, ready, f"{table}: as declared"] == capsys.readouterr().out.splitlines()


def test_drift_is_a_table_and_exit_code_1(common: Common, place: tuple[str, ...], capsys: Capture) -> None:
    """An index that nobody uses any more, a stream that is not there; a group whose table is missing."""
    common("tables", "create", *place)
    capsys.readouterr()
    other = f"{place[1]}-shop"

    assert 1 == common("tables", "diff", *place, "--stream", "--group", f"shop={other}")

    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert [
        "WHERE WHAT WANTED FOUND",
        f"{place[1]}/GSI3 index extra none an index that no entity type uses",
        f"{place[1]} stream NEW_AND_OLD_IMAGES off",
        f"{other} table missing a table none",
    ] == rows


def test_drift_can_be_read_by_machines(common: Common, place: tuple[str, ...], capsys: Capture) -> None:
    """A JSON list; empty where all is equal."""
    common("tables", "create", *place)
    capsys.readouterr()

    assert 0 == common("tables", "diff", *place, "--json")
    assert [] == json.loads(capsys.readouterr().out)
    assert 1 == common("tables", "diff", *place, "--json", "--stream")
    assert [
        {"table": place[1], "kind": "stream", "index": None, "wanted": "NEW_AND_OLD_IMAGES", "found": "off"}
    ] == json.loads(capsys.readouterr().out)


def test_a_comparison_makes_nothing(common: Common, tmp_path: Path, capsys: Capture) -> None:
    """Neither the file of an embedded database nor a table in it."""
    file = tmp_path / "absent.db"

    assert 2 == common("tables", "diff", "--embedded", file)
    assert "tables create --embedded FILE" in capsys.readouterr().err
    assert not file.exists()

    common("tables", "create", "--embedded", file, "--table", "one")
    capsys.readouterr()
    assert [1, 1] == [common("tables", "diff", "--embedded", file, "--table", "other") for _ in range(2)]


def test_what_cannot_be_compared_is_exit_code_2_and_no_secret(common: Common, capsys: Capture) -> None:
    """Nobody listens there: the error says so and what to do, and holds no credential."""
    code = common("tables", "diff", "--endpoint", "http://127.0.0.1:1", "--region", "eu-central-1", "--timeout", "0.1")

    told = capsys.readouterr()
    assert (2, "") == (code, told.out)
    assert "NotSent" in told.err
    assert "Repeat the call" in told.err
    assert "secret" not in told.err
    assert "AKIATEST" not in told.err


def test_without_a_region_the_error_says_where_to_give_one(common: Common, capsys: Capture) -> None:
    """One line, exit code 1."""
    assert 1 == common("tables", "create")
    assert "AWS_REGION" in capsys.readouterr().err


@pytest.mark.parametrize("format", EXPORTS)
def test_tables_are_exported_in_each_format(common: Common, format: str, capsys: Capture) -> None:
    """The document alone stands on the output, protected unless told otherwise."""
    options = ("--table", "orders-eu", "--group", "shop=shop-eu", "--stream", "--format", format)
    codes = [common("tables", "export", *options, *more) for more in ([], ["--unprotected"])]
    out = capsys.readouterr().out
    protected, unprotected = out[: out.index("\n}\n") + 3], out[out.index("\n}\n") + 3 :]

    assert [0, 0] == codes
    assert "NEW_AND_OLD_IMAGES" in protected
    assert json.loads(protected) != json.loads(unprotected)
    assert {"orders-eu", "shop-eu"} == {name for name in ("orders-eu", "shop-eu", "app") if f'"{name}"' in protected}


def test_cloudformation_is_the_default(common: Common, capsys: Capture) -> None:
    """The template can be given to the tool as it is."""
    assert 0 == common("tables", "export")

    template = json.loads(capsys.readouterr().out)
    assert "App" in template["Resources"]
    assert template["Resources"]["App"]["Properties"]["DeletionProtectionEnabled"]


@pytest.mark.parametrize(
    "words",
    [
        ["tables", "create", "--group", "shop"],
        ["tables", "create", "--embedded", "x", "--endpoint", "http://127.0.0.1:1"],
        ["tables", "export", "--format", "yaml"],
        ["iam", "export", "--account", "123456789012", "--use", "ticket"],
        ["iam", "export"],
    ],
)
def test_wrong_usage_is_exit_code_2(common: Common, words: list[str], capsys: Capture) -> None:
    """The usage and what is wrong with it are told."""
    assert 2 == common(*words)
    assert "usage: common dynamo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "tables"),
        (("tables",), "create"),
        (("tables", "create"), "--embedded FILE"),
        (("tables", "diff"), "0 where all is equal, 1 where something differs"),
        (("tables", "export"), "--format {cloudformation,terraform,json}"),
        (("iam", "export"), "invoice=get,create"),
        (("entities",), "--json"),
        (("explain",), "OrderDAO.buy or 'OrderDAO.*'"),
    ],
)
def test_every_command_explains_itself(common: Common, words: tuple[str, ...], told: str, capsys: Capture) -> None:
    """``--help`` gives a sentence, the options with examples, and exit codes where they mean something."""
    assert 0 == common(*words, "--help")
    assert told in " ".join(capsys.readouterr().out.split())
