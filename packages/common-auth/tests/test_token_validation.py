"""In which order a token is looked at, and what its claims must say (auth T2 to T6, T8, T9)."""

import contextlib
import json
import math
import socket
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import (
    ConfigurationError,
    InvalidClaim,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenWrongType,
    UnknownKey,
)
from common.auth.security.clock import SYSTEM
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.auth.security.token_claims import ClaimRules
from common.auth.security.token_format import MAX_CLAIMS, MAX_TOKEN, TokenKind, TokenReader, write_token
from common.auth.security.token_manager import TokenProfile
from common.auth.testing import ISSUER, MOMENT, access_claims, forge, token_manager
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

KEY = SigningKey.generate("EdDSA", kid="k1")
STRANGER = SigningKey.generate("EdDSA", kid="k1")
NOW = int(MOMENT.timestamp())


def refusal(token: str | bytes, clock: FrozenClock, **profile: Any) -> TokenError:
    """Return the error with which *token* is refused."""
    with pytest.raises(TokenError) as refused:
        token_manager(KEY, clock=clock, profile=TokenProfile(**profile)).validate(token)
    return refused.value


class WatchedKeys:
    """A key source that remembers what it was asked for."""

    issuer = ISSUER

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def find(self, kid: str, alg: str) -> VerificationKey:
        """Return the one key, or refuse."""
        self.asked.append((kid, alg))
        if kid != KEY.kid:
            raise UnknownKey(reason="unknown_kid")
        return KEY.verification


BROKEN_TWICE = forge(STRANGER, b"not json")

# Each token is wrong in the named way and in a later one; the reason tells which was met first.
ORDER = [
    ("too_long", "!" * 9000, False),
    ("not_compact", "a.b=", False),
    ("not_base64url", "a." + BROKEN_TWICE.partition(".")[2], False),
    ("header_not_json", forge(STRANGER, b"not json", header=b'{"alg":'), False),
    ("algorithm_not_permitted", forge(STRANGER, b"not json", alg="none", typ="JWT"), False),
    ("wrong_type", forge(STRANGER, b"not json", typ="JWT", jku="https://evil.example"), False),
    ("header_member_not_permitted", forge(STRANGER, b"not json", jku="https://evil.example", kid="../k1"), False),
    ("malformed_kid", forge(STRANGER, b"not json", kid="../k1"), False),
    ("unknown_kid", forge(STRANGER, b"not json", kid="k2"), True),
    ("bad_signature", BROKEN_TWICE, True),
    ("claims_not_json", forge(KEY, b"not json"), True),
]


@pytest.mark.parametrize(("reason", "token", "reaches_key"), ORDER, ids=[row[0] for row in ORDER])
def test_cheap_checks_come_first_and_keys_late(reason: str, token: str, reaches_key: bool) -> None:
    """Length, form, header, key, signature, claims: the first fault decides, and no key is sought before (T2)."""
    keys = WatchedKeys()
    with pytest.raises(TokenError) as refused:
        TokenReader(keys=keys, typ="at+jwt").read(token)

    assert reason == refused.value.reason
    assert reaches_key == bool(keys.asked)


def test_claims_are_checked_last(clock: FrozenClock) -> None:
    """A signature that does not verify is told before an expired claim, so claims are no oracle."""
    assert "bad_signature" == refusal(forge(STRANGER, access_claims(exp=1)), clock).reason
    assert "too_long_lived" == refusal(forge(KEY, access_claims(exp=1)), clock).reason


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti", "sid", "ver"])
@pytest.mark.parametrize("value", [..., None, "", [], {}], ids=["absent", "null", "empty", "no items", "no members"])
def test_required_claims_are_there_and_not_empty(claim: str, value: Any, clock: FrozenClock) -> None:
    """Each of those of RFC 9068 and of ours (T3)."""
    refused = refusal(forge(KEY, access_claims(**{claim: value})), clock)

    assert f"missing_{claim}" == refused.reason


def absent(claim: str) -> dict[str, Any]:
    """Leave a claim out."""
    return {claim: ...}


def test_another_issuers_tokens_may_lack_some(clock: FrozenClock) -> None:
    """The profile says which; issuer, audience, subject and times are always needed."""
    lenient = TokenProfile(required=frozenset())
    manager = token_manager(KEY, clock=clock, profile=lenient)
    claims = manager.validate(forge(KEY, access_claims(sid=..., ver=..., nbf=..., jti=..., client_id=...)))

    assert (None, 0, None, None) == (claims.session, claims.epoch, claims.token_id, claims.client_id)
    for claim in ("iss", "sub", "aud", "exp", "iat"):
        with pytest.raises(TokenInvalid):
            manager.validate(forge(KEY, access_claims(**absent(claim))))


