"""Every error has one status, one code and one problem body, and tells a client nothing else (auth X1)."""

import pytest

from common.auth import exceptions
from common.auth.exceptions import AuthError, HashingOverloaded, PolicyViolation, RateLimited, TokenError
from common.exceptions import CommonError, to_problem

BEARER = "Bearer"
INVALID_TOKEN = 'Bearer error="invalid_token"'

# Class: status, code, WWW-Authenticate.
TABLE = {
    "AuthError": (500, "auth_error", None),
    "AuthenticationError": (401, "unauthenticated", BEARER),
    "InvalidCredentials": (401, "invalid_credentials", BEARER),
    "AccountLocked": (401, "invalid_credentials", BEARER),
    "ApiKeyInvalid": (401, "invalid_api_key", BEARER),
    "TokenError": (401, "invalid_token", INVALID_TOKEN),
    "TokenInvalid": (401, "invalid_token", INVALID_TOKEN),
    "UnknownKey": (401, "invalid_token", INVALID_TOKEN),
    "TokenExpired": (401, "invalid_token", INVALID_TOKEN),
    "TokenNotYetValid": (401, "invalid_token", INVALID_TOKEN),
    "TokenWrongType": (401, "invalid_token", INVALID_TOKEN),
    "TokenRevoked": (401, "invalid_token", INVALID_TOKEN),
    "TokenReuseDetected": (401, "invalid_token", INVALID_TOKEN),
    "GatewayTrustError": (401, "untrusted_request", BEARER),
    "HeaderMissing": (401, "untrusted_request", BEARER),
    "HeaderMalformed": (400, "malformed_header", None),
    "HeaderSpoofed": (400, "malformed_header", None),
    "AssertionInvalid": (401, "untrusted_request", BEARER),
    "AssertionReplayed": (401, "untrusted_request", BEARER),
    "AuthorizationError": (403, "forbidden", None),
    "RoleRequired": (403, "forbidden", None),
    "ScopeRequired": (403, "insufficient_scope", 'Bearer error="insufficient_scope"'),
    "PolicyViolation": (422, "password_policy", None),
    "InvalidClaim": (422, "invalid_claim", None),
    "RateLimited": (429, "rate_limited", None),
    "AuthUnavailable": (503, "auth_unavailable", None),
    "HashingOverloaded": (503, "auth_unavailable", None),
    "KeySourceUnavailable": (503, "auth_unavailable", None),
    "StoreUnavailable": (503, "auth_unavailable", None),
    "RevocationUnavailable": (503, "auth_unavailable", None),
    "AuditUnavailable": (503, "auth_unavailable", None),
    "ClaimsUnavailable": (503, "auth_unavailable", None),
    "ConfigurationError": (500, "configuration_error", None),
    "WeakKey": (500, "configuration_error", None),
    "HashUnsupported": (500, "configuration_error", None),
}


def make(name: str) -> AuthError:
    """Build one, with an inside that must not show."""
    kind = getattr(exceptions, name)
    if kind is PolicyViolation:
        return PolicyViolation(("too_short",), "inside")
    error: AuthError = kind("inside", reason="inside")
    return error


def test_every_class_has_a_row() -> None:
    """A new class without a row fails here."""
    assert set(exceptions.__all__) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_status_code_and_challenge(name: str) -> None:
    """Each class answers with its row, and a 401 always carries a challenge (RFC 9110, section 15.5.2)."""
    status, code, challenge = TABLE[name]
    problem = to_problem(make(name))

    assert (status, code) == (problem.status, problem.body["code"])
    assert challenge == problem.headers.get("WWW-Authenticate")
    assert (status == 401) <= ("WWW-Authenticate" in problem.headers)


@pytest.mark.parametrize("name", TABLE)
def test_the_body_tells_nothing_of_the_inside(name: str) -> None:
    """Text and reason of the exception stay on this side."""
    assert "inside" not in repr(to_problem(make(name)))


@pytest.mark.parametrize("name", TABLE)
def test_there_is_one_root(name: str) -> None:
    """``except AuthError`` catches all of them, and ``except CommonError`` too."""
    assert isinstance(make(name), AuthError)
    assert isinstance(make(name), CommonError)


def test_all_token_errors_look_alike() -> None:
    """Why a token was refused cannot be seen from outside: one body, one set of headers (auth T6)."""
    answers = [to_problem(make(kind), request_id="r-1") for kind, row in TABLE.items() if row[1] == "invalid_token"]

    assert len(answers) > 7
    assert all(answer == answers[0] for answer in answers)


def test_policy_violations_tell_their_codes() -> None:
    """A client learns what to change about the password, by stable codes."""
    assert ["too_short", "listed_word"] == to_problem(PolicyViolation(("too_short", "listed_word"))).body["codes"]


@pytest.mark.parametrize(
    ("error", "seconds"), [(HashingOverloaded(retry_after=4.2), "5"), (RateLimited(retry_after=0), "1")]
)
def test_retry_after_is_whole_seconds_and_at_least_one(error: CommonError, seconds: str) -> None:
    """``Retry-After`` is rounded up (RFC 9110, section 10.2.3)."""
    assert seconds == to_problem(error).headers["Retry-After"]


def test_details_cannot_be_changed() -> None:
    """What an error carries is frozen."""
    error = TokenError(details={"kid": "k1"})

    with pytest.raises(TypeError):
        error.details["kid"] = "k2"  # type: ignore[index]
