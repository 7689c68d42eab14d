"""Same as for what is inside: nothing foreign comes out of logins, published keys, events and probes (auth X2)."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import AuthError
from common.auth.gateway.lambda_authorizer import LambdaAuthorizer
from common.auth.gateway.probe import GatewayProbe
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.authenticator import Authenticator
from common.auth.security.context import RequestContext
from common.auth.security.jwks_endpoint import FetchedJwks, JwksEndpoint
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.memory_stores import MemoryCredentialStore
from common.auth.security.remote_jwks import RemoteJWKS
from common.auth.security.stores import Credential
from common.auth.testing import ISSUER, MOMENT, quick_passwords, token_manager
from common.auth.testing.jwks_server import JwksServer, answering, serving
from common.core.utils.clock import FrozenClock

pytestmark = pytest.mark.thorough

TEXT = st.text(st.characters(), max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ANYTHING = JSON | st.binary(max_size=200)
CLOCK = FrozenClock(MOMENT)
TOKENS = token_manager(clock=CLOCK)
BEARER = "Bearer " + TOKENS.create_access("u-1", session="s-1", epoch=0).token
GATEWAY = GatewaySigner(KeyRing([SigningKey.generate(kid="g1")], issuer="gateway"), bound=False)
AUTHORIZER = LambdaAuthorizer(TOKENS, GATEWAY, audience="orders")

quietly = contextlib.suppress(AuthError)


def logins() -> Authenticator:
    """Make a house with one user."""
    passwords = quick_passwords()
    ada = Credential(user_id="u-1", password_hash=passwords.hash("violet-tractor-mumbles-sonnet"))
    return Authenticator(MemoryCredentialStore([("ada", ada)]), passwords)


LOGINS = logins()


@settings(max_examples=150, deadline=None)
@given(ANYTHING | st.just("ada"), ANYTHING, TEXT | st.none(), ANYTHING)
def test_logins(identifier: Any, password: Any, address: str | None, new: Any) -> None:
    """Anything as a name, a password, an address, a new password."""
    ctx = RequestContext(request_id=address, source_ip=address, device=address, client_id=address)
    with quietly:
        LOGINS.login(identifier, password, ctx)
    with quietly:
        LOGINS.change_password(identifier, password, new, ctx)
    with quietly:
        LOGINS.change_password("u-1", "violet-tractor-mumbles-sonnet", new, ctx)
        LOGINS.change_password("u-1", new, "violet-tractor-mumbles-sonnet", ctx)


class Published:
    """Gives whatever document it has."""

    def __init__(self, document: Any) -> None:
        self.document = document

    def fetch(self) -> FetchedJwks:
        """Give it."""
        return FetchedJwks(self.document)


MEMBERS = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "k", "kid", "alg", "use", "key_ops"]),
    JSON | st.sampled_from(["OKP", "EC", "RSA", "oct", "Ed25519", "P-256", "EdDSA", "ES256", "RS256", "sig", "AQAB"]),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(JSON | st.fixed_dictionaries({"keys": JSON | st.lists(MEMBERS | JSON, max_size=4)}), ANYTHING, ANYTHING)
def test_published_documents(document: Any, kid: Any, alg: Any) -> None:
    """Any document as a key set, any key id and algorithm."""
    keys = RemoteJWKS(Published(document), issuer=ISSUER, clock=CLOCK)
    with quietly:
        keys.start(wait=timedelta(milliseconds=20))
    with quietly:
        keys.find(kid, alg)
    with quietly:
        keys.find("k1", alg)
    keys.stats()
    keys.close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[JwksServer]:
    """Return an issuer that answers whatever it is told to."""
    with serving(JwksServer()) as server:
        yield server


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300) | st.builds(lambda text: text.encode("utf-8", "replace"), TEXT), st.integers(200, 599))
def test_answers_of_an_issuer(issuer: JwksServer, body: bytes, status: int) -> None:
    """Any body under any status, as an answer and in place of one."""
    for answer in (answering(body, status), lambda handler: handler.wfile.write(body)):
        issuer.answer = answer
        with quietly:
            JwksEndpoint(issuer.url, seconds=2).fetch()


@settings(max_examples=150, deadline=None)
@given(TEXT | st.from_regex(r"https?://[^/\s]{0,20}(:[0-9a-z]{0,6})?/.{0,20}", fullmatch=True), TEXT, TEXT)
def test_addresses(url: str, name: str, value: str) -> None:
    """Any address, and any header of a probe."""
    with quietly:
        JwksEndpoint(url)
    with quietly:
        RemoteJWKS(url, issuer=name)
    with quietly:
        GatewayProbe(url, headers=[(name, value)])
    with quietly:
        GatewayProbe("http://127.0.0.1:1/", headers=[(name, value)], timeout=0.1).run()


EVENT: dict[str, Any] = {
    "version": "2.0",
    "type": "REQUEST",
    "routeArn": "arn",
    "methodArn": "arn",
    "rawPath": "/",
    "path": "/",
    "httpMethod": "GET",
    "headers": {"authorization": BEARER},
    "requestContext": {"requestId": "0190163d-8694", "http": {"method": "GET", "sourceIp": "203.0.113.9"}},
}


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*EVENT, "multiValueHeaders", "authorizationToken"]), JSON, max_size=4), ANYTHING
)
def test_authorizer_events(changes: dict[str, Any], noise: Any) -> None:
    """A documented event with anything in its places, and anything at all as an event."""
    rest = {**EVENT, "version": "1.0"}
    for call, event in (
        (AUTHORIZER.http_api, {**EVENT, **changes}),
        (AUTHORIZER.rest_api, {**rest, **changes}),
        (AUTHORIZER.rest_api, {**rest, "type": "TOKEN", **changes}),
        (AUTHORIZER.http_api, noise),
        (AUTHORIZER.rest_api, noise),
    ):
        with quietly:
            call(event)
