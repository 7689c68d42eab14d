"""The rule itself can be broken: what holds methods to it finds each way of not keeping it (DI10)."""

from collections.abc import Callable
from typing import Any

import pytest

from common.dynamo import DAO
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.examples import Card
from common.dynamo.testing.wrong_arguments import FLAG, Case, assert_refused, undescribed, wrong_values
from common.exceptions import ConfigurationError, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

CASE = Case("call", "flag", wrong_values(ConfigurationError, a_text=CANARY))


def taken(wrong: Any) -> None:
    """Take what is wrong."""


def foreign(wrong: Any) -> None:
    """Raise what is none of ours."""
    raise TypeError("flag")


def of_another_class(wrong: Any) -> None:
    """Blame the caller for the program's mistake."""
    raise InvalidInput("flag must be a flag.")


def unnamed(wrong: Any) -> None:
    """Leave it to the reader which argument it is."""
    raise ConfigurationError("This must be True or False.")


def telling(wrong: Any) -> None:
    """Repeat the value."""
    raise ConfigurationError(f"flag must be True or False, not {wrong}.")


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (taken, "it was not refused"),
        (foreign, "it raised TypeError, which is none of ours"),
        (of_another_class, "it is no ConfigurationError"),
        (unnamed, "it does not name flag"),
        (telling, "it repeats the value"),
    ],
)
def test_each_way_of_breaking_the_rule_is_found(call: Callable[[Any], None], fault: str) -> None:
    """And told, with the wrong value's name."""
    with pytest.raises(AssertionError, match=f"a text: .*{fault}"):
        assert_refused(CASE, call)


def test_a_refusal_after_something_was_sent_is_found(cards: DAO[Card]) -> None:
    """It comes too late."""

    def late(wrong: Any) -> None:
        cards.get("stored")
        raise ConfigurationError("flag must be True or False.")

    with pytest.raises(AssertionError, match="something was sent"):
        assert_refused(CASE, late)


class Subject:
    """A class with two methods."""

    def one(self, flag: bool, *, other: int = 0) -> None:
        """Do one thing."""

    def two(self) -> None:
        """Do another thing."""


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ({"one": {"flag": FLAG, "other": ()}, "two": {}}, []),
        ({"one": {"flag": FLAG, "other": ()}}, ["Subject.two: it has no row"]),
        ({"one": {"flag": FLAG}, "two": {}}, ["Subject.one(other): not described"]),
        ({"one": {"flag": FLAG, "other": (), "more": ()}, "two": {}}, ["Subject.one(more): no such parameter"]),
        ({"one": {"flag": FLAG, "other": ()}, "two": {}, "three": {}}, ["Subject.three: there is no such method"]),
    ],
)
def test_what_a_table_leaves_out_is_found(rows: Any, faults: list[str]) -> None:
    """Methods, parameters, and rows of what is not there any more."""
    assert faults == undescribed(Subject, rows)
