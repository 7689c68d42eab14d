"""Signatures are those of AWS: of its published test suite, and of botocore for whatever is generated (W14)."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing.scripted_server import ScriptedServer, SeenRequest
from common.dynamo.testing.values import S, key
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import Credentials, StaticCredentials
from common.dynamo.wire.direct.endpoint import Endpoint
from common.dynamo.wire.direct.signing import RequestSigner
from common.dynamo.wire.sigv4 import Signer, amz_date

pytestmark = pytest.mark.thorough

# Of the AWS Signature Version 4 test suite (aws-sig-v4-test-suite) -------------------------------------------------

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DATE = "20150830T123600Z"
HEADERS = (("host", "example.amazonaws.com"), ("x-amz-date", DATE))
FORM = "application/x-www-form-urlencoded"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7"
    "mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d"
    "+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
SUITE: dict[str, tuple[dict[str, str], bytes, str]] = {
    "post-vanilla": ({}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-x-www-form-urlencoded": (
        {"content-type": FORM},
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-x-www-form-urlencoded-parameters": (
        {"content-type": f"{FORM}; charset=utf8"},
        b"Param1=value1",
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
    ),
    "post-header-key-sort": (
        {"my-header1": "value1"},
        b"",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    "post-header-value-case": (
        {"my-header1": "VALUE1"},
        b"",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-sts-header-before": (
        {"x-amz-security-token": TOKEN},
        b"",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
}


@pytest.mark.parametrize(("more", "body", "signature"), SUITE.values(), ids=SUITE)
def test_signatures_are_those_of_the_suite(more: dict[str, str], body: bytes, signature: str) -> None:
    """Of what the signer signs: POST, the root, no query."""
    headers = sorted([*HEADERS, *more.items()])

    found = Signer("us-east-1", "service").authorization("AKIDEXAMPLE", SECRET_KEY, DATE, headers, body)

    names = ";".join(name for name, _ in headers)
    scope = "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    assert f"AWS4-HMAC-SHA256 {scope}, SignedHeaders={names}, Signature={signature}" == found


# As botocore signs -------------------------------------------------------------------------------------------------


def by_botocore(url: str, region: str, credentials: Credentials, headers: dict[str, str], body: bytes) -> str:
    """Return the ``Authorization`` that botocore gives a request with *headers*, all of which it signs."""
    request = AWSRequest(method="POST", url=url, headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    given_to_it = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    auth = SigV4Auth(given_to_it, "dynamodb", region)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    names = auth.signed_headers(auth.headers_to_sign(request))
    return (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, "
        f"Signature={auth.signature(to_sign, request)}"
    )


def signed_headers(headers: dict[str, str]) -> dict[str, str]:
    (names,) = re.findall("SignedHeaders=([^,]+),", headers["authorization"])
    return {name: headers[name] for name in names.split(";")}


def is_as_botocore_signs(request: SeenRequest, url: str, region: str, credentials: Credentials) -> bool:
    headers = dict(request.headers)
    expected = by_botocore(url, region, credentials, signed_headers(headers), request.body)
    return expected == headers["authorization"]


VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
HOSTS = st.one_of(
    st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    st.just("[::1]"),
    st.just("127.0.0.1"),
    st.just("dynamodb.eu-central-1.amazonaws.com"),
)
PATHS = st.lists(st.from_regex(r"[A-Za-z0-9_~%!$&'()*+,;=:@-]{1,8}", fullmatch=True), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
CREDENTIALS = st.builds(
    Credentials,
    access_key=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=32),
    secret_key=st.text(VISIBLE, min_size=1, max_size=60),
    token=st.none() | st.text(VISIBLE, min_size=1, max_size=300),
)
MOMENTS = st.integers(1_420_070_400, 4_102_444_799).map(lambda second: datetime.fromtimestamp(second, UTC))


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(["http", "https"]),
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    path=PATHS,
    region=st.from_regex(r"[a-z]{2}(-gov|-iso)?-[a-z]{4,9}-[1-9]", fullmatch=True) | st.just("local"),
    credentials=CREDENTIALS,
    moment=MOMENTS,
    operation=st.sampled_from(["GetItem", "TransactWriteItems"]),
    body=st.binary(max_size=2000) | st.text().map(str.encode),
)
def test_signatures_are_those_of_botocore(
    scheme: str,
    host: str,
    port: int | None,
    path: str,
    region: str,
    credentials: Credentials,
    moment: datetime,
    operation: str,
    body: bytes,
) -> None:
    """Whatever host, port, path, region, key, token, moment and body."""
    url = f"{scheme}://{host}{'' if port is None else f':{port}'}{path}"
    signer = RequestSigner(Endpoint.parse(url), region, moment.timestamp)

    request = SeenRequest(signer.head(operation, body, credentials) + body, 1)

    assert moment.strftime("%Y%m%dT%H%M%SZ") == request.headers["x-amz-date"]
    assert is_as_botocore_signs(request, url, region, credentials)
    assert {"host", "x-amz-date", "x-amz-target"} <= signed_headers(dict(request.headers)).keys()
    assert credentials.token == request.headers.get("x-amz-security-token")


def test_what_goes_over_the_wire_is_signed(server: ScriptedServer, connect: Callable[..., DirectWire]) -> None:
    """The very bytes that a server gets, with and without a token."""
    for token in (None, TOKEN):
        credentials = Credentials("AKIDEXAMPLE", SECRET_KEY, token)
        wire = connect(credentials=StaticCredentials("AKIDEXAMPLE", SECRET_KEY, token))
        wire.send(GetItem(table="t", key=key("p", "s")), 5.0)
        wire.send(PutItem(table="t", item={**key("p", "s"), "text": S("é\u2028\U0001f600")}), 5.0)

        for request in server.requests[-2:]:
            assert is_as_botocore_signs(request, server.url, "eu-central-1", credentials)
    assert 4 == len(server.requests)


# The signing key ---------------------------------------------------------------------------------------------------


def derivations(calls: Callable[[], Any]) -> int:
    """Return how often a signing key is derived in *calls*."""
    count = 0

    def notice(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code is Signer._derive.__code__

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        calls()
    finally:
        sys.setprofile(before)
    return count


def sign(signer: Signer, date: str = DATE, secret_key: str = SECRET_KEY) -> str:
    return signer.authorization("AKIDEXAMPLE", secret_key, date, [("host", "h"), ("x-amz-date", date)], b"{}")


def test_a_signing_key_is_derived_once_a_day() -> None:
    """A thousand requests of one day need one, at whatever second."""
    signer = Signer("eu-central-1", "dynamodb")
    dates = [amz_date(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 86 * number) for number in range(1000)]

    assert 1 == derivations(lambda: [sign(signer, date) for date in dates])


def test_another_day_and_another_key_have_a_signing_key_of_their_own() -> None:
    """The signature is that of a signer which has signed nothing before."""
    signer = Signer("eu-central-1", "dynamodb")
    turns = [
        (DATE, SECRET_KEY),
        ("20150831T000000Z", SECRET_KEY),
        ("20150831T000001Z", SECRET_KEY),
        ("20150831T000001Z", "another"),
        (DATE, "another"),
        (DATE, SECRET_KEY),
    ]
    signatures: list[str] = []

    assert 5 == derivations(lambda: signatures.extend(sign(signer, date, secret) for date, secret in turns))
    assert [sign(Signer("eu-central-1", "dynamodb"), date, secret) for date, secret in turns] == signatures


def test_another_region_has_another_signing_key() -> None:
    """No two signers share one."""
    regions = ["eu-central-1", "eu-west-1", "us-east-1"]

    assert 3 == len({sign(Signer(region, "dynamodb"))[-64:] for region in regions})


def test_the_day_changes_in_utc() -> None:
    """The scope has the day of the signature's own date."""
    start = datetime(2026, 3, 29, 23, 59, 59, tzinfo=UTC)
    signer = Signer("eu-central-1", "dynamodb")

    scopes = [sign(signer, amz_date((start + timedelta(seconds=number)).timestamp())) for number in range(2)]

    assert ["20260329", "20260330"] == [scope.split("/")[1] for scope in scopes]


def test_a_signer_tells_no_secret() -> None:
    """Neither the secret key nor the one derived from it."""
    signer = Signer("eu-central-1", "dynamodb")
    sign(signer)

    assert SECRET_KEY not in repr(signer)
    assert "<Signer of eu-central-1/dynamodb/aws4_request>" == repr(signer)
