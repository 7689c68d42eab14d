"""The authorizer of Amazon API Gateway, on the events that its documentation shows."""

import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import (
    AuthenticationError,
    AuthUnavailable,
    ConfigurationError,
    HeaderSpoofed,
    RevocationUnavailable,
)
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.lambda_authorizer import LambdaAuthorizer
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.memory_stores import MemoryRefreshFamilyStore, MemoryRevocationStore
from common.auth.security.secrets import SecretBytes
from common.auth.security.session_values import Freshness
from common.auth.security.token_manager import Actor, TokenManager
from common.auth.testing import token_manager
from common.auth.testing.unreliable_store import UnreliableStore
from common.core.utils.clock import FrozenClock

ARN = "arn:aws:execute-api:us-east-1:123456789012:abcdef123/test/GET/request"
REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
KEYS = KeyRing([SigningKey.generate("EdDSA", kid="gateway-1")], issuer="gateway")


def http_event(authorization: str | None, **changes: Any) -> dict[str, Any]:
    """Return an event of payload 2.0 (developer guide, "Control access to HTTP APIs with AWS Lambda authorizers")."""
    headers = {"header1": "value1", "header2": "value1,value2"}
    if authorization is not None:
        headers["authorization"] = authorization
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": ARN,
        "identitySource": [authorization],
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "headers": headers,
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": "POST",
                "path": "/my/path",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.9",
                "userAgent": "agent",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "pathParameters": {"parameter1": "value1"},
        "stageVariables": {"stageVariable1": "value1"},
        **changes,
    }


def rest_event(authorization: str | None, **changes: Any) -> dict[str, Any]:
    """Return an event of type REQUEST (developer guide, "Input to an API Gateway Lambda authorizer")."""
    headers = {"X-AMZ-Date": "20170718T062915Z", "Accept": "*/*", "Host": "example"}
    if authorization is not None:
        headers["Authorization"] = authorization
    return {
        "type": "REQUEST",
        "methodArn": ARN,
        "resource": "/request",
        "path": "/request",
        "httpMethod": "GET",
        "headers": headers,
        "queryStringParameters": {"QueryString1": "queryValue1"},
        "pathParameters": {},
        "stageVariables": {"StageVar1": "stageValue1"},
        "requestContext": {
            "path": "/request",
            "accountId": "123456789012",
            "resourceId": "05c7jb",
            "stage": "test",
            "requestId": REQUEST_ID,
            "identity": {"apiKey": "...", "sourceIp": "203.0.113.9"},
            "resourcePath": "/request",
            "httpMethod": "GET",
            "apiId": "abcdef123",
        },
        **changes,
    }


def token_event(authorization: str | None) -> dict[str, Any]:
    """Return an event of type TOKEN (same page)."""
    return {"type": "TOKEN", "authorizationToken": authorization, "methodArn": ARN}


class Api:
    """An API with its authorizer, and the service behind."""

    def __init__(self, clock: FrozenClock, **options: Any) -> None:
        self.families = MemoryRefreshFamilyStore(clock=clock)
        self.revocations = UnreliableStore(MemoryRevocationStore(clock=clock))
        self.sink = MemorySink()
        self.audit = AuditLogger([self.sink], service="gateway", clock=clock)
        self.tokens: TokenManager = token_manager(
            clock=clock, families=self.families, revocations=self.revocations, audit=self.audit
        )
        signer = options.pop("signer", None) or GatewaySigner(KEYS, bound=False, clock=clock)
        self.authorizer = LambdaAuthorizer(self.tokens, signer, audience="orders", audit=self.audit, **options)
        self.orders = HeaderValidator(
            mode=TrustMode.ASSERTION,
            service="orders",
            keys=KEYS,
            roles={"trader"},
            sources={"gateway"},
            clock=clock,
        )

    def bearer(self, **claims: Any) -> str:
        """Return an ``Authorization`` header with a good token."""
        return "Bearer " + self.tokens.create_access("u-1", session="s-1", epoch=0, **claims).token

    def told(self) -> list[tuple[str, str | None]]:
        """Return the types and reasons of the events but those of tokens that were issued."""
        assert self.audit.flush(5.0).complete
        return [(event.type, event.reason) for event in self.sink.events if event.type != "authn_token_created"]


@pytest.fixture
def api(clock: FrozenClock) -> Iterator[Any]:
    """Return a function that makes an :class:`Api`."""
    made: list[Api] = []

    def make(**options: Any) -> Api:
        made.append(Api(clock, **options))
        return made[-1]

    yield make
    for each in made:
        each.audit.close(1.0)


