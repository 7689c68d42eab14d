"""Whose requests the direct wire signs: credentials of the environment and of sessions, frozen, renewed, replaced (W5)."""

import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ConnectTimeoutError
from botocore.session import Session as CoreSession

from common.dynamo.requests import GetItem
from common.dynamo.testing.scripted_server import ScriptedServer, answer, refusal
from common.dynamo.testing.values import key
from common.dynamo.wire import NotSent
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import (
    Credentials,
    SessionCredentials,
    StaticCredentials,
    from_environment,
)
from common.dynamo.wire.direct.endpoint import Endpoint
from common.exceptions import ConfigurationError

GET = GetItem(table="t", key=key("p", "s"))
SECRET = "hunter2-secret"
TOKEN = "hunter2-token"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of AWS, no files, no metadata service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class Timer:
    """Seconds of a monotonic clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    """A clock for the pauses of a source."""
    return Timer()


def write_keys(folder: Path, access: str, secret: str = SECRET, token: str = "") -> None:
    """Write the shared credentials file."""
    (folder / ".aws").mkdir(exist_ok=True)
    lines = ["[default]", f"aws_access_key_id = {access}", f"aws_secret_access_key = {secret}"]
    lines += [f"aws_session_token = {token}"] if token else []
    (folder / ".aws" / "credentials").write_text("\n".join(lines))


class Issuer:
    """Hands out credentials with numbers, in the form that botocore refreshes by."""

    def __init__(self, lifetime: float = 3600.0) -> None:
        self.lifetime = lifetime
        self.issued = 0
        self.failure: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_asked = threading.Event()

    def __call__(self) -> dict[str, str]:
        self.is_asked.set()
        assert self.may_answer.wait(30)
        if self.failure is not None:
            raise self.failure
        self.issued += 1
        expires = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        number = self.issued
        return {
            "access_key": f"ASIA{number}",
            "secret_key": f"{SECRET}-{number}",
            "token": f"{TOKEN}-{number}",
            "expiry_time": expires.isoformat(),
        }

    def session(self) -> Any:
        """Return a session with the issuer's first credentials, as services make them that refresh by themselves."""
        core = CoreSession()
        core._credentials = RefreshableCredentials.create_from_metadata(self(), self, "test")
        return boto3.Session(botocore_session=core, region_name="eu-central-1")


# Given ----------------------------------------------------------------------------------------------------------------


def test_given_credentials_stay_as_they_are() -> None:
    """Every attempt gets the same value, and there are no others."""
    source = StaticCredentials("AKID", SECRET, TOKEN)

    assert Credentials("AKID", SECRET, TOKEN) == source.current()
    assert source.current() is source.current()
    assert source.renew(source.current()) is None


def test_nothing_that_is_printed_holds_a_secret() -> None:
    """Neither the credentials nor their sources."""
    session = boto3.Session(aws_access_key_id="AKID", aws_secret_access_key=SECRET, aws_session_token=TOKEN)
    sources = StaticCredentials("AKID", SECRET, TOKEN), SessionCredentials(session)

    assert "hunter2" not in "".join(f"{source!r}{source.current()!r}" for source in sources)


@pytest.mark.parametrize(
    ("access", "secret", "token"),
    [("", SECRET, None), ("AK\n", SECRET, None), ("A K", SECRET, None), ("AKID", "", None), ("AKID", SECRET, "é")],
    ids=["empty", "two lines", "a space", "no secret", "not ASCII"],
)
def test_credentials_that_no_header_carries_are_refused(access: str, secret: str, token: str | None) -> None:
    """A key with the end of its line would be a header of its own; the text does not repeat it."""
    with pytest.raises(ConfigurationError, match="AWS credentials") as refused:
        Credentials(access, secret, token)

    assert "hunter2" not in str(refused.value)


# The environment ------------------------------------------------------------------------------------------------------

