"""Roles on the direct wire: their credentials sign its requests, and an engine that calls them expired is believed (W5)."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from common.dynamo import Database
from common.dynamo.exceptions import Unavailable
from common.dynamo.testing.examples import NOTE
from common.exceptions import ConfigurationError

pytestmark = pytest.mark.thorough

Assume = Callable[..., Any]


class Cloud(Protocol):
    """What these tests use of the fixture."""

    now: float
    lifetime: float
    refusal: tuple[int, str] | None
    open_for_renewal: threading.Event
    asked: list[dict[str, str]]
    used: list[str]
    faults: list[str]
    endpoint_url: str


def connect(cloud: Cloud, session: Any) -> Database:
    """Connect to the cloud's DynamoDB as *session*, over the direct wire."""
    return Database.connect(session=session, endpoint_url=cloud.endpoint_url, wire="direct", deadline=5.0)


def read(db: Database) -> None:
    """Make one call."""
    assert db.dao(NOTE).get("1") is None


def test_a_roles_credentials_sign_the_requests(cloud: Cloud, assume: Assume) -> None:
    """Nothing is fetched before the first call, and one fetching serves all calls."""
    with connect(cloud, assume()) as db:
        assert [] == cloud.asked
        for _ in range(3):
            read(db)

    assert (1, []) == (len(cloud.asked), cloud.faults)
    assert ["ASIA0000000000000001"] * 3 == cloud.used


def test_credentials_are_renewed_ahead_of_their_expiry(cloud: Cloud, assume: Assume) -> None:
    """A call that finds them about to expire waits for new ones, and the engine never sees expired ones."""
    with connect(cloud, assume(refresh_ahead=60)) as db:
        read(db)
        cloud.now += cloud.lifetime - 10
        read(db)

    assert (2, []) == (len(cloud.asked), cloud.faults)
    assert ["ASIA0000000000000001", "ASIA0000000000000002"] == cloud.used


def test_the_engine_knows_better_what_has_expired(cloud: Cloud, assume: Assume) -> None:
    """With a clock that is behind, they seem good; the engine's refusal fetches new ones, and the call is answered."""
    started = cloud.now
    with connect(cloud, assume(clock=lambda: started)) as db:
        read(db)
        cloud.now += cloud.lifetime + 1
        read(db)

    assert ["ExpiredTokenException"] == cloud.faults
    assert ["ASIA0000000000000001", "ASIA0000000000000001", "ASIA0000000000000002"] == cloud.used
    assert 2 == len(cloud.asked)


def test_an_sts_that_is_out_of_order_is_no_answer(cloud: Cloud, assume: Assume) -> None:
    """Nothing was sent, so the call may be repeated."""
    cloud.refusal = (500, "InternalFailure")

    with connect(cloud, assume()) as db, pytest.raises(Unavailable):
        db.dao(NOTE).get("1", deadline=0.3)
    assert [] == cloud.used


def test_a_role_that_cannot_be_assumed_is_the_operators_error(cloud: Cloud, assume: Assume) -> None:
    """It is told at once, and not retried."""
    cloud.refusal = (403, "AccessDenied")

    with connect(cloud, assume()) as db, pytest.raises(ConfigurationError, match="trust policy"):
        read(db)
    assert (1, []) == (len(cloud.asked), cloud.used)