NUMBERS = {
    "text": "1795521900",
    "flag": True,
    "too large": 2**53 + 1,
    "1e20": 1e20,
    "list": [1795521900],
    "object": {"value": 1795521900},
}


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time"])
def test_times_are_numbers(claim: str, value: Any, clock: FrozenClock) -> None:
    """An integer or a finite float that a double holds exactly; never text, never a truth value."""
    assert f"malformed_{claim}" == refusal(forge(KEY, access_claims(**{claim: value})), clock).reason


def test_a_time_may_have_a_fraction(clock: FrozenClock) -> None:
    """NumericDate allows it (RFC 7519, section 2)."""
    token = forge(KEY, access_claims(exp=NOW + 1.5, iat=NOW - 0.25))

    assert "u-1" == token_manager(KEY, clock=clock).validate(token).subject


# Claims, leeway in seconds, the error; None where the token is good.
TIMES: list[tuple[dict[str, Any], int, type[TokenError] | None]] = [
    ({"exp": NOW}, 0, TokenExpired),
    ({"exp": NOW + 1}, 0, None),
    ({"iat": NOW - 300, "exp": NOW - 9}, 10, None),
    ({"iat": NOW - 300, "exp": NOW - 10}, 10, TokenExpired),
    ({"iat": NOW + 10}, 10, None),
    ({"iat": NOW + 11}, 10, TokenNotYetValid),
    ({"nbf": NOW + 10}, 10, None),
    ({"nbf": NOW + 11}, 10, TokenNotYetValid),
    ({"nbf": NOW + 1}, 0, TokenNotYetValid),
    ({"iat": NOW - 60, "exp": NOW + 840}, 10, None),
    ({"iat": NOW - 60, "exp": NOW + 841}, 10, TokenInvalid),
    ({"iat": NOW + 5, "exp": NOW + 4}, 10, TokenInvalid),
    ({"iat": NOW + 5, "exp": NOW + 5}, 10, None),
    ({"iat": -1, "exp": 1}, 10, TokenExpired),
]


@pytest.mark.parametrize(("changes", "leeway", "error"), TIMES)
def test_times_count_to_the_second(
    changes: dict[str, Any], leeway: int, error: type[TokenError] | None, clock: FrozenClock
) -> None:
    """Expired means at exp, the leeway is what the profile says, and a life over max_ttl is refused."""
    token = forge(KEY, access_claims(**changes))
    manager = token_manager(KEY, clock=clock, profile=TokenProfile(leeway=timedelta(seconds=leeway)))
    if error is None:
        manager.validate(token)
    else:
        with pytest.raises(error):
            manager.validate(token)


WRONG_VALUES: list[tuple[str, Any, str]] = [
    ("iss", "https://id.example/", "wrong_iss"),
    ("iss", "https://id.exampl", "wrong_iss"),
    ("iss", [ISSUER], "wrong_iss"),
    ("iss", "https://ID.example", "wrong_iss"),
    ("aud", "order", "wrong_aud"),
    ("aud", "Orders", "wrong_aud"),
    ("aud", ["users"], "wrong_aud"),
    ("aud", ["orders", "orders"], "wrong_aud"),
    ("aud", 7, "malformed_aud"),
    ("aud", [7], "malformed_aud"),
    ("aud", {"orders": 1}, "malformed_aud"),
    ("sub", "u 1", "malformed_sub"),
    ("sub", "u\n1", "malformed_sub"),
    ("sub", "ü", "malformed_sub"),
    ("sub", "u" * 256, "malformed_sub"),
    ("sub", ["u-1"], "malformed_sub"),
    ("jti", "a b", "malformed_jti"),
    ("sid", 7, "malformed_sid"),
    ("ver", -1, "malformed_ver"),
    ("ver", 1.5, "malformed_ver"),
    ("ver", "1", "malformed_ver"),
    ("scope", ["a"], "malformed_scope"),
    ("scope", "a  b", "malformed_scope"),
    ("scope", 'a"', "malformed_scope"),
    ("roles", "trader", "malformed_roles"),
    ("roles", [7], "malformed_roles"),
    ("roles", [""], "malformed_roles"),
    ("amr", "pwd", "malformed_amr"),
    ("act", "gateway", "malformed_act"),
    ("act", None, "malformed_act"),
    ("act", {}, "malformed_act"),
    ("act", {"sub": "a", "act": {"sub": "a", "act": {"sub": "a", "act": {"sub": "a", "act": "b"}}}}, "malformed_act"),
    ("act", {"sub": 7}, "malformed_act"),
    ("act", {"sub": "a", "act": "b"}, "malformed_act"),
    ("act", {"sub": "a", "act": {"sub": ""}}, "malformed_act"),
    ("azp", "stranger", "foreign_azp"),
    ("azp", ["gateway"], "malformed_azp"),
]


