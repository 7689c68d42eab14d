"""What issued tokens hold, and what is not issued (auth T1, T10, H1)."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pluggy
import pytest

import common.auth.hookspecs
from common.auth.exceptions import ClaimsUnavailable, ConfigurationError, InvalidClaim
from common.auth.security.claim_sources import OWN_CLAIMS, NamedClaims, TokenSubject, claim_sources
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_manager import Actor, TokenKind, TokenManager, TokenProfile
from common.auth.testing import AUDIENCE, ISSUER, MOMENT, token_manager
from common.core import hookimpl
from common.core.testing import bare_plugins
from common.core.utils.clock import FrozenClock

ED25519 = {  # RFC 8037, appendix A.1
    "kty": "OKP",
    "crv": "Ed25519",
    "kid": "k1",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}

GOLDEN = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJvcmRlcn"
    "MiLCJjbGllbnRfaWQiOiJmaXJzdC1wYXJ0eSIsImlhdCI6MTc5NTUyMTYwMCwibmJmIjoxNzk1NTIxNjAwLCJleHAiOjE3OTU1MjI1MDAsImp0"
    "aSI6IkFBRUNBd1FGQmdjSUNRb0xEQTBPRHciLCJzdWIiOiJ1LTEiLCJzaWQiOiJzLTEiLCJ2ZXIiOjMsInNjb3BlIjoib3JkZXJzOnJlYWQgb3"
    "JkZXJzOndyaXRlIiwicm9sZXMiOlsidHJhZGVyIiwiYXVkaXRvciJdLCJhdXRoX3RpbWUiOjE3OTU1MjE1NDAsImFtciI6WyJwd2QiLCJvdHAi"
    "XX0.aI_ruuQ35DWeVvEXbxnyI1QC13yvMTWm7Ulq_oEHgBnh4rt4eFThL1MIYlON6Ma0gLAJ_PbS4tLA5s5uy468Cw"
)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims as anybody can read them."""
    header, claims, _ = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
    return json.loads(header), json.loads(claims)


def test_the_golden_token(clock: FrozenClock) -> None:
    """Key, clock and chance being fixed, the token is the same to the byte, and holds what RFC 9068 asks for."""
    manager = token_manager(SigningKey.from_jwk(ED25519), clock=clock, entropy=lambda count: bytes(range(count)))
    issued = manager.create_access(
        "u-1",
        session="s-1",
        epoch=3,
        roles=["trader", "auditor"],
        scope=["orders:read", "orders:write"],
        authenticated_at=MOMENT - timedelta(minutes=1),
        methods=["pwd", "otp"],
    )

    header, claims = parts(issued.token)
    assert {"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"} == header
    assert {
        "iss": ISSUER,
        "sub": "u-1",
        "aud": AUDIENCE,
        "client_id": "first-party",
        "iat": 1795521600,
        "nbf": 1795521600,
        "exp": 1795521600 + 900,
        "jti": "AAECAwQFBgcICQoLDA0ODw",
        "sid": "s-1",
        "ver": 3,
        "scope": "orders:read orders:write",
        "roles": ["trader", "auditor"],
        "auth_time": 1795521540,
        "amr": ["pwd", "otp"],
    } == claims
    assert GOLDEN == issued.token


def test_what_was_issued_is_validated_and_read(clock: FrozenClock) -> None:
    """The typed claims are those that were asked for."""
    manager = token_manager(clock=clock, profile=TokenProfile(sources=frozenset({"gateway"})))
    issued = manager.create_access(
        "u-1",
        session="s-1",
        epoch=7,
        roles=["trader"],
        scope=["a", "b"],
        actor=Actor("orders", Actor("gateway")),
        source="gateway",
        client_id="web",
        authenticated_at=MOMENT,
        methods=["pwd"],
    )
    claims = manager.validate(issued.token)

    assert (ISSUER, "u-1", "web", "s-1", 7) == (
        claims.issuer,
        claims.subject,
        claims.client_id,
        claims.session,
        claims.epoch,
    )
    assert (frozenset({"trader"}), frozenset({"a", "b"})) == (claims.roles, claims.scope)
    assert (("orders", "gateway"), "gateway") == (claims.actors, claims.source)
    assert (MOMENT, MOMENT, ("pwd",)) == (claims.issued_at, claims.authenticated_at, claims.methods)
    assert issued.expires_at == claims.expires_at == MOMENT + timedelta(minutes=15)
    assert issued.token_id == claims.token_id


