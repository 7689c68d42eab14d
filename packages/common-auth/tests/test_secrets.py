"""Secrets do not show themselves (auth X8)."""

import copy
import json
import pickle
import traceback

import pytest

from common.auth.security.secrets import SecretBytes, SecretStr

CANARY = "canary-5c9f"
SECRETS = [SecretBytes(CANARY.encode()), SecretStr(CANARY)]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{!r:>40}".format, "{:>20}".format, lambda s: f"{s}", lambda s: "%s" % [s]],
)
def test_no_text_shows_a_secret(secret: object, show: object) -> None:
    """Neither ``repr``, ``str``, ``format`` nor an f-string does."""
    assert callable(show)
    assert CANARY not in show(secret)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(secret: object, protocol: int) -> None:
    """Every pickle protocol refuses, and the refusal does not show it."""
    with pytest.raises(TypeError, match="not pickled") as refused:
        pickle.dumps([secret], protocol)

    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_not_json(secret: object) -> None:
    """The serialiser refuses it; ``default=str`` writes the mask."""
    with pytest.raises(TypeError):
        json.dumps({"pepper": secret})

    assert '{"pepper": "***"}' == json.dumps({"pepper": secret}, default=str)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_traceback_with_locals_does_not_show_it(secret: object) -> None:
    """Tools that print the locals of each frame print the mask."""
    held = [secret]
    try:
        _ = 1 / (len(held) - 1)
    except ZeroDivisionError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    assert "held" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("kind", [SecretBytes, SecretStr])
def test_secrets_compare_by_value(kind: type) -> None:
    """Two secrets are equal when what they hold is, and never equal to the bare value."""
    bare: object = b"one" if kind is SecretBytes else "one"
    other: object = b"two" if kind is SecretBytes else "two"

    assert kind(bare) == kind(bare)
    assert kind(bare) != kind(other)
    assert kind(bare) != bare


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_has_no_hash(secret: object) -> None:
    """It cannot be a key of a table, whose look-up time would depend on it."""
    with pytest.raises(TypeError):
        hash(secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_copies_are_the_same_object(secret: object) -> None:
    """Copying, shallow or deep, does not spread the value in memory."""
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_reveal_gives_the_value_and_lone_surrogates_are_kept() -> None:
    """The one way out is ``reveal``; text need not be valid Unicode."""
    assert b"x" == SecretBytes(b"x").reveal()
    assert "\ud800" == SecretStr("\ud800").reveal()
    assert SecretStr("\ud800") == SecretStr("\ud800")
    assert 1 == len(SecretStr("\ud800"))