@pytest.mark.parametrize(("claim", "value", "reason"), WRONG_VALUES)
def test_a_claim_of_the_wrong_value_or_shape_is_refused(
    claim: str, value: Any, reason: str, clock: FrozenClock
) -> None:
    """Optional claims too are what they must be, where they are there."""
    assert reason == refusal(forge(KEY, access_claims(**{claim: value})), clock).reason


def act(depth: int) -> dict[str, Any]:
    """Build a chain of so many actors."""
    chain: dict[str, Any] = {"sub": "a"}
    for _ in range(depth - 1):
        chain = {"sub": "a", "act": chain}
    return chain


def test_a_chain_of_actors_is_at_most_four_deep(clock: FrozenClock) -> None:
    """Four pass, five and two hundred do not (T10)."""
    manager = token_manager(KEY, clock=clock)

    for depth in (1, 4):
        assert ("a",) * depth == manager.validate(forge(KEY, access_claims(act=act(depth)))).actors
    for depth in (5, 200):
        assert "malformed_act" == refusal(forge(KEY, access_claims(act=act(depth))), clock).reason


def test_a_source_is_on_the_list(clock: FrozenClock) -> None:
    """A token that another service obtained is taken only from services that are named (T10)."""
    token = forge(KEY, access_claims(azp="gateway"))

    assert "foreign_azp" == refusal(token, clock).reason
    assert "foreign_azp" == refusal(token, clock, sources=frozenset({"users"})).reason
    listed = token_manager(KEY, clock=clock, profile=TokenProfile(sources=frozenset({"gateway"})))
    assert "gateway" == listed.validate(token).source


def test_the_largest_numbers_are_taken(clock: FrozenClock) -> None:
    """Up to 2^53 a double holds every integer, so every reader of JSON sees the same."""
    claims = token_manager(KEY, clock=clock).validate(forge(KEY, access_claims(ver=2**53, auth_time=-(2**53))))

    assert 2**53 == claims.epoch
    assert "malformed_ver" == refusal(forge(KEY, access_claims(ver=2**53 + 1)), clock).reason


def test_the_widest_leeway_is_a_minute(clock: FrozenClock) -> None:
    """Sixty seconds can be set."""
    wide = token_manager(KEY, clock=clock, profile=TokenProfile(leeway=timedelta(seconds=60)))

    assert "u-1" == wide.validate(forge(KEY, access_claims(iat=NOW - 300, exp=NOW - 59))).subject


def test_unknown_claims_are_kept(clock: FrozenClock) -> None:
    """Whatever else the issuer says can be read."""
    token = forge(KEY, access_claims(tier="gold", limits={"daily": [1, 2.5, None, True]}))

    assert {"daily": [1, 2.5, None, True]} == token_manager(KEY, clock=clock).validate(token).members["limits"]


@pytest.mark.parametrize("shown", TokenKind)
@pytest.mark.parametrize("wanted", TokenKind)
def test_no_kind_of_token_is_taken_for_another(shown: TokenKind, wanted: TokenKind, clock: FrozenClock) -> None:
    """Every pair of kinds: the right one is read, every other is of the wrong type (T4)."""
    reader = TokenReader(keys=KeyRing([KEY], issuer=ISSUER, clock=clock), typ=wanted.value)
    token = write_token(access_claims(), typ=shown.value, key=KEY)

    if shown is wanted:
        assert "u-1" == reader.read(token)["sub"]
    else:
        with pytest.raises(TokenWrongType):
            reader.read(token)


@pytest.mark.parametrize("kind", [kind for kind in TokenKind if kind is not TokenKind.ACCESS])
def test_the_manager_takes_access_tokens_alone(kind: TokenKind, clock: FrozenClock) -> None:
    """Refresh tokens, gateway assertions, ID and logout tokens of the same issuer are refused as such."""
    assert isinstance(refusal(forge(KEY, typ=kind.value), clock), TokenWrongType)


JUNK = st.text(st.characters(), max_size=200) | st.binary(max_size=200)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(JUNK)
def test_any_text_and_bytes_are_refused_by_a_token_error(junk: str | bytes) -> None:
    """Nothing else escapes (T5)."""
    with pytest.raises(TokenError):
        token_manager(KEY, clock=SYSTEM).validate(junk)