def behind(
    parameters: Mapping[str, str], context: Mapping[str, str], sent: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """Do what API Gateway does with a parameter mapping; return the headers that the integration sees."""
    headers = [(name.lower(), value) for name, value in sent]
    for place, source in parameters.items():
        action, _, name = place.partition(":header.")
        headers = [pair for pair in headers if pair[0] != name.encode()]
        if action == "overwrite":
            headers.append((name.encode(), context[source.removeprefix("$context.authorizer.")].encode()))
    return headers


def test_a_good_token_reaches_the_service_as_a_signed_identity(api: Any) -> None:
    """The context has what the parameter mapping sets, and the service believes it and nothing that the client sent."""
    gate = api()
    answer = gate.authorizer.http_api(http_event(gate.bearer(roles=["trader"], scope=["orders:read"])))
    spoofed = [(b"X-User-ID", b"u-eve"), (b"X-User-Role", b"admin"), (b"X-Identity-Assertion", b"x.y.z")]
    headers = behind(gate.authorizer.request_parameters(), answer["context"], spoofed)
    identity = gate.orders.validate("POST", b"/my/path", headers)

    assert answer["isAuthorized"] is True
    assert ("u-1", {"trader"}, {"orders:read"}) == (identity.user_id, identity.roles, identity.scope)
    assert identity.request_id == answer["context"]["x_request_id"]
    assert [] == gate.told()


def test_the_mapping_overwrites_or_removes_every_identity_header(api: Any) -> None:
    """It appends none: an appended header would let the client's value come first (auth G18)."""
    parameters = api().authorizer.request_parameters()

    assert {
        "remove:header.x-user-id": "''",
        "remove:header.x-user-role": "''",
        "overwrite:header.x-request-id": "$context.authorizer.x_request_id",
        "remove:header.x-source-service": "''",
        "overwrite:header.x-identity-assertion": "$context.authorizer.x_identity_assertion",
        "remove:header.x-identity-signature": "''",
    } == parameters


def test_an_api_that_appends_is_found_out_by_the_service(api: Any) -> None:
    """What reaches the service twice is refused, so a wrong mapping shows at once."""
    gate = api()
    answer = gate.authorizer.http_api(http_event(gate.bearer()))
    headers = behind(gate.authorizer.request_parameters(), answer["context"], [])

    with pytest.raises(HeaderSpoofed):
        gate.orders.validate("GET", b"/", [(b"x-identity-assertion", b"x.y.z"), *headers])


@pytest.mark.parametrize("event", [rest_event, token_event])
def test_a_rest_api_gets_a_policy_for_the_one_request(api: Any, event: Any) -> None:
    """The policy allows the method that was asked for, in the name of the user; the context is flat text."""
    gate = api()
    answer = gate.authorizer.rest_api(event(gate.bearer(roles=["trader"])))
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in answer["context"].items()]

    assert "u-1" == answer["principalId"]
    assert {
        "Version": "2012-10-17",
        "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN}],
    } == answer["policyDocument"]
    assert "u-1" == gate.orders.validate("GET", b"/request", headers).user_id
    assert answer == json.loads(json.dumps(answer))


def test_the_request_id_of_the_api_goes_on_where_it_has_the_form_of_one(api: Any) -> None:
    """A REST API's does; an HTTP API's ends in an equals sign, so a new one is made."""
    gate = api(new_request_id=lambda: "made-anew-1")
    rest = gate.authorizer.rest_api(rest_event(gate.bearer()))
    http = gate.authorizer.http_api(http_event(gate.bearer()))

    assert (REQUEST_ID, "made-anew-1") == (rest["context"]["x_request_id"], http["context"]["x_request_id"])


REFUSED = {
    "no_bearer_token": None,
    "no bearer": "Basic dTpw",
    "empty": "",
    "two in one": "Bearer a,Bearer b",
    "bad token": "Bearer a.b.c",
    "query": "Bearer a.b.c?",
}


@pytest.mark.parametrize("case", REFUSED)
def test_without_a_good_token_nobody_gets_in(api: Any, case: str) -> None:
    """HTTP APIs are told no, REST APIs the text that they make 401 of; each refusal leaves one event."""
    gate = api()

    assert {"isAuthorized": False, "context": {}} == gate.authorizer.http_api(http_event(REFUSED[case]))
    for event in (rest_event, token_event):
        with pytest.raises(AuthenticationError) as caught:
            gate.authorizer.rest_api(event(REFUSED[case]))
        assert "Unauthorized" == str(caught.value)
    assert ["authz_fail"] * 3 == [kind for kind, _ in gate.told()]


def test_expired_and_foreign_tokens_are_refused(api: Any, clock: FrozenClock) -> None:
    """Everything that a token manager refuses."""
    gate = api()
    foreign = "Bearer " + token_manager(clock=clock).create_access("u-1", session="s-1", epoch=0).token
    good = gate.bearer()
    clock.advance(timedelta(minutes=16))

    assert not gate.authorizer.http_api(http_event(good))["isAuthorized"]
    assert not gate.authorizer.http_api(http_event(foreign))["isAuthorized"]
    assert [("authz_fail", "expired"), ("authz_fail", "bad_signature")] == gate.told()


def test_an_authorization_header_that_occurs_twice_is_none(api: Any) -> None:
    """Which of them is meant nobody can tell."""
    gate = api()
    twice = rest_event(gate.bearer(), multiValueHeaders={"Authorization": [gate.bearer(), gate.bearer()]})

    with pytest.raises(AuthenticationError):
        gate.authorizer.rest_api(twice)
    once = rest_event(None, multiValueHeaders={"authorization": [gate.bearer()]})
    assert "u-1" == gate.authorizer.rest_api(once)["principalId"]


