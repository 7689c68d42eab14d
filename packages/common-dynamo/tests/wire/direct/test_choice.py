"""Which wire a database gets on a network, and why: the direct one unless only botocore can do what is needed (W9)."""

import logging
import os
import select
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import botocore
import botocore.handlers
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import Session as CoreSession

from common.dynamo import Database
from common.dynamo.testing.certificates import Authority
from common.dynamo.wire import choice
from common.dynamo.wire.boto import BotoWire
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.endpoint import Endpoint
from common.dynamo.wire.direct.regions import endpoint_url_of
from common.exceptions import ConfigurationError

KEYS = {"AWS_ACCESS_KEY_ID": "AKENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "hunter2"}
REGION = {"AWS_DEFAULT_REGION": "eu-central-1"}
PLAIN = {**KEYS, **REGION}
AWS = ("dynamodb.eu-central-1.amazonaws.com", 443)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variables, no files, no metadata service, and a botocore that nobody has a hand in."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    own = [entry for entry in botocore.handlers.BUILTIN_HANDLERS if "moto" not in getattr(entry[1], "__module__", "")]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", own)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables."""

    def environment(variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return environment


Environment = Callable[[Mapping[str, str]], None]


def session(**options: Any) -> Any:
    return boto3.Session(aws_access_key_id="AKSESSION", aws_secret_access_key="hunter2", **options)


def opened(**options: Any) -> tuple[str, str]:
    """Return name and reason of the wire of a database that is opened with *options*."""
    with Database.connect(**options) as db:
        return db.wire.name, db.wire.reason


def key_of(db: Database) -> str:
    """Return the access key that *db* signs with."""
    assert isinstance(db.wire, DirectWire)
    return db.wire._credentials.current().access_key


# Direct ---------------------------------------------------------------------------------------------------------------


def test_the_environment_is_enough(environment: Environment) -> None:
    """Region and credentials as variables: the direct wire, to AWS over TLS."""
    environment(PLAIN)
    with Database.connect() as db:
        assert ("direct", *AWS, "eu-central-1") == (db.wire.name, *(db.wire.endpoint or ()), db.wire.region)
        assert "AKENVIRONMENT" == key_of(db)
        assert "region and credentials are variables of the environment" == db.wire.reason


def test_a_session_is_enough(environment: Environment) -> None:
    """Its region and its credentials, whatever the environment says besides."""
    environment({**KEYS, "AWS_DEFAULT_REGION": "us-east-1"})
    with Database.connect(session=session(region_name="eu-west-1")) as db:
        assert ("direct", "eu-west-1", "AKSESSION") == (db.wire.name, db.wire.region, key_of(db))
        assert "the session needs nothing that only botocore does" == db.wire.reason


def test_a_session_that_is_in_use_stays_a_plain_one() -> None:
    """Clients, resources and credentials that are taken from it leave nothing behind."""
    used = session(region_name="eu-central-1")
    used.client("s3")
    used.resource("dynamodb")
    used.get_credentials()

    assert "direct" == opened(session=used)[0]


WHERE: list[tuple[str, dict[str, str], str, dict[str, Any]]] = [
    ("a region's", PLAIN, "", {}),
    ("another region's", PLAIN, "", {"region": "us-gov-west-1"}),
    ("in China", PLAIN, "", {"region": "cn-north-1"}),
    ("an argument", PLAIN, "", {"endpoint_url": "http://127.0.0.1:8000"}),
    ("an argument with a path", PLAIN, "", {"endpoint_url": "http://127.0.0.1:8000/dynamodb/"}),
    ("over what is configured", {**PLAIN, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "", {"endpoint_url": "http://[::1]:8000"}),
    ("of all services", {**PLAIN, "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "", {}),
    ("of the service", {**PLAIN, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:2"}, "", {}),
    ("of another service", {**PLAIN, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "", {}),
    ("ignored", {**PLAIN, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"}, "", {}),
    ("empty", {**PLAIN, "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_DYNAMODB": ""}, "", {}),
    ("a file's region", KEYS, "[default]\nregion = ap-south-1\n", {}),
    ("a variable over the file's region", PLAIN, "[default]\nregion = ap-south-1\n", {}),
    ("a file's address", PLAIN, "[default]\nendpoint_url = http://127.0.0.1:9\n", {}),
    ("a file's address of the service", PLAIN, "[default]\nservices = here\n[services here]\ndynamodb =\n  endpoint_url = http://127.0.0.1:9\n", {}),
    ("a file's, ignored", PLAIN, "[default]\nignore_configured_endpoint_urls = true\nendpoint_url = http://127.0.0.1:9\n", {}),
    ("a profile's", {**KEYS, "AWS_PROFILE": "there"}, "[profile there]\nregion = sa-east-1\nendpoint_url = https://localhost:9\n", {}),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("given", ["nothing", "a session"])
@pytest.mark.parametrize(("variables", "file", "options"), [row[1:] for row in WHERE], ids=[row[0] for row in WHERE])
def test_requests_go_where_a_boto3_client_sends_them(
    environment: Environment, tmp_path: Path, variables: dict[str, str], file: str, options: dict[str, Any], given: str
) -> None:
    """Host, port, path and region are the same, whatever says so."""
    environment(variables)
    if file:
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws" / "config").write_text(file)
    if given == "a session":
        options = {**options, "session": boto3.Session()}
    theirs = BotoWire.build(**options)
    expected = Endpoint.parse(theirs._client.meta.endpoint_url), theirs.region
    theirs.close()

    with Database.connect(**options) as db:
        assert isinstance(db.wire, DirectWire)
        assert expected == (db.wire._endpoint, db.wire.region)


def test_the_address_of_every_region_is_botocores() -> None:
    """Or it is left to botocore, with those partitions that this version does not know by name."""
    left = set()
    core = session()._session
    resolver = core._get_internal_component("endpoint_resolver")
    for partition in core.get_available_partitions():
        for region in core.get_available_regions("dynamodb", partition, allow_non_regional=True):
            url = endpoint_url_of(region)
            if url is None:
                left.add(partition if "-fips" not in region and region != "local" else "pseudo regions")
            else:
                assert f"https://{resolver.construct_endpoint('dynamodb', region)['hostname']}" == url

    assert {"pseudo regions", "aws-iso", "aws-iso-b"} <= left
    assert left.isdisjoint({"aws", "aws-cn", "aws-us-gov"})


REGIONS: list[tuple[str, dict[str, str], str]] = [
    ("boto3's variable", {"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
    ("boto3's first", {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-2"}, "eu-west-1"),
    ("the other SDKs'", {"AWS_REGION": "eu-west-2"}, "eu-west-2"),
]


@pytest.mark.parametrize("wire", ["direct", "boto"])
@pytest.mark.parametrize("given", ["nothing", "a session"])
@pytest.mark.parametrize(("variables", "region"), [row[1:] for row in REGIONS], ids=[row[0] for row in REGIONS])
def test_the_region_is_looked_for_alike(
    environment: Environment, variables: dict[str, str], region: str, given: str, wire: str
) -> None:
    """On both wires; AWS_REGION, which boto3 does not read, is what our messages name."""
    environment({**KEYS, **variables})

    with Database.connect(wire=wire, session=None if given == "nothing" else boto3.Session()) as db:
        assert region == db.wire.region


def test_the_sessions_bundle_is_trusted_alone(environment: Environment, tmp_path: Path) -> None:
    """A configuration file's ca_bundle, for all requests; nothing else is."""
    bundle = Authority(tmp_path, "private").bundle
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
    environment(PLAIN)

    with Database.connect() as db:
        assert isinstance(db.wire, DirectWire)
        (authority,) = db.wire._tls().get_ca_certs()
    assert "private" in str(authority["subject"])