@pytest.mark.thorough
@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*sorted(access_claims()), "scope", "roles", "act", "azp", "amr", "auth_time"]), VALUES
    )
)
def test_claims_of_any_shape_are_accepted_or_refused_by_a_token_error(changes: dict[str, Any]) -> None:
    """A signed token may say anything; what is accepted has the types that the properties promise."""
    try:
        claims = token_manager(KEY, clock=FrozenClock(MOMENT)).validate(forge(KEY, access_claims(**changes)))
    except TokenError:
        return
    assert isinstance(claims.subject, str)
    assert isinstance(claims.epoch, int)
    assert math.isfinite(claims.expires_at.timestamp())
    assert all(isinstance(name, str) for name in (*claims.roles, *claims.scope, *claims.actors, *claims.methods))
    assert claims.source is None


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), VALUES, max_size=4))
def test_headers_of_any_shape_are_refused_by_a_token_error(header: dict[str, Any]) -> None:
    """Only one header is accepted, and this is not it."""
    with pytest.raises(TokenError):
        token_manager(KEY, clock=FrozenClock(MOMENT)).validate(forge(KEY, header=header))


@pytest.mark.parametrize("token", [None, 7, ["a.b.c"], bytearray(b"a.b.c"), object()])
def test_what_is_no_text_is_refused(token: Any, clock: FrozenClock) -> None:
    """A missing header handed on as ``None`` is a refused token, not a crash."""
    assert "not_text" == refusal(token, clock).reason


def test_bytes_and_text_are_the_same(clock: FrozenClock) -> None:
    """ASGI gives bytes, WSGI text."""
    token = forge(KEY)
    manager = token_manager(KEY, clock=clock)

    assert manager.validate(token) == manager.validate(token.encode())