def test_a_token_in_the_query_is_not_read(api: Any) -> None:
    """Queries stand in logs (auth R36)."""
    gate = api()
    token = gate.bearer().removeprefix("Bearer ")
    event = http_event(None, rawQueryString=f"access_token={token}", queryStringParameters={"access_token": token})

    assert not gate.authorizer.http_api(event)["isAuthorized"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"actor": Actor("orders")}, "delegated_token"),
        ({"roles": ["a-role-of-the-token-manager/that-no-header-has"]}, "malformed_roles"),
    ],
)
def test_a_token_that_no_identity_can_be_made_of_is_refused(api: Any, claims: dict[str, Any], reason: str) -> None:
    """Nothing is dropped silently: a token that says more than a header can say does not pass."""
    gate = api()

    assert not gate.authorizer.http_api(http_event(gate.bearer(**claims)))["isAuthorized"]
    assert [("authz_fail", reason)] == gate.told()


def test_a_logout_counts_where_revocation_is_asked_for(api: Any) -> None:
    """With a freshness, an ended session does not pass, and one event says so; without, its token lives to its end."""
    asking, trusting = api(freshness=Freshness.STRICT), api()
    for gate, passes in ((asking, False), (trusting, True)):
        pair = gate.tokens.start_session("u-1", RequestContext())
        gate.tokens.revoke_session(pair.session)
        event = http_event(f"Bearer {pair.access_token}")
        assert passes is gate.authorizer.http_api(event)["isAuthorized"]

    assert ["session_created", "session_ended", "session_use_after_expire"] == [kind for kind, _ in asking.told()]


def test_an_outage_lets_nobody_in(api: Any) -> None:
    """It is no refusal: API Gateway answers 500."""
    gate = api(freshness=Freshness.STRICT)
    bearer = gate.bearer()
    gate.revocations.is_down = True

    for call, event in ((gate.authorizer.http_api, http_event), (gate.authorizer.rest_api, rest_event)):
        with pytest.raises(AuthUnavailable) as caught:
            call(event(bearer))
        assert isinstance(caught.value, RevocationUnavailable)


def test_a_signer_that_binds_needs_to_be_told_the_target(api: Any, clock: FrozenClock) -> None:
    """Without, the mistake shows when the function loads; with, the service checks method, path and query."""
    binding = GatewaySigner(KEYS, clock=clock)
    with pytest.raises(ConfigurationError, match="bound=False"):
        api(signer=binding)

    gate = api(signer=binding, target=lambda event: b"/orders" + event["rawPath"].encode())
    answer = gate.authorizer.http_api(http_event(gate.bearer()))
    headers = behind(gate.authorizer.request_parameters(), answer["context"], [])
    assert "u-1" == gate.orders.validate("POST", b"/orders/my/path", headers).user_id


def test_macs_can_be_signed_too(api: Any, clock: FrozenClock) -> None:
    """In HMAC mode the context has the plain headers and the signature, and the mapping sets all of them."""
    masters = HmacRing({"k1": SecretBytes(secrets.token_bytes(32))}, active="k1")
    gate = api(signer=GatewaySigner(masters, clock=clock), target=lambda event: event["rawPath"].encode())
    answer = gate.authorizer.http_api(http_event(gate.bearer(roles=["trader"])))
    names = [name.replace("_", "-").encode() for name in answer["context"]]
    headers = behind(gate.authorizer.request_parameters(*names), answer["context"], [(b"X-User-Id", b"u-eve")])
    by_mac = HeaderValidator(
        mode=TrustMode.HMAC, service="orders", keys=masters, roles={"trader"}, sources={"gateway"}, clock=clock
    )

    assert "u-1" == by_mac.validate("POST", b"/my/path", headers).user_id


@pytest.mark.parametrize("event", [{}, None, [], {"version": "2.0"}, {"type": "COGNITO"}, {"version": "1.0"}])
def test_what_is_no_event_is_the_operators_mistake(api: Any, event: Any) -> None:
    """A wrong payload version shows as such, and lets nobody in."""
    gate = api()

    for call in (gate.authorizer.http_api, gate.authorizer.rest_api):
        with pytest.raises(ConfigurationError, match="no authorizer event"):
            call(event)


def test_nothing_secret_is_told(api: Any) -> None:
    """Neither token nor assertion stands in trail, error or representation."""
    gate = api()
    bearer = gate.bearer()
    gate.authorizer.http_api(http_event(bearer[:-3] + "AAA"))
    with pytest.raises(AuthenticationError) as caught:
        gate.authorizer.rest_api(rest_event(bearer[:-3] + "AAA"))
    gate.audit.close()
    shown = "".join(map(str, (caught.value, gate.authorizer, *(record.line for record in gate.sink.records))))

    assert bearer[7:40] not in shown
