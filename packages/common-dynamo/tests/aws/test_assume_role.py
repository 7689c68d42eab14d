"""Sessions of assumed roles (D48), at an STS and a DynamoDB over real sockets."""

import inspect
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import boto3
import pytest

from common.dynamo import Database
from common.dynamo.aws import assume_role
from common.dynamo.exceptions import Unavailable
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.examples import NOTE
from common.dynamo.testing.wrong_arguments import CALLBACK, DEADLINE, OBJECT, Case, Kind, assert_refused, wrong_values
from common.exceptions import CommonError, ConfigurationError

pytestmark = pytest.mark.thorough

ROLE = "arn:aws:iam::123456789012:role/orders"
THREADS = 8


class Cloud(Protocol):
    """What these tests use of the fixture."""

    now: float
    lifetime: float
    refusal: tuple[int, str] | None
    open_for_renewal: threading.Event
    asked: list[dict[str, str]]
    callers: list[str]
    most_at_once: int
    used: list[str]
    faults: list[str]
    endpoint_url: str


Assume = Callable[..., Any]


def connect(cloud: Cloud, session: Any, **options: Any) -> Database:
    """Connect to the cloud's DynamoDB as *session*."""
    return Database.connect(session=session, endpoint_url=cloud.endpoint_url, deadline=20.0, **options)


def read(db: Database) -> object:
    """Make one call."""
    return db.dao(NOTE).get("1")


def read_at_once(db: Database, threads: int = THREADS) -> list[BaseException | None]:
    """Make one call from each of several threads; return what each raised."""
    with ThreadPoolExecutor(threads) as pool:
        return [future.exception() for future in [pool.submit(read, db) for _ in range(threads)]]


def test_credentials_of_one_second_last_under_load(cloud: Cloud, assume: Assume) -> None:
    """Eight threads call for three seconds of the cloud's time: no call fails, and one renewal is under way at a time."""
    cloud.lifetime = 1.0
    step, rounds = 0.1, 30

    def tick() -> None:
        cloud.now += step

    barrier = threading.Barrier(THREADS, action=tick)

    def work(db: Database) -> None:
        for _ in range(rounds):
            try:
                read(db)
            finally:
                barrier.wait(30)

    with connect(cloud, assume(refresh_ahead=0.75)) as db, ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(work, db) for _ in range(THREADS)]:
            future.result()

    assert [] == cloud.faults
    assert THREADS * rounds == len(cloud.used)
    assert 1 == cloud.most_at_once
    assert rounds * step / cloud.lifetime <= len(cloud.asked) <= rounds * step / 0.25 + 1


def test_calls_go_on_while_credentials_are_renewed(cloud: Cloud, assume: Assume) -> None:
    """While STS takes its time, calls use the credentials that they have; afterwards the new ones."""
    with connect(cloud, assume(refresh_ahead=60)) as db:
        read(db)
        cloud.now += 3600 - 59
        cloud.open_for_renewal.clear()
        during = read_at_once(db)
        cloud.open_for_renewal.set()
        cloud.now += 40  # within the last third nobody goes on with the old ones
        read(db)

    assert [None] * THREADS == during
    assert 2 == len(cloud.asked)
    assert (["ASIA0000000000000001"] * 9, ["ASIA0000000000000002"]) == (cloud.used[:9], cloud.used[9:])


def test_nothing_is_asked_before_the_first_calls_and_those_ask_once(cloud: Cloud, assume: Assume) -> None:
    """Eight threads that begin together share one AssumeRole."""
    with connect(cloud, assume()) as db:
        assert [] == cloud.asked
        assert [None] * THREADS == read_at_once(db)

    assert 1 == len(cloud.asked)


def test_a_quarter_of_an_hour_is_not_renewed_at_every_call(cloud: Cloud, assume: Assume) -> None:
    """The shortest session that AWS grants is renewed once, ahead of its end."""
    cloud.lifetime = 900
    with connect(cloud, assume(duration=900)) as db:
        for _ in range(10):
            read(db)
        assert 1 == len(cloud.asked)
        cloud.now += 900 - 99
        read(db)

    assert 2 == len(cloud.asked)


