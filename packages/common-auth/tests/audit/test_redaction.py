"""What gets into the trail and what does not (auth A4, A5)."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.security.audit_line import DETAILS_ROOM
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.redaction import MASK, Budget, Redactor
from common.auth.security.secrets import SecretBytes
from common.core.audit import AuditOutcome, AuditType, Severity

CANARY = "c4n4ryValue"
KIND = AuditType("test", frozenset({"data"}), hashed=frozenset({"jti"}))
REDACTOR = Redactor(SecretBytes(b"the key that these tests hash by"))

DENIED = ("password", "secret", "token", "authorization", "cookie", "api-key", "assertion", "pepper", "otp")


def redacted(value: object) -> str:
    """Return what is kept of a declared field, as JSON."""
    return json.dumps(REDACTOR.details(KIND, {"data": value}, Budget(DETAILS_ROOM)))


@st.composite
def denied_keys(draw: st.DrawFn) -> str:
    """Make a key that names a secret, in odd case, with odd separators, and with more around it."""
    word = draw(st.sampled_from(DENIED)).replace("-", "")
    letters = [draw(st.sampled_from((letter, letter.upper()))) for letter in word]
    separators = [draw(st.sampled_from(("", "", "", "-", "_", ".", " "))) for _ in letters]
    inside = "".join(letter + separator for letter, separator in zip(letters, separators, strict=True))
    return draw(st.sampled_from(("", "x-", "user_", "Db"))) + inside + draw(st.sampled_from(("", "Value", "_2", "s")))


def buried(key: str, levels: list[str]) -> object:
    """Return the canary under *key*, *levels* deep in mappings and lists."""
    value: object = {key: CANARY, "beside": [CANARY[:2]]}
    for level in levels:
        value = {level: value} if level else [1, value]
    return value


@pytest.mark.thorough
@settings(max_examples=250)
@given(denied_keys(), st.lists(st.sampled_from(("", "inner", "More")), max_size=5))
def test_a_secret_is_found_six_levels_deep_in_any_spelling(key: str, levels: list[str]) -> None:
    """A key that names a secret loses its value wherever it is and however it is written (auth A4)."""
    assert CANARY not in redacted(buried(key, levels))


@pytest.mark.parametrize(
    "key", ["ｐａｓｓｗｏｒｄ", "paſſword", "PASSWORD\u200b", "ᵖassword", "p" + "x" * 300, "to\u00adken"], ids=ascii
)
def test_a_disguised_key_is_still_a_denied_key(key: str) -> None:
    """Full-width letters, long s, invisible characters and endless keys do not hide a secret (auth A4)."""
    assert CANARY not in redacted({key: CANARY})


SHAPES = [
    f"eyJhbGciOiJub25lIn0.eyJ{CANARY}.sig",
    f"eyJhbGciOiJub25lIn0.eyJ{CANARY}.",
    f"session=eyJhbGciOiJub25lIn0.eyJ{CANARY}.sig; path=/",
    f"xxeyJhbGciOiJub25lIn0.eyJ{CANARY}.sig",
    f"eyJhbGciOiJSU0EtT0FFUCJ9.{CANARY}.iv.text.tag",
    f"Bearer {CANARY}",
    f"authorization: bEaReR  {CANARY}==",
    f"Basic {CANARY}",
    f"DPoP {CANARY}",
    f"$2b$12${CANARY}",
    f"$2$10${CANARY}",
    f"$ca1$p=k1,n=nfc$2b$12${CANARY}",
    f"$argon2id$v=19$m=65536${CANARY}",
    f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}",
    f"ca_live_{CANARY}",
]


@pytest.mark.parametrize("text", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: [t], lambda t: {"a": {"b": t}}, lambda t: {t: 1}], ids="abcd")
def test_what_is_shaped_like_a_credential_is_masked(text: str, wrap: Callable[[str], object]) -> None:
    """Tokens, authorization values, password hashes and keys are recognised anywhere in a text (auth A4)."""
    kept = redacted(wrap(text))

    assert CANARY not in kept
    assert MASK in kept


@pytest.mark.parametrize(
    "text",
    ["u-1", "0190163d-8694-739b-aea5-966c26f8ad91", "GET /orders?page=2", "the bearer", "eyJ", "eyJhbGciOi", "x" * 64,
     "café au lait", "$20 and $30", "ca_va", "1.2.3", "a.eyJ.b"],
)  # fmt: skip
def test_what_only_resembles_a_credential_stays(text: str) -> None:
    """Ordinary values pass as they are."""
    assert text == REDACTOR.details(KIND, {"data": text}, Budget(DETAILS_ROOM))["data"]


def test_masking_takes_time_linear_to_the_length() -> None:
    """Texts made to be slow are not: every pattern looks at every character a bounded number of times."""
    for text in ("eyJ" * 5000, "eyJ." * 4000, "Bearer " * 2000, "$ca1$2" * 2000, "-----BEGIN " * 1500, "ca_" * 5000):
        assert len(redacted(text)) < 40_000


def test_undeclared_fields_are_left_out_and_the_programmer_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Only what the type declares passes; a forgotten declaration is logged once, not once a request (auth A4)."""
    trail = MemorySink()
    audit = AuditLogger([trail], service="orders", types=[AuditType("order_placed", frozenset({"order"}))])
    for _ in range(3):
        audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, order="o-1", card=CANARY)
    audit.close()

    assert [{"order": "o-1"}] * 3 == [dict(event.details) for event in trail.events]
    assert ["'card'"] == re.findall(r"the field ('\w+')", caplog.text)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("key", ["sid", "Session_ID", "jti", "token-id", "session"])
