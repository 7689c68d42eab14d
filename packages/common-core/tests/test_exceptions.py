"""The error hierarchy, and what a client gets to see of it."""

import copy
import json
import pickle
from collections.abc import Mapping

import pytest

import common.exceptions
from common.exceptions import (
    PROBLEM_CONTENT_TYPE,
    CommonError,
    ConfigurationError,
    FieldError,
    InvalidAmount,
    InvalidInput,
    MissingPart,
    PluginFailure,
    PluginLoadError,
    PluginStartError,
    to_problem,
)

CANARY = "hunter2-canary"
FAILURE = PluginFailure("acme", "acme-plugin", "1.2.3", "common_audit_sinks", f"OSError: {CANARY}", OSError(CANARY))

TABLE = [
    (CommonError(CANARY), 500, "internal_error", False),
    (InvalidInput(CANARY), 422, "invalid_input", False),
    (InvalidAmount(CANARY), 422, "invalid_amount", False),
    (ConfigurationError(CANARY), 500, "configuration_error", False),
    (MissingPart(CANARY, dist="common-auth", extra="dynamo"), 500, "missing_part", False),
    (PluginLoadError([FAILURE]), 500, "plugin_load_error", False),
    (PluginStartError(FAILURE), 500, "plugin_start_error", False),
]
ERRORS = [pytest.param(error, id=type(error).__name__) for error, *_ in TABLE]


@pytest.mark.parametrize(
    ("error", "status", "code", "retryable"), [pytest.param(*row, id=type(row[0]).__name__) for row in TABLE]
)
def test_each_error_has_status_code_and_body(error: CommonError, status: int, code: str, retryable: bool) -> None:
    """The members of RFC 9457 and two of our own; nothing else."""
    problem = to_problem(error, instance="/orders/7", request_id="r-1")

    assert status == problem.status
    assert {"Content-Type": PROBLEM_CONTENT_TYPE} == problem.headers
    assert {
        "type": f"urn:common:error:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": error.public_message,
        "code": code,
        "retryable": retryable,
        "instance": "/orders/7",
        "request_id": "r-1",
    } == problem.body


def test_every_class_has_a_row() -> None:
    """A new error without a row in the table above fails here."""
    public = {
        value for name in common.exceptions.__all__ if isinstance(value := getattr(common.exceptions, name), type)
    }

    assert {kind for kind in public if issubclass(kind, CommonError)} == {type(row[0]) for row in TABLE}


@pytest.mark.parametrize("error", ERRORS)
def test_no_text_of_the_inside_reaches_a_client(error: CommonError) -> None:
    """What the operator reads, the client does not."""
    assert CANARY in str(error)
    assert CANARY not in json.dumps(to_problem(error).body)


@pytest.mark.parametrize("error", ERRORS)
def test_errors_survive_copying_and_pickling(error: CommonError) -> None:
    """An error crosses a process pool, or a logging queue, with its text and facts."""
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(error) is type(twin)
        assert str(error) == str(twin)
        assert vars(error).keys() == vars(twin).keys()


def test_a_foreign_error_is_an_internal_error() -> None:
    """Whatever was not raised on purpose says nothing of itself."""
    problem = to_problem(ZeroDivisionError(CANARY))

    assert (500, "internal_error") == (problem.status, problem.body["code"])
    assert CANARY not in json.dumps(problem.body)
    assert {"instance", "request_id"}.isdisjoint(problem.body)


def test_wrong_fields_are_listed_for_the_client() -> None:
    """Each with its JSON Pointer, a code and a sentence; the text names them too."""
    error = InvalidInput(
        errors=[FieldError("/amount", "too_fine", "too many places"), FieldError("", "empty", "no body")]
    )

    assert [
        {"pointer": "/amount", "code": "too_fine", "detail": "too many places"},
        {"pointer": "", "code": "empty", "detail": "no body"},
    ] == to_problem(error).body["errors"]
    assert "/amount: too many places; (input): no body" == str(error)


def test_headers_and_extensions_of_a_subclass_reach_the_answer() -> None:
    """An extension adds members and overwrites none of the standard ones."""

    class TooMany(CommonError):
        code, status, retryable = "too_many", 429, True

        def headers(self) -> Mapping[str, str]:
            return {"Retry-After": "3"}

        def extensions(self) -> Mapping[str, object]:
            return {"status": 200, "limit": 10}

    problem = to_problem(TooMany())

    assert {"Content-Type": PROBLEM_CONTENT_TYPE, "Retry-After": "3"} == problem.headers
    assert (429, 10, True) == (problem.body["status"], problem.body["limit"], problem.body["retryable"])


def test_an_error_without_text_says_its_public_message() -> None:
    """No error prints as nothing."""
    assert "One or more values are not valid." == str(InvalidInput())


@pytest.mark.parametrize(("extra", "wanted"), [(None, "Add common-auth to"), ("dynamo", "Add common-auth[dynamo] to")])
def test_a_missing_part_names_what_to_add(extra: str | None, wanted: str) -> None:
    """It is an ``ImportError`` too, names distribution and extra, and shows no command that installs by bare name."""
    error = MissingPart("Password hashing is not installed", dist="common-auth", extra=extra)

    assert isinstance(error, ImportError)
    assert wanted in str(error)
    assert "see Installing in the README" in str(error)
    assert "pip install" not in str(error)
    assert ("common-auth", extra) == (error.dist, error.extra)


def test_a_load_error_has_a_line_per_failure_and_the_way_past_it() -> None:
    """What is blocked already stays in the value shown, and a plugin with two failures is named once."""
    by_hand = PluginFailure("mine", None, None, None, "ValueError: no")
    error = PluginLoadError([FAILURE, by_hand, by_hand], blocked=["old"])

    assert [
        "3 plugin failures:",
        f"  acme (acme-plugin 1.2.3, hook common_audit_sinks): OSError: {CANARY}",
        "  mine (registered in code): ValueError: no",
        "  mine (registered in code): ValueError: no",
        "Repair or remove what is named here, or start without it: COMMON_PLUGINS_BLOCK=old,acme,mine",
    ] == str(error).splitlines()
    assert (FAILURE, by_hand, by_hand) == error.failures