# Only botocore --------------------------------------------------------------------------------------------------------


def on_event(event: str, handler: Callable[..., Any] = lambda **_: None) -> Callable[[Any], None]:
    """Return what registers *handler* with a session."""
    return lambda given: given.events.register(event, handler)


def with_options(**options: Any) -> Callable[[Any], None]:
    """Return what gives the clients of a session *options*."""
    return lambda given: given._session.set_default_client_config(Config(**options))


def with_a_client_of_its_own(given: Any) -> None:
    given.client = given.client  # as instrumentation of one session does


SESSIONS: dict[str, tuple[Callable[[Any], None], str]] = {
    "a handler of DynamoDB's requests": (on_event("before-send.dynamodb"), "handler of its own for before-send.dynamodb"),
    "a handler of one operation": (on_event("before-call.dynamodb.GetItem"), "before-call.dynamodb.GetItem"),
    "a handler of all services": (on_event("request-created"), "request-created"),
    "a handler of all by name": (on_event("before-sign.*.GetItem"), "before-sign"),
    "unsigned requests": (on_event("choose-signer.dynamodb", botocore.handlers.disable_signing), "choose-signer"),
    "clients that do not sign": (with_options(signature_version=botocore.UNSIGNED), "option signature_version"),
    "clients with a proxy": (with_options(proxies={"https": "http://127.0.0.1:1"}), "option proxies"),
    "clients with a certificate": (with_options(client_cert="/nowhere"), "option client_cert"),
    "clients of another endpoint": (with_options(use_dualstack_endpoint=True), "option use_dualstack_endpoint"),
    "clients of another region": (with_options(region_name="eu-west-1"), "option region_name"),
    "a session that makes other clients": (with_a_client_of_its_own, "in its own way"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), SESSIONS.values(), ids=SESSIONS)
