"""Every method of a database, and every option of one, refuses what cannot be meant before anything is sent (DI4)."""

from collections.abc import Mapping
from typing import Any

import pytest

from common.dynamo import Database, Pattern, begins_with
from common.dynamo.requests import GetItem
from common.dynamo.testing import spend
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.examples import CARD, NOTE, Card
from common.dynamo.testing.wrong_arguments import (
    ANYTHING,
    CALLBACK,
    COUNT,
    DEADLINE,
    FLAG,
    LISTING,
    MAPPING,
    OBJECT,
    OPTIONAL_TEXT,
    TEXT,
    Case,
    Rows,
    assert_refused,
    cases,
    undescribed,
    wrong_values,
)
from common.exceptions import CommonError, ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

NOTHING = wrong_values(InvalidInput, None_=None)
ABSENT = wrong_values(ConfigurationError, None_=None)
TABLE = wrong_values(
    ConfigurationError, None_=None, an_int=7, empty="", too_short="ab", bytes_=b"app", a_slash=f"{CANARY}/"
)
SECONDS = wrong_values(
    ConfigurationError, zero=0, below_zero=-1.0, NaN=float("nan"), a_bool=True, a_text=CANARY, a_list=[1]
)
CHOICE = wrong_values(ConfigurationError, an_int=7, a_text=CANARY, a_list=[CANARY])
KEYS = wrong_values(ConfigurationError, a_text=CANARY, a_short_one=["short"], ints=[7], None_=None, a_dict={CANARY: 1})
CLOCK = (*ABSENT, *CALLBACK)
TAGS = wrong_values(ConfigurationError, an_int=7, a_list=[CANARY], ints={"a": 1})
RECORD = wrong_values(
    InvalidInput, None_=None, an_int=7, a_text=CANARY, a_list=[CANARY], empty={}, another={CANARY: CANARY}
)
POSITION = wrong_values(CommonError, an_int=7, a_text=CANARY, bytes_=b"x", a_list=[CANARY], empty="")
LIMIT = wrong_values(CommonError, None_=None, zero=0, many=1001, a_bool=True, a_float=1.5, a_text=CANARY)