def test_what_was_not_asked_for_is_not_there(clock: FrozenClock) -> None:
    """No empty roles, scope, actor or authentication time."""
    manager = token_manager(clock=clock)
    token = manager.create_access("u-1", session="s-1", epoch=0).token
    claims = manager.validate(token)

    assert {"iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti", "sid", "ver"} == parts(token)[1].keys()
    assert (None, frozenset(), frozenset(), (), None, ()) == (
        claims.authenticated_at,
        claims.roles,
        claims.scope,
        claims.actors,
        claims.source,
        claims.methods,
    )


def test_every_token_has_an_id_of_128_random_bits(clock: FrozenClock) -> None:
    """Two tokens of one second differ, and the id carries 16 bytes."""
    manager = token_manager(clock=clock)
    ids = {manager.create_access("u-1", session="s-1", epoch=0).token_id for _ in range(200)}

    assert 200 == len(ids)
    assert all(16 == len(base64.urlsafe_b64decode(token_id + "==")) for token_id in ids)


def test_an_access_token_lives_fifteen_minutes_unless_told_otherwise(clock: FrozenClock) -> None:
    """Shorter on request, never longer than the profile permits."""
    manager = token_manager(clock=clock)

    assert MOMENT + timedelta(minutes=15) == manager.create_access("u", session="s", epoch=0).expires_at
    short = manager.create_access("u", session="s", epoch=0, ttl=timedelta(seconds=30))
    assert MOMENT + timedelta(seconds=30) == short.expires_at
    for ttl in (timedelta(minutes=15, seconds=1), timedelta(0), timedelta(milliseconds=999), timedelta(-1)):
        with pytest.raises(InvalidClaim):
            manager.create_access("u", session="s", epoch=0, ttl=ttl)