def test_a_session_that_needs_botocore_gets_it(change: Callable[[Any], None], reason: str) -> None:
    """The reason says what it was; asked for, the direct wire is refused with the same reason."""
    given = session(region_name="eu-central-1")
    change(given)

    name, found = opened(session=given)
    assert "boto" == name
    assert reason in found
    with pytest.raises(ConfigurationError, match=f"direct wire cannot be used: .*{reason.split('.')[0]}"):
        Database.connect(session=given, wire="direct")


HARMLESS: dict[str, Callable[[Any], None]] = {
    "a handler of another service": on_event("before-send.s3"),
    "timeouts": with_options(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3}),
    "options of S3": with_options(s3={"addressing_style": "path"}),
    "a longer pool": with_options(max_pool_connections=100, tcp_keepalive=True),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_concern_dynamodb_changes_nothing(change: Callable[[Any], None]) -> None:
    """The direct wire has bounds of its own."""
    given = session(region_name="eu-central-1")
    change(given)

    assert "direct" == opened(session=given)[0]


class OwnSession(boto3.Session):  # type: ignore[misc]  # boto3 publishes no types
    """A session that makes its clients in its own way."""

    def client(self, *arguments: Any, **options: Any) -> Any:
        """Make one."""
        return super().client(*arguments, **options)


class OwnCore(CoreSession):  # type: ignore[misc]  # nor does botocore
    """A session of botocore that does."""

    def create_client(self, *arguments: Any, **options: Any) -> Any:
        """Make one."""
        return super().create_client(*arguments, **options)


class Lookalike:
    """No session, and good enough for the boto wire."""

    def __init__(self) -> None:
        self._session = session()._session
        self.region_name = "eu-central-1"

    def client(self, *arguments: Any, **options: Any) -> Any:
        """Make one."""
        return session(region_name="eu-central-1").client(*arguments, **options)


@pytest.mark.parametrize(
    "given",
    [
        lambda: OwnSession(region_name="eu-central-1"),
        lambda: boto3.Session(botocore_session=OwnCore(), region_name="eu-central-1"),
        Lookalike,
    ],
    ids=["a subclass", "a subclass below", "a lookalike"],
)
def test_a_session_of_another_class_is_left_to_itself(given: Callable[[], Any]) -> None:
    """Its clients may be anything."""
    assert ("boto", "the session makes its clients in its own way") == opened(session=given())