OPTIONS: Mapping[str, Any] = {
    "table": TABLE,
    "tables": (*MAPPING, *wrong_values(ConfigurationError, a_group_to_nothing={"g": None}, no_group={7: "table"})),
    "plugins": OBJECT[1:],
    "entity_types": (*LISTING, *wrong_values(ConfigurationError, models=[Card], a_text_in_it=[CANARY])),
    "event_types": (*LISTING, *wrong_values(ConfigurationError, models=[Card], a_text_in_it=[CANARY])),
    "interceptors": (*LISTING, *wrong_values(ConfigurationError, an_object=[object()], a_text_in_it=[CANARY])),
    "cursor_keys": KEYS,
    "budgets": CHOICE,
    "budget_mode": CHOICE,
    "deadline": (*DEADLINE, *SECONDS[:2], *ABSENT),
    "sdk_spans": (*CHOICE, *ABSENT),
    "events": (*CHOICE, *ABSENT),
    "tracer_provider": ANYTHING,  # OpenTelemetry's, of whatever class
    "meter_provider": ANYTHING,
    "logger_provider": ANYTHING,
    "clock": CLOCK,
    "monotonic": CLOCK,
    "sleep": CLOCK,
    "random": CLOCK,
}
TEXTS = wrong_values(ConfigurationError, an_int=7, bytes_=b"x", a_list=[CANARY])
ROWS: Rows = {
    "connect": {
        "session": OBJECT[1:],
        "client": OBJECT[1:],
        "endpoint_url": (
            *TEXTS,
            *wrong_values(ConfigurationError, empty="", no_url=CANARY, half_a_url=f"http://[{CANARY}"),
        ),
        "region": (*TEXTS, *wrong_values(ConfigurationError, a_sentence=f"{CANARY} x")),
        "wire": OBJECT,
        "options": ANYTHING,  # see OPTIONS
    },
    "embedded": {
        "path": wrong_values(ConfigurationError, an_int=7, bytes_=b"x", a_list=[CANARY]),
        "fast": FLAG,
        "faults": OBJECT[1:],
        "stream": FLAG,
        "options": ANYTHING,  # see OPTIONS
    },
    "dao": {"entity": OBJECT},
    "collection": {
        "fields": MAPPING,
        "entities": (*LISTING, *wrong_values(ConfigurationError, none=[], models=[Card])),
        "index": OBJECT[1:],
        "consistent": FLAG,
        "pattern": OBJECT[1:],
    },
    "transaction": {
        "request_id": TEXT,
        "scope": OPTIONAL_TEXT,
        "input": wrong_values(ConfigurationError, an_object=object(), a_class=Card),
        "keeps": SECONDS,
        "deadline": DEADLINE,
        "pattern": OBJECT[1:],
    },
    "replay": {
        "request_id": (*NOTHING, *TEXT),
        "scope": OPTIONAL_TEXT,
        "input": ANYTHING,  # compared with what is stored
        "deadline": DEADLINE,
    },
    "run": {"work": (*ABSENT, *CALLBACK), "attempts": (*NOTHING, *COUNT), "deadline": DEADLINE},
    "read": {"targets": ANYTHING, "deadline": ANYTHING},  # see below
    "execute": {"request": OBJECT, "pattern": OBJECT, "deadline": DEADLINE, "resend": FLAG},
    "operation": {"pattern": OBJECT, "tables": ANYTHING, "deadline": DEADLINE},
    "table_of": {"entity": OBJECT},
    "table_definitions": {},
    "create_tables": {"stream": FLAG, "tags": TAGS, "deadline": DEADLINE},
    "diff_tables": {"stream": FLAG, "deadline": DEADLINE},
    "changes": {"after": POSITION, "limit": LIMIT, "table": TABLE[1:], "deadline": DEADLINE},
    "deadline": {"given": DEADLINE},
    "new_write_id": {},
    "declare": {"patterns": (*LISTING, *wrong_values(ConfigurationError, models=[Card], a_text_in_it=[CANARY]))},
    "shared": {"kind": OBJECT[:-1], "factory": (*ABSENT, *CALLBACK)},
    "decode_stream": {"record": RECORD, "skipped": CALLBACK},
    "handle_stream": {"event": RECORD[:-3], "handler": (*ABSENT, *CALLBACK)},
    "traffic": {},
    "close": {},
}
PATTERN = Pattern("Test.get", "GetItem")
RIGHT: Mapping[str, Mapping[str, Any]] = {
    "dao": {"entity": CARD},
    "collection": {"fields": {"id": "x"}, "entities": [CARD]},
    "transaction": {"request_id": "r-1"},
    "replay": {"request_id": "r-1"},
    "run": {"work": lambda: None},
    "execute": {"request": GetItem(table="app", key=CARD.item_key("x"), consistent=True), "pattern": PATTERN},
    "operation": {"pattern": PATTERN},
    "table_of": {"entity": CARD},
    "shared": {"kind": dict, "factory": dict},
    "decode_stream": {"record": {}},
    "handle_stream": {"event": {"Records": []}, "handler": print},
}
APART = ("connect", "embedded", "changes")
"""What is tested by itself: the opening of a database, and what embedded ones alone have."""
NAMES = {
    "given": "deadline",
    "after": "position",
    "request_id": "request",
    "record": "record",
    "event": "record",
    "entity": "EntityType",
    "entities": "EntityType",
}


def test_every_public_method_and_every_option_is_in_the_tables() -> None:
    """A new one needs a row before it is done."""
    from common.dynamo.database import DatabaseOptions

    assert [] == undescribed(Database, ROWS)
    assert DatabaseOptions.__annotations__.keys() == OPTIONS.keys()


@pytest.mark.parametrize("case", cases({name: row for name, row in ROWS.items() if name not in APART}))
def test_a_wrong_argument_of_a_database_is_refused_before_anything_is_sent(database: Database, case: Case) -> None:
    """By the error that says whose mistake it is, naming the parameter and repeating no value."""
    method, right = getattr(database, case.method), RIGHT.get(case.method, {})

    assert_refused(case, lambda wrong: method(**{**right, case.parameter: wrong}), named=NAMES.get(case.parameter))