ENVIRONMENTS: list[tuple[str, dict[str, str], Credentials | None]] = [
    ("none", {}, None),
    ("a user's key", {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"}, Credentials("AKID", "s")),
    (
        "a session's",
        {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"},
        Credentials("ASIA", "s", "t"),
    ),
    (
        "the token's older name",
        {
            "AWS_ACCESS_KEY_ID": "ASIA",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_SECURITY_TOKEN": "old",
            "AWS_SESSION_TOKEN": "t",
        },
        Credentials("ASIA", "s", "old"),
    ),
    ("an empty token", {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": ""}, Credentials("A", "s")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "expected"), [row[1:] for row in ENVIRONMENTS], ids=[row[0] for row in ENVIRONMENTS]
)
def test_the_environment_is_read_as_boto3_reads_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Credentials | None
) -> None:
    """The same variables in the same order."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = from_environment()
    theirs = boto3.Session().get_credentials()

    assert expected == (None if found is None else found.current())
    assert expected == (None if theirs is None else Credentials(*theirs.get_frozen_credentials()[:3]))


@pytest.mark.parametrize(
    ("present", "absent"),
    [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")],
)
def test_half_of_the_credentials_names_the_other(monkeypatch: pytest.MonkeyPatch, present: str, absent: str) -> None:
    """The message says which variable is missing, and not what the other one holds."""
    monkeypatch.setenv(present, SECRET)

    with pytest.raises(ConfigurationError, match=f"{absent} is not") as refused:
        from_environment()
    assert SECRET not in str(refused.value)


def test_a_later_change_of_the_environment_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a boto3 client, which reads it once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    source = from_environment()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")

    assert source is not None
    assert "AKID" == source.current().access_key


# Sessions: the first time ---------------------------------------------------------------------------------------------


def counting_process(folder: Path) -> Path:
    """Configure a command that writes credentials, and return the file that has one line per run of it."""
    runs, program = folder / "runs", folder / "issue.py"
    program.write_text(
        f"import json, pathlib, sys\nruns = pathlib.Path({str(runs)!r})\n"
        "with runs.open('a') as file: file.write('run\\n')\n"
        f"if pathlib.Path({str(folder / 'fails')!r}).exists(): sys.exit('{SECRET}')\n"
        f"print(json.dumps({{'Version': 1, 'AccessKeyId': 'AKPROCESS', 'SecretAccessKey': '{SECRET}'}}))\n"
    )
    (folder / ".aws").mkdir()
    (folder / ".aws" / "config").write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")
    return runs


def test_a_session_is_asked_at_the_first_call_and_once(tmp_path: Path) -> None:
    """Sixteen threads wait for one command, which nobody runs before."""
    runs = counting_process(tmp_path)
    source = SessionCredentials(boto3.Session())
    before = runs.exists()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: source.current(), range(64)))

    assert not before
    assert {Credentials("AKPROCESS", SECRET)} == set(found)
    assert ["run"] == runs.read_text().splitlines()


def test_credentials_that_cannot_be_fetched_are_tried_again(tmp_path: Path) -> None:
    """It is no answer, so the call may be repeated; the text does not repeat what the command has said."""
    counting_process(tmp_path)
    (tmp_path / "fails").touch()
    source = SessionCredentials(boto3.Session())

    with pytest.raises(NotSent, match="CredentialRetrievalError") as failed:
        source.current()
    (tmp_path / "fails").unlink()

    assert SECRET not in str(failed.value)
    assert "AKPROCESS" == source.current().access_key


def test_a_session_without_credentials_is_looked_at_again(tmp_path: Path, timer: Timer) -> None:
    """None at all is the operator's error; they are looked for again after five seconds, and not for each call."""
    source = SessionCredentials(boto3.Session(), timer=timer)
    with pytest.raises(ConfigurationError, match="No AWS credentials were found"):
        source.current()
    write_keys(tmp_path, "AKID")
    with pytest.raises(ConfigurationError):
        source.current()
    timer.now += 5

    assert "AKID" == source.current().access_key


def test_a_session_without_credentials_names_half_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment has the one and not the other."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID is not"):
        SessionCredentials(boto3.Session()).current()


def test_a_file_with_half_of_the_credentials_is_the_operators_error(tmp_path: Path) -> None:
    """The message names what is missing."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = AKID\n")

    with pytest.raises(ConfigurationError, match="lack aws_secret_access_key"):
        SessionCredentials(boto3.Session()).current()


def test_a_configuration_that_cannot_work_is_the_operators_error(tmp_path: Path) -> None:
    """Another attempt would not mend a role whose source is nowhere."""
    (tmp_path / ".aws").mkdir()
    role = "role_arn = arn:aws:iam::123456789012:role/orders\nsource_profile = nobody\n"
    (tmp_path / ".aws" / "config").write_text(f"[default]\n{role}")

    with pytest.raises(ConfigurationError, match="InvalidConfigError"):
        SessionCredentials(boto3.Session()).current()


# Sessions: later ------------------------------------------------------------------------------------------------------


def test_botocore_renews_ahead_of_the_expiry() -> None:
    """What expires within ten minutes is replaced before it is used."""
    issuer = Issuer(lifetime=60)
    session = issuer.session()
    issuer.lifetime = 3600

    assert ["ASIA2"] * 3 == [SessionCredentials(session).current().access_key for _ in range(3)]


def test_botocore_is_asked_ten_times_a_second_at_most(timer: Timer) -> None:
    """Between two askings, all calls get the very same value."""
    issuer = Issuer()
    session = issuer.session()
    source = SessionCredentials(session, timer=timer)
    first = source.current()
    session._session._credentials._expiry_time = datetime.now(UTC)
    timer.now += 0.09
    within = source.current()
    timer.now += 0.02

    assert within is first
    assert "ASIA2" == source.current().access_key


FAILURES = {
    "the network": ConnectTimeoutError(endpoint_url="http://127.0.0.1"),
    "the system": ConnectionResetError(),
    "expired already": RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_renewal_that_fails_is_no_answer(failure: Exception, timer: Timer) -> None:
    """While the present ones are good, nobody notices; after that nothing is sent, and the call may be repeated."""
    issuer = Issuer(lifetime=800)
    session = issuer.session()
    issuer.failure = failure
    source = SessionCredentials(session, timer=timer)
    noticed = source.current().access_key
    session._session._credentials._expiry_time = datetime.now(UTC)
    timer.now += 1

    assert "ASIA1" == noticed
    with pytest.raises(NotSent, match=type(failure).__name__):
        source.current()


def test_an_error_of_the_owners_own_code_is_not_hidden(timer: Timer) -> None:
    """What a service's own refresher raises is its bug, and no outage."""
    issuer = Issuer(lifetime=1)
    session = issuer.session()
    issuer.failure = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        SessionCredentials(session, timer=timer).current()


# Expired, says the engine ---------------------------------------------------------------------------------------------


def test_an_expired_token_is_replaced_and_the_request_signed_again() -> None:
    """Once, with the session's new credentials; the caller sees the answer alone."""
    source = SessionCredentials(Issuer().session())
    with ScriptedServer(refusal("ExpiredTokenException", 400), answer({})) as server:
        wire = DirectWire(endpoint_of(server), "eu-central-1", source)
        found = wire.send(GET, 5.0)
        wire.close()

    assert 200 == found.status
    assert [f"{TOKEN}-1", f"{TOKEN}-2"] == [seen.headers["x-amz-security-token"] for seen in server.requests]


def test_credentials_that_stay_as_they_are_are_refused_once() -> None:
    """There are no others, so the refusal is the answer."""
    with ScriptedServer(refusal("ExpiredTokenException", 400)) as server:
        wire = DirectWire(endpoint_of(server), "eu-central-1", StaticCredentials("ASIA", SECRET, TOKEN))
        found = wire.send(GET, 5.0)
        wire.close()

    assert (400, "ExpiredTokenException", 1) == (found.status, found.body["__type"], len(server.requests))


def endpoint_of(server: ScriptedServer) -> Endpoint:
    """Return where *server* listens."""
    return Endpoint.parse(server.url)


def test_many_threads_that_are_refused_renew_once(timer: Timer) -> None:
    """The first one fetches, and the others get what it has brought."""
    issuer = Issuer()
    source = SessionCredentials(issuer.session(), timer=timer)
    refused = source.current()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: source.renew(refused), range(64)))

    assert {"ASIA2"} == {each.access_key for each in found if each is not None}
    assert (64, 2) == (len(found), issuer.issued)


def test_a_renewal_that_brought_nothing_is_not_repeated_at_once(timer: Timer) -> None:
    """An engine that calls everything expired makes one fetch in five seconds, not one per call."""
    issuer = Issuer()
    source = SessionCredentials(issuer.session(), timer=timer)
    brought = source.renew(source.current())
    again = source.renew(source.current())
    timer.now += 5
    later = source.renew(source.current())

    assert ["ASIA2", None, "ASIA3"] == [each and each.access_key for each in (brought, again, later)]


def test_a_renewal_that_cannot_be_had_is_no_answer(timer: Timer) -> None:
    """The call may be repeated, since the engine has refused it."""
    issuer = Issuer()
    source = SessionCredentials(issuer.session(), timer=timer)
    issuer.failure = ConnectionResetError()

    with pytest.raises(NotSent, match="ConnectionResetError"):
        source.renew(source.current())


def test_a_file_that_somebody_has_rewritten_is_read_again(tmp_path: Path, timer: Timer) -> None:
    """A tool that keeps the credentials file fresh need not restart the service."""
    write_keys(tmp_path, "ASIA1", token="t1")
    source = SessionCredentials(boto3.Session(), timer=timer)
    refused = source.current()
    write_keys(tmp_path, "ASIA2", token="t2")
    timer.now += 1

    assert "ASIA1" == source.current().access_key
    assert Credentials("ASIA2", SECRET, "t2") == source.renew(refused)
    assert "ASIA2" == source.current().access_key


def test_a_file_that_says_the_same_brings_nothing(tmp_path: Path) -> None:
    """So the refusal is the answer."""
    write_keys(tmp_path, "ASIA1", token="t1")
    source = SessionCredentials(boto3.Session())

    assert source.renew(source.current()) is None


IDENTITIES: dict[str, Callable[[], Any]] = {
    "given to the session": lambda: boto3.Session(aws_access_key_id="AKGIVEN", aws_secret_access_key=SECRET),
    "of a file": boto3.Session,
}


@pytest.mark.parametrize("session", IDENTITIES.values(), ids=IDENTITIES)
def test_nobody_gets_the_credentials_of_another_provider(
    session: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be another identity, with other permissions."""
    write_keys(tmp_path, "AKFILE")
    source = SessionCredentials(session())
    refused = source.current()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKSOMEBODYELSE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")

    assert source.renew(refused) is None
    assert refused == source.current()


# Forks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork with threads is what this is about
def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    """A fork in the midst of a renewal leaves botocore's lock taken for ever; the child has one of its own."""
    issuer = Issuer(lifetime=1)
    session = issuer.session()
    source = SessionCredentials(session)
    issuer.lifetime = 3600
    issuer.is_asked.clear()
    issuer.may_answer.clear()
    thread = threading.Thread(target=source.current)
    thread.start()
    assert issuer.is_asked.wait(10)

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        issuer.may_answer = threading.Event()
        issuer.may_answer.set()
        os.write(write, json.dumps(source.current().access_key).encode())
        os._exit(0)
    issuer.may_answer.set()
    thread.join()
    os.close(write)
    with os.fdopen(read) as answers:
        found = answers.read()
    os.waitpid(child, 0)

    assert '"ASIA2"' == found