def test_a_botocore_that_is_built_otherwise_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the handlers of a session are kept elsewhere, nobody guesses: the boto wire works all the same."""
    given = session(region_name="eu-central-1")
    monkeypatch.delattr(given.events._emitter, "_handlers")
    monkeypatch.setattr(given, "client", given.client)
    monkeypatch.delattr(given, "client")

    with patch.object(BotoWire, "build", return_value="built") as build, pytest.raises(AttributeError):
        choice.open_network_wire("auto", session=given)
    assert "the session could not be read (AttributeError)" == build.call_args.kwargs["reason"]


VARIABLES: dict[str, tuple[dict[str, str], str]] = {
    "a proxy": ({"HTTPS_PROXY": "http://user:hunter2@127.0.0.1:1"}, "a proxy is configured"),
    "a proxy, in small letters": ({"https_proxy": "http://127.0.0.1:1"}, "a proxy is configured"),
    "a proxy that others bypass": ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "localhost"}, "a proxy is configured"),
    "FIPS": ({"AWS_USE_FIPS_ENDPOINT": "true"}, "use_fips_endpoint"),
    "dual stack": ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "use_dualstack_endpoint"),
    "discovered endpoints": ({"AWS_ENDPOINT_DISCOVERY_ENABLED": "true"}, "endpoint_discovery_enabled"),
    "endpoints of the account": ({"AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"}, "the account's id"),
    "a partition of its own": ({"AWS_DEFAULT_REGION": "us-isob-east-1"}, "endpoint of the region"),
    "the local region": ({"AWS_DEFAULT_REGION": "local"}, "endpoint of the region"),
    "a pseudo region": ({"AWS_DEFAULT_REGION": "us-east-1-fips"}, "stands for another one"),
}  # fmt: skip


@pytest.mark.parametrize("given", ["nothing", "a session"])
@pytest.mark.parametrize(("variables", "reason"), VARIABLES.values(), ids=VARIABLES)
def test_an_environment_that_needs_botocore_gets_it(
    environment: Environment, variables: dict[str, str], reason: str, given: str
) -> None:
    """The reason names what it was, and no value of it."""
    environment({**PLAIN, **variables})

    name, found = opened(session=None if given == "nothing" else boto3.Session())
    assert "boto" == name
    assert reason in found
    assert "hunter2" not in found
    with pytest.raises(ConfigurationError, match=reason):
        Database.connect(wire="direct")


PROXIES: dict[str, tuple[dict[str, str], str | None]] = {
    "of another scheme": ({"HTTP_PROXY": "http://127.0.0.1:1"}, None),
    "of plain HTTP": ({"HTTP_PROXY": "http://127.0.0.1:1"}, "http://192.0.2.1:8000"),
    "bypassed": ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": ".amazonaws.com"}, None),
    "bypassed for all": ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "*"}, None),
    "bypassed for a port": ({"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "192.0.2.1:8000"}, "http://192.0.2.1:8000"),
    "bypassed for another": ({"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "192.0.2.2"}, "http://192.0.2.1:8000"),
    "of all schemes": ({"ALL_PROXY": "http://127.0.0.1:1"}, None),
    "empty": ({"HTTPS_PROXY": ""}, None),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize(("variables", "url"), PROXIES.values(), ids=PROXIES)
def test_a_proxy_counts_where_botocore_uses_it(
    environment: Environment, variables: dict[str, str], url: str | None
) -> None:
    """By the endpoint's scheme and name: botocore's own client has one exactly where ours is a boto wire."""
    environment({**PLAIN, **variables})
    theirs = BotoWire.build(endpoint_url=url)
    http = theirs._client._endpoint.http_session
    uses_proxy = http._proxy_config.proxy_url_for(theirs._client.meta.endpoint_url) is not None
    theirs.close()

    assert ("boto" if uses_proxy else "direct") == opened(endpoint_url=url)[0]


FILES: dict[str, tuple[str, str]] = {
    "another signature": ("[default]\ndynamodb =\n  signature_version = v4a\n", "signature_version"),
    "FIPS": ("[default]\nuse_fips_endpoint = true\n", "use_fips_endpoint"),
    "client-side monitoring": ("[default]\ncsm_enabled = true\n", "csm_enabled"),
    "another version of the API": ("[default]\napi_versions =\n  dynamodb = 2012-08-10\n", "api_versions"),
    "nonsense": ("[default\n", "the session could not be read"),
}


@pytest.mark.parametrize(("file", "reason"), FILES.values(), ids=FILES)
def test_a_file_that_needs_botocore_gets_it(environment: Environment, tmp_path: Path, file: str, reason: str) -> None:
    """What a configuration file says is botocore's to tell."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(file)
    environment(PLAIN)

    with pytest.raises(ConfigurationError, match=reason):
        Database.connect(wire="direct")


@pytest.mark.parametrize("name", ["endpoints.json", "partitions.json", "dynamodb/2012-08-10/service-2.json"])
def test_models_of_ones_own_need_botocore(environment: Environment, tmp_path: Path, name: str) -> None:
    """They may say that an endpoint is elsewhere, or that requests look otherwise."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    environment({**PLAIN, "AWS_DATA_PATH": str(tmp_path)})

    with pytest.raises(ConfigurationError, match="a data path has a model of DynamoDB, or endpoints, of its own"):
        Database.connect(wire="direct")


# Strangers in botocore ------------------------------------------------------------------------------------------------


@pytest.fixture
def tracer() -> Iterator[None]:
    """OpenTelemetry's instrumentation of botocore."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.botocore")
    instrumentor = instrumentation.BotocoreInstrumentor()
    instrumentor.instrument()
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("tracer")
@pytest.mark.parametrize(("spans", "name"), [("logical", "direct"), ("nested", "boto"), ("off", "boto")])
def test_spans_of_botocore_need_botocore(environment: Environment, spans: str, name: str) -> None:
    """The wire's own spans do not; they are what a database makes where nothing is said."""
    environment(PLAIN)

    assert name == opened(sdk_spans=spans)[0]