@pytest.mark.parametrize("case", cases({"changes": ROWS["changes"]}))
def test_a_wrong_argument_of_the_change_feed_is_refused(case: Case) -> None:
    """Which embedded databases alone have."""
    with Database.embedded(entity_types=[CARD], stream=True) as database:
        assert_refused(case, lambda wrong: database.changes(**{case.parameter: wrong}), named=NAMES.get(case.parameter))


@pytest.mark.parametrize("case", cases({name: ROWS[name] for name in ("connect", "embedded")}))
def test_a_database_is_not_opened_with_a_wrong_argument(case: Case) -> None:
    """Neither on a network nor in the process."""
    open_database = getattr(Database, case.method)

    place = {"region": "eu-central-1"} if case.parameter == "endpoint_url" else {}
    assert_refused(case, lambda wrong: open_database(**{**place, case.parameter: wrong}))


@pytest.mark.parametrize("case", cases({"embedded": OPTIONS, "connect": OPTIONS}))
def test_a_database_is_not_opened_with_a_wrong_option(database: Database, case: Case) -> None:
    """When it is opened, not at the first call that would use it."""
    open_database = getattr(Database, case.method)
    place = {} if case.method == "embedded" else {"wire": database.wire}

    assert_refused(case, lambda wrong: open_database(**{**place, case.parameter: wrong}))


def test_an_option_that_no_database_has_is_refused() -> None:
    """A misspelt one would be without effect, and nobody would notice."""
    with pytest.raises(ConfigurationError, match=r"no option cursor_key; it has: .*cursor_keys"):
        Database.embedded(cursor_key="x")  # type: ignore[call-arg]


def test_reads_of_one_moment_refuse_what_is_no_read(database: Database) -> None:
    """Each is a DAO of this database with a key."""
    cards = database.dao(CARD)
    with Database.embedded(entity_types=[CARD]) as other:
        wrong: list[Any] = [None, 7, (cards,), (cards, "x", "y"), ("cards", "x"), [cards, None], (other.dao(CARD), "x")]
        for read in wrong:
            with spend(trips=0), pytest.raises(CommonError):
                database.read(read)
    with spend(trips=0), pytest.raises(InvalidInput, match="id must be text"):
        database.read((cards, 7))
    for wrong_deadline in DEADLINE:
        with spend(trips=0), pytest.raises(ConfigurationError, match="deadline must be"):
            database.read((cards, "x"), deadline=wrong_deadline.value)


def test_tables_of_an_operation_are_texts(database: Database) -> None:
    """They name the span."""
    with pytest.raises(ConfigurationError, match="tables must be a str"):
        database.operation(PATTERN, 7)  # type: ignore[arg-type]


def test_a_collection_refuses_types_that_do_not_go_together(database: Database) -> None:
    """And conditions on nothing."""
    with spend(trips=0), pytest.raises(ConfigurationError):
        database.collection({"id": "x"}, [CARD, NOTE])
    with spend(trips=0), pytest.raises(InvalidInput, match="id must be text"):
        database.collection({"id": 7}, [CARD])


def test_what_was_opened_with_right_options_works() -> None:
    """Else a refusal in the table would prove nothing."""
    right: dict[str, Any] = {
        "table": "cards",
        "tables": {"other": "others"},
        "entity_types": iter([CARD]),
        "cursor_keys": ["a key for tests, and nothing else"],
        "deadline": 5,
        "sdk_spans": "off",
        "events": "span",
        "clock": lambda: 0.0,
        "sleep": lambda seconds: None,
        "random": lambda: 0.5,
    }
    with Database.embedded(fast=True, **right) as database:
        cards = database.dao(CARD)
        cards.create(Card(id="1"))

        assert [Card(id="1", version=1)] == cards.query(id="1").where(lambda it: begins_with(it.text, "as")).all()