BAD_ARGUMENTS: dict[str, dict[str, Any]] = {
    "subject empty": {"subject": ""},
    "subject with a space": {"subject": "u 1"},
    "subject with NUL": {"subject": "u\0"},
    "subject beyond ASCII": {"subject": "ü"},
    "subject with a lone surrogate": {"subject": "\ud800"},
    "subject too long": {"subject": "u" * 256},
    "subject is a number": {"subject": 1},
    "session empty": {"session": ""},
    "epoch negative": {"epoch": -1},
    "epoch is a flag": {"epoch": True},
    "epoch is text": {"epoch": "1"},
    "epoch too large": {"epoch": 2**53 + 1},
    "roles are one text": {"roles": "trader"},
    "role empty": {"roles": [""]},
    "role with a space": {"roles": ["a b"]},
    "scope is one text": {"scope": "a b"},
    "scope with a quote": {"scope": ['a"']},
    "scope with a space": {"scope": ["a b"]},
    "scope empty": {"scope": [""]},
    "client empty": {"client_id": ""},
    "five actors": {"actor": Actor("a", Actor("b", Actor("c", Actor("d", Actor("e")))))},
    "actor malformed": {"actor": Actor("a", Actor(""))},
    "source not listed": {"source": "stranger"},
    "naive time": {"authenticated_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point
    "methods are one text": {"methods": "pwd"},
    "too many roles": {"roles": [f"role-{number}" * 20 for number in range(100)]},
}


@pytest.mark.parametrize("wrong", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_a_malformed_argument_issues_nothing(wrong: dict[str, Any], clock: FrozenClock) -> None:
    """What our own validation would refuse is not issued, and the error does not quote it."""
    arguments = {"subject": "u-1", "session": "s-1", "epoch": 0, **wrong}

    with pytest.raises(InvalidClaim) as refused:
        token_manager(clock=clock).create_access(arguments.pop("subject"), **arguments)
    assert refused.value.reason


def test_four_actors_fit(clock: FrozenClock) -> None:
    """Three services may stand between the caller and the user's own application."""
    manager = token_manager(clock=clock)
    chain = Actor("d", Actor("c", Actor("b", Actor("a"))))
    token = manager.create_access("u-1", session="s-1", epoch=0, actor=chain).token

    assert ("d", "c", "b", "a") == manager.validate(token).actors


def test_an_issued_token_does_not_show_itself(clock: FrozenClock) -> None:
    """``repr`` of what was issued and of what was read holds no token and no id."""
    manager = token_manager(clock=clock)
    issued = manager.create_access("u-1", session="session-1", epoch=0)

    for shown in (repr(issued), repr(manager.validate(issued.token)), repr(manager)):
        assert issued.token not in shown
        assert issued.token_id not in shown
        assert "session-1" not in shown


def test_claims_cannot_be_changed_and_compare_by_value(clock: FrozenClock) -> None:
    """What was validated stays what it was."""
    manager = token_manager(clock=clock)
    token = manager.create_access("u-1", session="s-1", epoch=0).token
    claims = manager.validate(token)

    with pytest.raises(TypeError):
        claims.members["sub"] = "u-2"  # type: ignore[index]
    with pytest.raises(AttributeError):
        claims.subject = "u-2"  # type: ignore[misc]
    assert claims == manager.validate(token)
    assert hash(claims) == hash(manager.validate(token))
    assert claims != manager.validate(manager.create_access("u-1", session="s-1", epoch=0).token)


class Tiers:
    """A plugin that adds two claims."""

    @hookimpl
    def common_token_claims(self, subject: TokenSubject) -> Mapping[str, Any]:
        """Tell the tier of a user."""
        return {"tier": "gold" if "trader" in subject.roles else "none", "tenant": subject.id.partition("-")[0]}


class Region:
    """A plugin that adds one claim and needs no argument."""

    @hookimpl
    def common_token_claims(self) -> Mapping[str, Any]:
        """Tell the region."""
        return {"region": "eu"}


class Failing:
    """A plugin whose source of claims is down."""

    @hookimpl
    def common_token_claims(self, subject: TokenSubject) -> Mapping[str, Any]:
        """Raise."""
        raise ConnectionError("no restrictions known")


def with_plugins(*plugins: object, clock: FrozenClock) -> TokenManager:
    """Build a token manager that asks *plugins*."""
    loaded = bare_plugins(*plugins, hookspecs=[common.auth.hookspecs])
    return token_manager(clock=clock, claims=claim_sources(loaded))


def test_plugins_add_claims(clock: FrozenClock) -> None:
    """All implementations are asked, each as it wants to be, and validation shows what they said."""
    manager = with_plugins(Tiers(), Region(), clock=clock)
    token = manager.create_access("acme-1", session="s-1", epoch=0, roles=["trader"]).token
    members = manager.validate(token).members

    assert ("gold", "acme", "eu") == (members["tier"], members["tenant"], members["region"])


def test_a_plugin_that_raises_refuses_the_token(clock: FrozenClock) -> None:
    """A missing claim may be a restriction; the plugin is named, its error is the cause, the client may come back."""
    with pytest.raises(ClaimsUnavailable, match="plugin-2") as refused:
        with_plugins(Tiers(), Failing(), Region(), clock=clock).create_access("u-1", session="s-1", epoch=0)

    assert isinstance(refused.value.__cause__, ConnectionError)
    assert (503, True) == (refused.value.status, refused.value.retryable)


@pytest.mark.parametrize("claim", sorted(OWN_CLAIMS))
def test_no_plugin_overwrites_a_claim_of_the_family(claim: str, clock: FrozenClock) -> None:
    """Roles and scope included."""
    source = NamedClaims("greedy", lambda subject: {claim: "x"})

    with pytest.raises(ConfigurationError, match=f"'greedy' may not set the claim '{claim}'"):
        token_manager(clock=clock, claims=[source]).create_access("u-1", session="s-1", epoch=0)


def test_two_plugins_with_one_claim_are_both_named(clock: FrozenClock) -> None:
    """Which of them wins is not left to the order of loading."""
    sources = [NamedClaims(name, lambda subject: {"tier": "gold"}) for name in ("first", "second")]

    with pytest.raises(ConfigurationError, match="'first' and 'second' both set the claim 'tier'"):
        token_manager(clock=clock, claims=sources).create_access("u-1", session="s-1", epoch=0)


@pytest.mark.parametrize("told", [None, ["tier"], "tier", {1: "x"}, 7])
def test_a_plugin_must_return_a_mapping(told: Any, clock: FrozenClock) -> None:
    """Anything else is a mistake that names the plugin."""
    with pytest.raises(ConfigurationError, match="'odd'"):
        token_manager(clock=clock, claims=[NamedClaims("odd", lambda subject: told)]).create_access(
            "u-1", session="s-1", epoch=0
        )


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), {1, 2}, b"x", "x" * 7000, MOMENT])
def test_a_claim_that_is_not_json_is_not_issued(value: Any, clock: FrozenClock) -> None:
    """Nor one for which there is no room."""
    with pytest.raises(InvalidClaim) as refused:
        token_manager(clock=clock, claims=[NamedClaims("odd", lambda subject: {"x": value})]).create_access(
            "u-1", session="s-1", epoch=0
        )
    assert refused.value.__context__ is None