def test_a_patched_botocore_is_used(environment: Environment) -> None:
    """A tracer or a recorder that has patched its classes wants to see the requests."""
    environment(PLAIN)
    with patch.object(BaseClient, "_make_api_call"):
        found = opened()

    assert ("boto", "botocore's class BaseClient is patched") == found


def answer_for_aws(**_: Any) -> None:
    """Stand in for moto, whose handler answers requests in place of AWS."""


def test_a_handler_of_every_session_is_called(environment: Environment) -> None:
    """So that a test with moto never reaches AWS."""
    environment(PLAIN)
    botocore.handlers.BUILTIN_HANDLERS.append(("before-send", answer_for_aws))

    name, reason = opened()
    assert "boto" == name
    assert "before-send" in reason


def test_who_asks_for_the_direct_wire_gets_it(environment: Environment) -> None:
    """Whatever others do to botocore in the same process."""
    environment(PLAIN)
    botocore.handlers.BUILTIN_HANDLERS.append(("before-send", answer_for_aws))
    with patch.object(BaseClient, "_make_api_call"):
        assert "direct" == opened(wire="direct", sdk_spans="nested")[0]
        assert "direct" == opened(wire="direct", session=session(region_name="eu-central-1"))[0]


# What is said ---------------------------------------------------------------------------------------------------------


def test_a_client_is_always_on_the_boto_wire() -> None:
    """It is there to be used; asking for the direct wire besides is a contradiction."""
    client = session(region_name="eu-central-1").client("dynamodb")

    assert ("boto", "a boto3 client was given") == opened(client=client)
    with pytest.raises(ConfigurationError, match="a boto3 client was given"):
        Database.connect(client=client, wire="direct")


def test_the_boto_wire_may_be_asked_for(environment: Environment) -> None:
    """Nothing has to speak for it."""
    environment(PLAIN)

    assert ("boto", "it was asked for") == opened(wire="boto")


def test_a_system_without_poll_is_left_to_botocore(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none; there the boto wire is chosen, and the direct one refused with the reason."""
    monkeypatch.delattr(select, "poll")
    environment(PLAIN)

    assert ("boto", "this system has no poll(), which bounds each wait of the direct wire") == opened()
    with pytest.raises(ConfigurationError, match=r"no poll\(\)"):
        opened(wire="direct")


def test_the_choice_is_logged_once(environment: Environment, caplog: pytest.LogCaptureFixture) -> None:
    """With its reason, at INFO, by common.dynamo; without keys, and without the proxy's password."""
    environment(PLAIN)
    with caplog.at_level(logging.INFO, "common.dynamo"):
        opened()
        environment({"HTTPS_PROXY": "http://user:hunter2@127.0.0.1:1"})
        opened()

    told = [record.getMessage() for record in caplog.records if record.name == "common.dynamo"]
    place = "DynamoDB at dynamodb.eu-central-1.amazonaws.com:443 is reached through the"
    assert [
        f"{place} direct wire: region and credentials are variables of the environment.",
        f"{place} boto wire: a proxy is configured for the endpoint.",
    ] == told
    assert "hunter2" not in caplog.text


WRONG: list[tuple[str, dict[str, str], dict[str, Any], str]] = [
    ("no region", KEYS, {}, r"Give region=.*AWS_REGION"),
    ("no region of a session", {}, {"session": session}, r"Give region=.*AWS_REGION"),
    ("a malformed region", KEYS, {"region": "eu central"}, "eu-central-1"),
    ("a malformed address", PLAIN, {"endpoint_url": "http://user:hunter2@127.0.0.1"}, "a user"),
    ("no address", PLAIN, {"endpoint_url": "hunter2"}, "names no http or https server"),
    ("half of the credentials", {"AWS_ACCESS_KEY_ID": "hunter2", **REGION}, {}, "AWS_SECRET_ACCESS_KEY is not"),
    ("no bundle", {**PLAIN, "AWS_CA_BUNDLE": "/nowhere"}, {}, "CA bundle '/nowhere' cannot be read"),
]


@pytest.mark.parametrize("wire", ["auto", "direct"])
@pytest.mark.parametrize(("variables", "options", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_missing_is_named_at_once(
    environment: Environment, variables: dict[str, str], options: dict[str, Any], message: str, wire: str
) -> None:
    """Opening the database tells what to set, and repeats nothing that may be a secret."""
    environment(variables)
    given = {name: value() if callable(value) else value for name, value in options.items()}

    with pytest.raises(ConfigurationError, match=message) as refused:
        Database.connect(wire=wire, **given)
    assert "hunter2" not in str(refused.value)
