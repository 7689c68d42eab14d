"""Secrets do not get into a log."""

import logging
from typing import Any

import pytest

from common.observability.logging import JsonFormatter, Redaction, bind, render
from common.observability.logging.redaction import MASK
from common.observability.testing import Canary, Logs

log = logging.getLogger("test.redaction")

HIDDEN = [
    "password", "Password", "user_password", "PASSWORD2", "x-api-key", "apiKey", "API KEY", "Authorization",
    "Set-Cookie", "refresh_token", "idToken", "client-secret", "aws_secret_access_key", "private.key", "cvv", "PIN",
    "sessionId", "jwt", "credentials", "passphrase", "db.pwd", "card_number",
]  # fmt: skip
SHOWN = ["order_id", "token_count", "spinning", "author", "pinned", "keyboard", "panel", "status", "tokens"]


@pytest.mark.parametrize("name", HIDDEN)
def test_a_field_with_a_secret_name_is_masked_at_any_depth(name: str, canary: Canary) -> None:
    """The name decides, whatever case and separators it has, however deep it stands and whatever its value is."""
    value: Any = {"deep": [{"deeper": {name: {"inner": canary.value}}}], name: canary.value}

    canary.assert_absent(render({"value": value, name: [canary.value]}))


@pytest.mark.parametrize("name", SHOWN)
def test_a_harmless_name_is_shown(name: str) -> None:
    """A name that only looks a little like a secret's keeps its value."""
    assert not Redaction().hides(name)


def test_further_names_can_be_added() -> None:
    """A service hides its own names too, in any spelling."""
    redaction = Redaction(names=frozenset({"Tax-Id"}))

    assert redaction.hides("tax_id")
    assert redaction.hides("password")
    assert not Redaction().hides("tax_id")


SECRET_TEXTS = [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{canary}9.c2lnbmF0dXJl",
    "Bearer {canary}",
    "basic {canary}==",
    "password={canary}",
    '"client_secret": "{canary}"',
    "api_key: {canary}, next",
    "https://user:{canary}@db.example/path",
    "-----BEGIN RSA PRIVATE KEY-----\n{canary}\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_the_text_of_an_exception_is_always_searched(text: str, canary: Canary, logs: Logs) -> None:
    """What looks like a secret is masked in the message and in the stack trace, also where the error is a cause."""
    try:
        try:
            raise ValueError(text.format(canary=canary.value))
        except ValueError as error:
            raise RuntimeError(f"wrapped {error}") from error
    except RuntimeError:
        log.exception("failed")

    (line,) = logs.lines("test.redaction")
    canary.assert_absent(logs.text())
    assert MASK in line["exception.message"]
    assert "RuntimeError" == line["exception.type"]
    assert "ValueError" in line["exception.stacktrace"]


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"])
def test_access_key_ids_are_masked_in_exceptions(key: str, logs: Logs) -> None:
    """Key ids of AWS are found by their form."""
    try:
        raise PermissionError(f"denied for {key}")
    except PermissionError:
        log.exception("failed")

    assert key not in logs.text()


def test_a_stack_trace_has_no_local_variables(canary: Canary, logs: Logs) -> None:
    """A trace tells where, never with which values."""

    def handle(credential: str) -> None:
        local = {"value": credential}
        raise LookupError(f"nothing under {len(local)} names")

    try:
        handle(canary.value)
    except LookupError:
        log.exception("failed", stack_info=True)

    assert "handle(canary.value)" in logs.text()
    canary.assert_absent(logs.text())


def test_fields_are_searched_on_demand(canary: Canary) -> None:
    """With ``patterns_in_fields`` the text of every field is masked too; without, it is left alone."""
    fields = {"note": f"Bearer {canary.value}", "list": [f"password={canary.value}"]}

    canary.assert_absent(render(fields, redaction=Redaction(patterns_in_fields=True)))
    assert canary.value in render(fields).decode()


def test_bound_fields_are_redacted_too(canary: Canary, logs: Logs) -> None:
    """Context is no way around the list of names."""
    with bind(password=canary.value):
        log.info("hello")

    assert MASK == logs.lines("test.redaction")[0]["password"]


def test_what_processors_add_is_redacted_too(canary: Canary) -> None:
    """Redaction comes last."""
    formatter = JsonFormatter(processors=[lambda _logger, _method, fields: {**fields, "secret": canary.value}])

    canary.assert_absent(formatter.format(logging.makeLogRecord({"msg": "hello"})))