def test_no_hook_is_called_after_start_up(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issuing and validating loop over what start-up collected; pluggy is not asked again (family F23)."""
    manager = with_plugins(Tiers(), Region(), clock=clock)

    def called(*arguments: object, **named: object) -> None:
        raise AssertionError("a hook was called")

    with monkeypatch.context() as patched:  # pytest itself calls hooks again right after
        patched.setattr(pluggy.HookCaller, "__call__", called)
        claims = manager.validate(manager.create_access("u-1", session="s-1", epoch=0).token)

    assert "eu" == claims.members["region"]


def test_validation_asks_no_plugin(clock: FrozenClock) -> None:
    """Claims are added when a token is issued, never when it is shown."""
    asked = []

    def remember(subject: TokenSubject) -> Mapping[str, Any]:
        asked.append(subject)
        return {}

    manager = token_manager(clock=clock, claims=[NamedClaims("counted", remember)])
    token = manager.create_access("u-1", session="s-1", epoch=0, roles=["a"], scope=["b"], client_id="web").token
    manager.validate(token)

    assert [TokenSubject(id="u-1", audience=AUDIENCE, client_id="web", roles=("a",), scope=("b",))] == asked


def test_keys_of_another_issuer_are_refused() -> None:
    """A key id is known under its issuer alone, so one id at two issuers is no risk (attack table, row 31)."""
    foreign = KeyRing([SigningKey.generate(kid="k1")], issuer="https://other.example")

    with pytest.raises(ConfigurationError, match="belong to issuer"):
        TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=foreign)


BAD_PROFILES = [
    {"access_ttl": timedelta(0)},
    {"access_ttl": timedelta(minutes=16)},
    {"leeway": timedelta(seconds=61)},
    {"leeway": timedelta(seconds=-1)},
    {"client_id": ""},
    {"client_id": "a b"},
]


@pytest.mark.parametrize("profile", BAD_PROFILES)
def test_limits_out_of_range_are_refused(profile: dict[str, Any], clock: FrozenClock) -> None:
    """When the manager is made, not when the first token comes (auth X3)."""
    with pytest.raises(ConfigurationError):
        token_manager(clock=clock, profile=TokenProfile(**profile))


@pytest.mark.parametrize("part", ["issuer", "audience"])
def test_issuer_and_audience_are_needed(part: str) -> None:
    """An empty one would match tokens without."""
    options: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, part: ""}

    with pytest.raises(ConfigurationError):
        TokenManager(keys=KeyRing([SigningKey.generate()], issuer=ISSUER), **options)


@pytest.mark.parametrize("kind", [kind for kind in TokenKind if kind is not TokenKind.ACCESS])
def test_other_kinds_are_not_validated_here(kind: TokenKind, clock: FrozenClock) -> None:
    """Asking for one is a mistake of the service."""
    with pytest.raises(ConfigurationError):
        token_manager(clock=clock).validate("a.b.c", kind=kind)


def test_the_year_is_right(clock: FrozenClock) -> None:
    """NumericDate counts from 1970 in UTC (RFC 7519, section 2)."""
    token = token_manager(clock=clock).create_access("u", session="s", epoch=0).token

    assert datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() == parts(token)[1]["iat"]