def test_validation_does_no_io(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a good token nor a bad one opens a socket or a file (T8)."""
    manager = token_manager(KEY, clock=clock)
    tokens = [forge(KEY), forge(KEY, kid="k2"), forge(KEY, jku="https://evil.example"), forge(KEY, kid="/etc/passwd")]

    def touched(*arguments: object, **named: object) -> None:
        raise AssertionError("validation reached outside")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", touched)
        patched.setattr("builtins.open", touched)
        patched.setattr("os.open", touched)
        manager.validate(tokens[0])
        for token in tokens[1:]:
            with pytest.raises(TokenError):
                manager.validate(token)


def test_a_clock_that_goes_back_revives_no_session(clock: FrozenClock) -> None:
    """The epoch is a counter in the token: the session that was ended stays the older one whatever the clock says (T9)."""
    manager = token_manager(KEY, clock=clock)
    ended = manager.create_access("u-1", session="s-1", epoch=1)
    clock.advance(timedelta(hours=-1))
    current = manager.create_access("u-1", session="s-2", epoch=2)

    assert 2 == manager.validate(current.token).epoch
    assert isinstance(refusal(ended.token, clock), TokenNotYetValid)
    clock.advance(timedelta(minutes=10))
    assert current.expires_at < ended.expires_at
    assert isinstance(refusal(ended.token, clock), TokenNotYetValid)
    clock.advance(timedelta(minutes=50))
    assert 1 == manager.validate(ended.token).epoch


def test_an_expired_token_stays_expired_while_the_clock_stands(clock: FrozenClock) -> None:
    """The time is the injected clock's, not the machine's."""
    manager = token_manager(KEY, clock=clock)
    token = manager.create_access("u-1", session="s-1", epoch=0).token
    clock.advance(timedelta(minutes=15, seconds=9))
    manager.validate(token)
    clock.advance(timedelta(seconds=1))

    assert isinstance(refusal(token, clock), TokenExpired)


def test_outward_every_refusal_is_the_same(clock: FrozenClock) -> None:
    """Bodies and headers of all the tokens above are equal; only the audit trail knows the reason (T6)."""
    tokens = [*(row[1] for row in ORDER), *(forge(KEY, access_claims(**{c: v})) for c, v, _ in WRONG_VALUES), "", "a"]
    tokens += [forge(KEY, typ=kind.value) for kind in TokenKind if kind is not TokenKind.ACCESS]
    tokens += [forge(KEY, access_claims(**changes)) for changes, _, error in TIMES if error]
    problems = [to_problem(refusal(token, clock, leeway=timedelta(0)), request_id="r-1") for token in tokens]

    assert len(problems) > 50
    assert all(problem == problems[0] for problem in problems)
    assert 'Bearer error="invalid_token"' == problems[0].headers["WWW-Authenticate"]


def test_refusals_do_not_quote_the_token(clock: FrozenClock) -> None:
    """Neither text nor any error behind it holds a part of what was shown (auth X2)."""
    tokens: list[str | bytes] = [row[1] for row in ORDER]
    tokens += [forge(KEY, access_claims(sub="canary 1")), "canary" + "\ud800", b"canary\xff"]
    for token in tokens:
        refused = refusal(token, clock)
        assert refused.__cause__ is None
        assert refused.__context__ is None
        assert "canary" not in str(refused)
        assert all(len(part) < 12 or part not in repr(refused) for part in str(token).split("."))


def test_a_known_header_is_remembered_and_a_forged_one_is_not(clock: FrozenClock) -> None:
    """Headers are parsed once per key, and nobody without a key can fill the table that remembers them."""
    reader = TokenReader(keys=WatchedKeys(), typ="at+jwt")
    for number in range(200):
        with pytest.raises(TokenError):
            reader.read(forge(STRANGER, kid=f"k{number}"))
    assert {} == reader._known_headers
    for spaces in range(100):
        reader.read(forge(KEY, header=b'{"alg":"EdDSA",%s"kid":"k1","typ":"at+jwt"}' % (b" " * spaces)))

    assert 64 == len(reader._known_headers)


@pytest.mark.parametrize("limits", [{"typ": ""}, {"max_length": 1 << 17}, {"max_claims": 0}, {"max_claims": 9000}])
def test_limits_of_a_reader_are_checked(limits: dict[str, Any]) -> None:
    """A reader without bounds cannot be made."""
    with pytest.raises(ConfigurationError):
        TokenReader(**{"keys": WatchedKeys(), "typ": "at+jwt", **limits})


def test_limits_hold_to_the_byte() -> None:
    """Of the token, of its claims and of its header, the longest that fits is taken and one byte more is not."""
    token = forge(KEY)
    claims = len(json.dumps(access_claims(), separators=(",", ":")))

    def read(shown: str, **limits: int) -> str:
        reader = TokenReader(keys=WatchedKeys(), typ="at+jwt", **limits)
        try:
            return str(reader.read(shown)["sub"])
        except TokenError as error:
            return error.reason

    assert "u-1" == read(token, max_length=len(token), max_claims=claims)
    assert "too_long" == read(token, max_length=len(token) - 1, max_claims=claims)
    assert "claims_too_long" == read(token, max_claims=claims - 1)
    header = b'{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}'
    assert "u-1" == read(forge(KEY, header=header.ljust(512)))
    assert "header_too_long" == read(forge(KEY, header=header.ljust(513)))


@pytest.mark.parametrize("key", [KEY, SigningKey.generate("RS256")], ids=lambda key: key.alg)
def test_what_is_written_can_be_read(key: SigningKey) -> None:
    """However many claims there are, either the token is issued and read back, or nothing is issued."""
    reader = TokenReader(keys=KeyRing([key], issuer=ISSUER), typ="at+jwt")
    issued = []
    for size in range(5000, 6200, 20):
        claims = {"x": "y" * size}
        with contextlib.suppress(InvalidClaim):
            token = write_token(claims, typ="at+jwt", key=key)
            assert len(token) <= MAX_TOKEN
            assert claims == reader.read(token)
            issued.append(size)

    assert 5000 == issued[0]
    assert issued[-1] < MAX_CLAIMS


@pytest.mark.parametrize(
    "rules", [{"max_ttl": timedelta(0)}, {"leeway": timedelta(seconds=61)}, {"issuer": ""}, {"audience": ""}]
)
def test_rules_have_sane_limits(rules: dict[str, Any]) -> None:
    """Rules under which nothing, or anything, would pass cannot be made."""
    good = {"issuer": ISSUER, "audience": "orders", "required": frozenset(), "max_ttl": timedelta(minutes=1)}

    with pytest.raises(ConfigurationError):
        ClaimRules(**{**good, **rules})


def test_audience_lists_on_demand(clock: FrozenClock) -> None:
    """By default a token for others too is refused, since each of them could show it here (attack table, row 28)."""
    token = forge(KEY, access_claims(aud=["users", "orders"]))

    assert "wrong_aud" == refusal(token, clock).reason
    shared = token_manager(KEY, clock=clock, profile=TokenProfile(accept_audience_lists=True))
    assert "u-1" == shared.validate(token).subject
    assert "u-1" == token_manager(KEY, clock=clock).validate(forge(KEY, access_claims(aud=["orders"]))).subject