def test_ids_that_grant_something_are_hashed(key: str) -> None:
    """Session and token ids pass as a keyed hash alone, the same each time (auth A5)."""
    kept = redacted({key: CANARY})

    assert CANARY not in kept
    assert REDACTOR.pseudonym(CANARY) in kept
    assert REDACTOR.pseudonym(CANARY) != REDACTOR.pseudonym(CANARY + "x")


def test_raw_ids_are_absent_from_every_record() -> None:
    """Session, token id and unproven user name leave hashes that a search can find (auth A5)."""
    trail = MemorySink()
    audit = AuditLogger([trail], service="auth", key=SecretBytes(b"some key for the hashes of 32 by"))
    ctx = RequestContext(session="session-c4n4ry", request_id="r-12345678")
    audit.emit(
        "authn_token_created", outcome=AuditOutcome.SUCCESS, actor="u-1", ctx=ctx, jti="jti-c4n4ry", kind="access"
    )
    audit.emit("authn_login_fail", outcome=AuditOutcome.FAILURE, actor=Claimed("name-c4n4ry"), ctx=ctx)
    audit.emit("authn_login_fail", outcome=AuditOutcome.FAILURE, subject=Claimed("name-c4n4ry"))
    audit.close()

    assert not any(b"c4n4ry" in record.line for record in trail.records)
    created, failed, again = trail.events
    assert (audit.pseudonym("session-c4n4ry"), "u-1") == (created.session, created.actor)
    assert audit.pseudonym("jti-c4n4ry") == created.details["jti"]
    assert audit.pseudonym("name-c4n4ry") == failed.actor == again.subject


def test_hashes_depend_on_the_key() -> None:
    """Without the key nobody can test guesses of a user name against the trail (auth A5)."""
    other = Redactor(SecretBytes(b"another key that tests hash with"))

    assert other.pseudonym("ada") != REDACTOR.pseudonym("ada")


class Unprintable:
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError(CANARY)

    __repr__ = __str__


class Hostile(Mapping[str, object]):
    """A mapping that raises when it is looked at."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError(CANARY)

    def __iter__(self) -> Any:
        raise RuntimeError(CANARY)

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("12.50"), "12.50"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (datetime(2026, 11, 24, tzinfo=UTC), "2026-11-24 00:00:00+00:00"),
        (Severity.HIGH, 4),
        (AuditOutcome.FAILURE, "failure"),
        (b"bytes", "[bytes]"),
        (object(), "[object]"),
        (Unprintable(), "[Unprintable]"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (10**5000, "[int of 16610 bits]"),
        ({1: "a", None: "b"}, {"[int]": "a", "[NoneType]": "b"}),
        (("a", "b"), ["a", "b"]),
        (frozenset({"a"}), ["a"]),
        ("\ud800", "\ufffd"),
        (True, True),
        (None, None),
        (SecretBytes(b"c4n4ryValue"), "[SecretBytes]"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_every_value_becomes_json(value: object, kept: object) -> None:
    """Values that JSON has no word for become a text, and a kind nobody knows leaves its name alone."""
    assert kept == REDACTOR.details(KIND, {"data": value}, Budget(DETAILS_ROOM))["data"]


def test_a_value_that_raises_does_not_fail_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """The event is written without details, and the log says why (auth X2)."""
    trail = MemorySink()
    audit = AuditLogger([trail], service="orders", types=[KIND])
    audit.emit("test", outcome=AuditOutcome.SUCCESS, data=Hostile())
    audit.close()

    assert ({}, True) == (trail.events[0].details, trail.events[0].truncated)
    assert "raised RuntimeError" in caplog.text
    assert CANARY not in caplog.text


JSON = st.recursive(
    st.one_of(
        st.none(), st.integers(), st.floats(), st.text(max_size=40), st.sampled_from(("\0" * 9000, "\U0001f600" * 5000))
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=9),
        st.dictionaries(st.text(max_size=9), inner, max_size=9),
        inner.map(lambda one: [one] * 300),
        inner.map(lambda one: {f"{number}" * 60: one for number in range(150)}),
    ),
    max_leaves=12,
)


@pytest.mark.thorough
@settings(max_examples=100, deadline=None)
@given(JSON)
def test_whatever_comes_in_is_bounded_json(value: object) -> None:
    """Any tree of values becomes JSON within its budget, but for a few brackets (auth A6)."""
    assert len(redacted(value)) < DETAILS_ROOM + 600


def test_self_references_end() -> None:
    """A list that contains itself is cut off where it gets too deep."""
    loop: list[object] = []
    loop.append(loop)

    assert "[too deep]" in redacted(loop)
