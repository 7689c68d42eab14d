"""A small cloud on a loopback port: an STS that hands out credentials, and a DynamoDB that checks them."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\S+?)/(\d+)/(\S+?)/(\S+?)/aws4_request, SignedHeaders=(\S+), Signature=(\w+)"
)
ISSUED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>
<Expiration>{expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code>
<Message>User someone may not do this with secret-of-the-caller</Message></Error></ErrorResponse>"""


@dataclass
class Cloud:
    """What the servers share with the test; its time stands still until the test moves it."""

    now: float = START
    """Epoch seconds."""
    lifetime: float = 3600.0
    """Seconds that new credentials are good for."""
    refusal: tuple[int, str] | None = None
    """Status and code that STS answers with, instead of credentials."""
    open_for_renewal: threading.Event = field(default_factory=threading.Event)
    """STS answers while this is set."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters of each AssumeRole."""
    callers: list[str] = field(default_factory=list)
    """The access key that signed each AssumeRole."""
    most_at_once: int = 0
    """The largest number of AssumeRole under way at one time."""
    used: list[str] = field(default_factory=list)
    """The access key that signed each call of DynamoDB."""
    faults: list[str] = field(default_factory=list)
    """What was wrong with a call of DynamoDB."""
    endpoint_url: str = ""
    _issued: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def assume(self, parameters: dict[str, str], caller: str) -> tuple[int, str]:
        """Answer AssumeRole."""
        with self._lock:
            self.asked.append(parameters)
            self.callers.append(caller)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        assert self.open_for_renewal.wait(30)
        with self._lock:
            self._under_way -= 1
            if self.refusal is not None:
                return self.refusal[0], REFUSED.format(code=self.refusal[1])
            number = len(self._issued) + 1
            access, secret, token = f"ASIA{number:016d}", f"secret-{number}", f"token-{number}"
            self._issued[access] = (secret, token, self.now + self.lifetime)
        expires = datetime.fromtimestamp(self.now + self.lifetime, UTC).isoformat()
        return 200, ISSUED.format(access=access, secret=secret, token=token, expires=expires)

    def serve(self, request: AWSRequest, token: str | None) -> tuple[int, str]:
        """Answer GetItem, if the request is signed with credentials that go together and have not expired."""
        access, _, region, service, _, _ = signature_of(request)
        secret, wanted, expires = self._issued.get(access, ("", "", 0.0))
        self.used.append(access)
        fault = ""
        if token != wanted or not is_signed_by(request, Credentials(access, secret), service, region):
            fault = "UnrecognizedClientException"
        elif self.now >= expires:
            fault = "ExpiredTokenException"
        if fault:
            self.faults.append(fault)
            return 400, f'{{"__type": "com.amazon.coral.service#{fault}"}}'
        return 200, "{}"


def signature_of(request: AWSRequest) -> tuple[str, ...]:
    """Return access key, date, region, service, signed headers and signature of *request*."""
    found = SIGNED.fullmatch(request.headers["Authorization"])
    assert found is not None
    return found.groups()


def is_signed_by(request: AWSRequest, credentials: Credentials, service: str, region: str) -> bool:
    """Sign *request* once more and compare."""
    *_, names, signature = signature_of(request)
    signed = {name: request.headers[name] for name in names.split(";")}
    copy = AWSRequest("POST", request.url, headers=signed, data=request.body)
    copy.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = SigV4Auth(credentials, service, region)
    text = signer.string_to_sign(copy, signer.canonical_request(copy))
    return bool(signer.signature(text, copy) == signature)


class Handler(BaseHTTPRequestHandler):
    """Takes a POST to one of the two services, told apart by DynamoDB's target header."""

    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def do_POST(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = AWSRequest("POST", f"http://{self.headers['Host']}/", headers=dict(self.headers.items()), data=body)
        if "X-Amz-Target" in self.headers:
            status, text = self.cloud.serve(request, self.headers.get("X-Amz-Security-Token"))
        else:
            parameters = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            status, text = self.cloud.assume(parameters, signature_of(request)[0])
        answer = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Both services on one port."""
    cloud = Cloud()
    cloud.open_for_renewal.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("CloudHandler", (Handler,), {"cloud": cloud}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    cloud.endpoint_url = f"http://127.0.0.1:{server.server_address[1]}"
    yield cloud
    cloud.open_for_renewal.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def caller() -> Any:
    """The session that assumes roles: its keys are long-lived ones."""
    return boto3.Session(
        aws_access_key_id="AKIACALLER",
        aws_secret_access_key="secret-of-the-caller",
        region_name="eu-central-1",
    )


@pytest.fixture
def assume(cloud: Cloud, caller: Any) -> Callable[..., Any]:
    """Assume the role of the tests at the cloud's STS, by the cloud's time."""
    from common.dynamo.aws import assume_role

    def assume(role: str = "arn:aws:iam::123456789012:role/orders", **options: Any) -> Any:
        given = {"session": caller, "endpoint_url": cloud.endpoint_url, "clock": lambda: cloud.now, **options}
        return assume_role(role, **given)

    return assume


@pytest.fixture(autouse=True)
def asked_for_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The direct wire asks a session ten times a second at most; the cloud's time jumps by hours within less."""
    monkeypatch.setattr("common.dynamo.wire.direct.credentials._FRESH", 0.0)
