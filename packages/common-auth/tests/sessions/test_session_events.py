"""Everything that happens to a session leaves exactly one audit event (auth A2)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import AuthError
from common.auth.security.context import RequestContext
from common.core.audit import AuditOutcome, Severity
from common.core.utils.clock import FrozenClock

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
CTX = RequestContext(client_id="web", request_id="req-12345678", source_ip="203.0.113.7", source_service="gateway")


def _reuse(house: Any, pair: Any) -> None:
    house.refresh(pair)
    house.clock.advance(11 * SECOND)
    house.event_types()
    house.manager.refresh(pair.refresh_token, CTX)


def _after(change: Callable[[Any, Any], object], then: Callable[[Any, Any], object]) -> Callable[[Any, Any], None]:
    def run(house: Any, pair: Any) -> None:
        change(house, pair)
        then(house, pair)

    return run


def _renew(house: Any, pair: Any) -> None:
    house.manager.refresh(pair.refresh_token, CTX)


def _show(house: Any, pair: Any) -> None:
    house.manager.validate_live(pair.access_token, ctx=CTX)


def _end(house: Any, pair: Any) -> None:
    house.manager.revoke_session(pair.session, ctx=CTX)


def _wait(days: int) -> Callable[[Any, Any], None]:
    return lambda house, pair: house.clock.advance(days * DAY)


# What happens after a login: the type, outcome and reason of the last event, and how many there were.
TABLE: dict[str, tuple[Callable[[Any, Any], object], int, str, str, str | None]] = {
    "login": (lambda house, pair: None, 1, "session_created", "success", None),
    "token": (
        lambda house, pair: house.manager.create_access("u-1", session="s-1", epoch=0),
        2,
        "authn_token_created",
        "success",
        None,
    ),
    "renewal": (_renew, 2, "session_renewed", "success", None),
    "repeat": (_after(_renew, _renew), 3, "session_renewed", "success", "repeated"),
    "reuse": (_reuse, 3, "authn_token_reuse", "failure", "superseded"),
    "after the end": (_after(_end, _renew), 3, "session_use_after_expire", "failure", "session_ended"),
    "after a logout everywhere": (
        _after(lambda house, pair: house.manager.revoke_user("u-1"), _renew),
        *(3, "session_use_after_expire", "failure", "epoch_raised"),
    ),
    "disabled": (
        _after(lambda house, pair: house.enable("u-1", enabled=False), _renew),
        *(2, "session_use_after_expire", "failure", "user_disabled"),
    ),
    "idle": (_after(_wait(7), _renew), 2, "session_expired", "success", "time_over"),
    "absolute": (_after(_wait(31), _renew), 2, "session_expired", "success", "time_over"),
    "another client": (
        lambda house, pair: house.manager.refresh(pair.refresh_token, RequestContext(client_id="mobile")),
        *(2, "authz_fail", "failure", "client_differs"),
    ),
    "wider scope": (
        lambda house, pair: house.manager.refresh(pair.refresh_token, CTX, scope=["admin"]),
        *(2, "authz_fail", "failure", "scope_widened"),
    ),
    "made up": (
        lambda house, pair: house.manager.refresh("x.y.z", CTX),
        *(2, "input_validation_fail", "failure", "not_base64url"),
    ),
    "access token, ended session": (_after(_end, _show), 3, "session_use_after_expire", "failure", "session_ended"),
    "access token, live": (_show, 1, "session_created", "success", None),
    "access token given back": (
        lambda house, pair: house.manager.revoke_token(pair.access_token, ctx=CTX),
        *(2, "authn_token_revoked", "success", None),
    ),
    "refresh token given back": (
        lambda house, pair: house.manager.revoke_token(pair.refresh_token, ctx=CTX),
        *(2, "authn_token_revoked", "success", None),
    ),
    "logout": (_end, 2, "session_ended", "success", None),
    "logout everywhere": (
        lambda house, pair: house.manager.revoke_user("u-1", ctx=CTX),
        *(2, "session_ended", "success", "all"),
    ),
    "logout elsewhere": (
        lambda house, pair: house.manager.revoke_other_sessions("u-1", keep=pair.session, ctx=CTX),
        *(2, "session_ended", "success", None),
    ),
}


@pytest.mark.parametrize("path", TABLE)
def test_each_path_leaves_one_event(house: Any, path: str) -> None:
    """Of the type that the vocabulary has for it, about the user and the session, with a reason where it failed."""
    act, count, kind, outcome, reason = TABLE[path]
    pair = house.login(scope=["a"])
    try:
        act(house, pair)
    except AuthError:
        assert outcome == "failure" or kind == "session_expired"
    events = house.events()

    assert count == len(events)
    assert (kind, AuditOutcome(outcome), reason) == (events[-1].type, events[-1].outcome, events[-1].reason)
    assert path == "made up" or events[-1].subject == "u-1"


def test_reuse_is_loud_and_says_where_it_came_from(house: Any) -> None:
    """High severity, the request, the client, and hashes of session and token (F3)."""
    pair = house.login()
    with pytest.raises(AuthError):
        _reuse(house, pair)
    event = house.events()[-1]
    claims = house.manager._refresh.read(pair.refresh_token)

    assert Severity.HIGH == event.severity
    assert ("req-12345678", "203.0.113.7", "gateway") == (event.request_id, event.source_ip, event.source_service)
    assert {"kind": "refresh", "client_id": "web", "jti": house.audit.pseudonym(claims.token_id)} == dict(event.details)
    assert house.audit.pseudonym(pair.session) == event.session


def test_a_renewal_tells_its_generation(house: Any) -> None:
    """The same one for the renewal and its repetition."""
    pair = house.login()
    house.refresh(house.refresh(pair))
    house.refresh(house.login())
    renewed = [event for event in house.events() if event.type == "session_renewed"]

    assert [2, 3, 2] == [event.details["generation"] for event in renewed]
    assert {"web"} == {event.details["client_id"] for event in renewed}


def test_a_reuse_that_cannot_end_the_session_is_written_all_the_same(house: Any, clock: FrozenClock) -> None:
    """The store goes away just then: the evidence is kept, and each repetition tries again."""
    pair = house.login()
    house.refresh(pair)
    clock.advance(11 * SECOND)
    revoke = house.kept_families.revoke

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    house.kept_families.revoke = unreachable
    with pytest.raises(AuthError):
        house.refresh(pair)
    house.kept_families.revoke = revoke
    with pytest.raises(AuthError):
        house.refresh(pair)

    assert 2 == house.event_types().count("authn_token_reuse")
    assert house.family(pair).revoked_at is not None


def test_no_event_holds_a_token_or_an_id(house: Any) -> None:
    """Neither tokens nor the ids of sessions and tokens are in any record, octet by octet (A5)."""
    pair = house.login()
    second = house.refresh(pair)
    house.manager.validate_live(second.access_token)
    house.manager.revoke_token(second.access_token)
    house.manager.revoke_session(pair.session)
    with pytest.raises(AuthError):
        house.refresh(second)
    house.events()
    lines = b"".join(record.line for record in house.sink.records).decode()

    secrets = [pair.session, pair.access_token, pair.refresh_token, second.access_token, second.refresh_token]
    secrets += [str(house.manager.validate(each.access_token).token_id) for each in (pair, second)]
    assert house.audit.pseudonym(pair.session) in lines
    assert not any(secret in lines for secret in secrets)


def test_without_a_trail_everything_works(build_house: Callable[..., Any]) -> None:
    """Events are an option of the service, not a need."""
    house = build_house(audit=None)
    pair = house.refresh(house.login())
    house.manager.revoke_session(pair.session)

    with pytest.raises(AuthError):
        house.refresh(pair)
    assert [] == house.events()