def test_sts_is_asked_as_the_caller_for_what_was_given(cloud: Cloud, assume: Assume) -> None:
    """Role, session name, external id and duration go to STS, signed by the source session."""
    with connect(cloud, assume(external_id="ours/1", session_name="orders-7", duration=1800)) as db:
        read(db)

    assert ["AKIACALLER"] == cloud.callers
    assert {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "orders-7",
        "ExternalId": "ours/1",
        "DurationSeconds": "1800",
    } == cloud.asked[0]


def test_a_role_can_be_assumed_from_a_role(cloud: Cloud, assume: Assume) -> None:
    """The source session may be one of these itself."""
    with connect(cloud, assume("arn:aws:iam::123456789012:role/second", session=assume())) as db:
        read(db)

    assert ["AKIACALLER", "ASIA0000000000000001"] == cloud.callers
    assert ["ASIA0000000000000002"] == cloud.used


def test_credentials_of_the_environment_are_not_used_instead(
    cloud: Cloud, assume: Assume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of a role has the role's credentials or none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")
    with connect(cloud, assume()) as db:
        read(db)

    assert ["ASIA0000000000000001"] == cloud.used


def test_the_session_has_the_region_that_was_asked_for(cloud: Cloud, assume: Assume) -> None:
    """By default that of the source session."""
    assert ("eu-central-1", "us-east-2") == (assume().region_name, assume(region="us-east-2").region_name)


# Refusals -------------------------------------------------------------------------------------------------------------


REFUSALS = {
    "AccessDenied": "trust policy",
    "ExpiredToken": "have expired",
    "InvalidClientTokenId": "not valid",
    "RegionDisabledException": "switched off",
    "ValidationError": "longer than the role allows",
    "SomethingNew": "Compare the role",
}


def test_a_refusal_names_the_role_and_the_next_step(cloud: Cloud, assume: Assume) -> None:
    """It is a mistake in the set-up, and neither its text nor its causes hold a secret."""
    with connect(cloud, assume(external_id="ours-and-theirs")) as db:
        for code, hint in REFUSALS.items():
            cloud.refusal = (403, code)
            cloud.now += 2
            with pytest.raises(ConfigurationError) as caught:
                read(db)

            assert all(part in str(caught.value) for part in (ROLE, code, hint))
            assert_no_secret(caught.value)
    assert [] == cloud.used


@pytest.mark.parametrize(("status", "code"), [(500, "InternalFailure"), (400, "Throttling")])
def test_an_sts_out_of_order_is_unavailable(cloud: Cloud, assume: Assume, status: int, code: str) -> None:
    """Nothing was applied; the error names the role and the cause."""
    cloud.refusal = (status, code)
    with connect(cloud, assume()) as db, pytest.raises(Unavailable) as caught:
        db.dao(NOTE).get("1", deadline=0.1)

    assert ROLE in str(caught.value)
    assert code in str(caught.value)
    assert_no_secret(caught.value)


def test_an_sts_that_nobody_listens_at_is_unavailable(cloud: Cloud, assume: Assume) -> None:
    """The same without a server; other clients of the session are told by the same error."""
    session = assume(endpoint_url="http://127.0.0.1:1")

    with pytest.raises(Unavailable, match=f"{ROLE} could not be assumed: EndpointConnectionError"):
        session.client("dynamodb", endpoint_url=cloud.endpoint_url).list_tables()


def test_a_caller_without_credentials_is_told_so(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nobody to assume the role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    session = assume_role(ROLE, session=boto3.Session(region_name="eu-central-1"), endpoint_url=cloud.endpoint_url)

    with connect(cloud, session) as db, pytest.raises(ConfigurationError, match=f"assume the role {ROLE} with"):
        read(db)


def test_one_refusal_answers_all_that_wait(cloud: Cloud, assume: Assume) -> None:
    """Eight threads without credentials do not ask eight times."""
    cloud.refusal = (403, "AccessDenied")
    with connect(cloud, assume()) as db:
        raised = read_at_once(db)

    assert {ConfigurationError} == {type(error) for error in raised}
    assert 1 == len(cloud.asked)


def test_calls_survive_an_sts_that_is_out_of_order_for_a_while(
    cloud: Cloud, assume: Assume, caplog: pytest.LogCaptureFixture
) -> None:
    """While the present credentials are good, renewing is tried again after a pause, and calls notice nothing."""
    with connect(cloud, assume(refresh_ahead=60)) as db, caplog.at_level(logging.WARNING, "common.dynamo.aws"):
        read(db)
        cloud.now += 3600 - 59
        cloud.refusal = (500, "InternalFailure")
        settle(cloud, db, asked=2)
        for _ in range(10):
            read(db)
        assert 2 == len(cloud.asked)
        cloud.refusal = None
        cloud.now += 6
        settle(cloud, db, asked=3)
        read(db)

    assert [] == cloud.faults
    assert "ASIA0000000000000002" == cloud.used[-1]
    [record] = caplog.records
    assert f"the present ones are still good. The role {ROLE} could not be assumed" in record.getMessage()


def settle(cloud: Cloud, db: Database, *, asked: int) -> None:
    """Call until the thread that renews has asked STS so often and has ended."""
    for _ in range(1000):
        read(db)
        renewing = [thread for thread in threading.enumerate() if thread.name == "common-dynamo-credentials"]
        for thread in renewing:
            thread.join(10)
        if len(cloud.asked) >= asked:
            return
    raise AssertionError("STS was not asked again")


def test_credentials_that_come_expired_are_a_wrong_clock(cloud: Cloud, assume: Assume) -> None:
    """They would be asked for again and again."""
    cloud.lifetime = -1.0
    with connect(cloud, assume()) as db, pytest.raises(ConfigurationError, match="Set the clock of this machine"):
        read(db)


@pytest.mark.parametrize(
    ("role", "options", "told"),
    [
        ("orders", {}, "no ARN of a role"),
        ("arn:aws:iam::123456789012:user/alice", {}, "no ARN of a role"),
        (ROLE, {"session_name": "a b"}, "session name"),
        (ROLE, {"external_id": "?"}, "external id"),
        (ROLE, {"duration": 60}, "900 to 43200"),
    ],
)
def test_malformed_arguments_are_refused_at_once(
    cloud: Cloud, assume: Assume, role: str, options: dict[str, Any], told: str
) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=told):
        assume(role, **options)
    assert [] == cloud.asked


WRONG: dict[str, Kind] = {
    "role": wrong_values(ConfigurationError, None_=None, an_int=7, bytes_=b"arn", empty="", a_text=CANARY),
    "external_id": wrong_values(ConfigurationError, an_int=7, empty="", a_blank=f"{CANARY} x", a_list=[CANARY]),
    "session_name": wrong_values(ConfigurationError, None_=None, an_int=7, too_long=CANARY * 4, bytes_=b"name"),
    "region": wrong_values(ConfigurationError, an_int=7, empty="", a_blank=f"{CANARY} x", a_list=[CANARY]),
    "duration": wrong_values(ConfigurationError, None_=None, a_bool=True, a_float=900.0, a_text="900", zero=0),
    "session": OBJECT[1:],
    "endpoint_url": wrong_values(ConfigurationError, an_int=7, empty="", no_url=CANARY, a_list=[CANARY]),
    "refresh_ahead": (*DEADLINE, *wrong_values(ConfigurationError, zero=0, below_zero=-1, all_of_it=3600)),
    "clock": (*wrong_values(ConfigurationError, None_=None), *CALLBACK),
}


@pytest.mark.parametrize("parameter", WRONG)
def test_no_session_is_made_of_what_cannot_be_meant(cloud: Cloud, assume: Assume, parameter: str) -> None:
    """Every parameter, by its name, before anything is sent; and all of them are in the table."""
    assert WRONG.keys() == inspect.signature(assume_role).parameters.keys()
    assert_refused(Case("assume_role", parameter, WRONG[parameter]), lambda wrong: assume(**{parameter: wrong}))
    assert [] == cloud.asked


def test_without_a_region_the_error_says_where_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the argument, nor the source session, nor the environment has one."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        assume_role(ROLE)


def assert_no_secret(error: CommonError) -> None:
    """No text of the error, or of what it comes from, holds a secret."""
    seen: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is not None and each not in seen:
            seen.append(each)
            pending += [each.__cause__, each.__context__ if not each.__suppress_context__ else None]
    assert [] == [each for each in seen if "secret" in str(each) or "ours-and-theirs" in str(each)]
