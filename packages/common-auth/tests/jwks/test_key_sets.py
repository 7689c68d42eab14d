"""What is taken from a published key set, and how such a set is run and watched (K6)."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth import plugin
from common.auth.exceptions import (
    ConfigurationError,
    KeySourceUnavailable,
    UnknownKey,
)
from common.auth.health import JwksCheck
from common.auth.security.jwks_endpoint import FetchedJwks
from common.auth.security.keys import SigningKey
from common.auth.security.remote_jwks import RemoteJWKS
from common.auth.security.token_manager import TokenManager
from common.auth.testing import AUDIENCE, ISSUER
from common.auth.testing.jwks_server import JwksServer, answering, jwks_document, public_jwk, publishing, serving
from common.core.health import CheckContext, Status
from common.core.lifecycle import App
from common.core.settings import Settings
from common.core.testing import bare_plugins
from common.core.utils.clock import FrozenClock

WAIT = timedelta(seconds=5)
COOLDOWN = timedelta(seconds=30)
K1, K2 = (SigningKey.generate("EdDSA", kid=kid) for kid in ("k1", "k2"))


Maker = Callable[..., RemoteJWKS]
Waiter = Callable[[Callable[[], bool]], None]


@pytest.fixture(autouse=True)
def issuer(server: JwksServer) -> JwksServer:
    """Return an issuer that publishes k1."""
    server.answer = publishing(K1)
    return server


def test_keys_for_other_uses_are_skipped(remote: Maker, issuer: JwksServer) -> None:
    """A set is of use although it has keys for encryption, secrets, weak keys, foreign algorithms and mere noise."""
    others = SigningKey.generate("ES384", kid="k384")
    issuer.answer = answering(
        jwks_document(
            K1,
            members=(
                public_jwk(K2, use="enc"),
                public_jwk(K2, key_ops=["encrypt"]),
                public_jwk(others),
                {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "alg": "HS256", "kid": "hs"},
                {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RS256", "kid": "weak"},
                {"kty": "new-kind"},
                public_jwk(K2, kid="no good"),
                "noise",
                None,
            ),
        )
    )
    keys = remote()
    assert keys.start(wait=WAIT)

    assert "k1" == keys.find("k1", "EdDSA").kid
    for kid, alg in (("k2", "EdDSA"), ("hs", "HS256"), ("weak", "RS256"), ("k384", "ES384")):
        with pytest.raises(UnknownKey):
            keys.find(kid, alg)
    assert (1, 9) == (keys.stats().keys, keys.stats().skipped)


def test_two_keys_with_one_id_are_both_skipped(remote: Maker, issuer: JwksServer) -> None:
    """Which of them is meant nobody can tell, so neither verifies."""
    issuer.answer = answering(
        jwks_document(K2, members=(public_jwk(K1), public_jwk(SigningKey.generate("EdDSA"), kid="k1")))
    )
    keys = remote()
    assert keys.start(wait=WAIT)

    with pytest.raises(UnknownKey):
        keys.find("k1", "EdDSA")
    assert (1, 2) == (keys.stats().keys, keys.stats().skipped)


def test_an_rsa_key_without_algorithm_has_the_one_that_was_named(remote: Maker, issuer: JwksServer) -> None:
    """Some issuers leave ``alg`` out; whoever verifies says which it is, and other keys keep theirs."""
    key = SigningKey.generate("RS256", kid="rsa")
    nameless = {name: value for name, value in public_jwk(key).items() if name != "alg"}
    issuer.answer = answering(jwks_document(K1, members=(nameless,)))
    told, untold = remote(alg="RS256"), remote()
    assert told.start(wait=WAIT)
    assert untold.start(wait=WAIT)

    assert "RS256" == told.find("rsa", "RS256").alg
    assert "k1" == told.find("k1", "EdDSA").kid
    with pytest.raises(UnknownKey):
        untold.find("rsa", "RS256")


def test_the_algorithm_belongs_to_the_key(remote: Maker, issuer: JwksServer) -> None:
    """A token that names a known key and another algorithm is refused, and causes no fetch."""
    keys = remote()
    assert keys.start(wait=WAIT)

    with pytest.raises(UnknownKey) as caught:
        keys.find("k1", "ES256")
    assert "wrong_algorithm" == caught.value.reason
    assert 1 == issuer.asked


@pytest.mark.parametrize("kid", ["../../dev/null", "k 1", "", "k" * 65, None, 7, b"k1"])
def test_a_hostile_key_id_is_refused_without_a_fetch(remote: Maker, kid: Any) -> None:
    """What is no key id causes nothing, not even the first fetch."""
    keys = remote()

    with pytest.raises(UnknownKey):
        keys.find(kid, "EdDSA")
    assert (0, 0) == (keys.stats().fetches, keys.stats().failures)
    assert "common-auth-jwks" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("document", [{}, {"keys": "k1"}, {"keys": []}, {"keys": [{}] * 129}])
def test_a_set_without_a_usable_key_does_not_replace_a_good_one(
    remote: Maker, issuer: JwksServer, clock: FrozenClock, document: object, eventually: Waiter
) -> None:
    """A mishap at the issuer does not log everybody out: the keys that are known go on until they are stale."""
    keys = remote()
    assert keys.start(wait=WAIT)
    issuer.answer = answering(json.dumps(document).encode())

    clock.advance(timedelta(minutes=15))
    keys.find("k1", "EdDSA")
    eventually(lambda: keys.stats().failures == 1)

    assert "k1" == keys.find("k1", "EdDSA").kid


def test_a_fetcher_of_your_own_may_fail_in_any_way(remote: Maker, clock: FrozenClock, eventually: Waiter) -> None:
    """Another source is an object with ``fetch``; what it raises is a failed fetch and ends no thread."""

    class Moody:
        calls = 0

        def fetch(self) -> FetchedJwks:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("moody")
            return FetchedJwks(json.loads(jwks_document(K1)))

    keys = remote(Moody())
    assert not keys.start()
    eventually(lambda: keys.stats().last_failure == "fetcher_failed")
    clock.advance(COOLDOWN)
    with pytest.raises(KeySourceUnavailable):
        keys.find("k1", "EdDSA")

    assert keys.start(wait=WAIT)
    assert "k1" == keys.find("k1", "EdDSA").kid


@pytest.mark.parametrize(
    "options",
    [
        {"cooldown": timedelta(0)},
        {"refresh_every": timedelta(seconds=29)},
        {"max_stale": timedelta(minutes=1)},
        {"miss_wait": timedelta(seconds=6)},
        {"miss_wait": timedelta(seconds=-1)},
        {"algorithms": ["HS256"]},
        {"algorithms": ["EdDSA", "HS256"]},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"alg": "HS256"},
        {"issuer": ""},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    """Every limit has a floor, and a published secret is none."""
    with pytest.raises(ConfigurationError):
        RemoteJWKS("https://id.example/jwks.json", **{"issuer": ISSUER, **options})


def test_the_keys_of_another_issuer_are_refused() -> None:
    """A set speaks for the issuer that was named, and a token manager for another does not take it."""
    keys = RemoteJWKS("https://id.example/jwks.json", issuer="https://other.example")

    with pytest.raises(ConfigurationError, match="belong to issuer"):
        TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=keys)


def test_health_tells_the_age_of_the_set(clock: FrozenClock, eventually: Waiter) -> None:
    """PASS while fetches succeed, WARN while the last one failed, FAIL where no key can be used."""
    ctx = CheckContext(deadline=time.monotonic() + 1)
    with serving(JwksServer(K1)) as issuer:
        keys = RemoteJWKS(issuer.url, issuer=ISSUER, clock=clock)
        check = JwksCheck(keys)
        assert (Status.FAIL, "no_key_set") == (check.check(ctx).status, check.check(ctx).reason)
        assert keys.start(wait=WAIT)
        clock.advance(timedelta(seconds=7))
        outcome = check.check(ctx)
        assert (Status.PASS, (7.0, "s"), 1) == (outcome.status, outcome.observed, outcome.detail["keys"])

    clock.advance(timedelta(hours=1))
    keys.find("k1", "EdDSA")
    eventually(lambda: keys.stats().failures == 1)
    assert (Status.WARN, "unreachable") == (check.check(ctx).status, check.check(ctx).reason)
    clock.advance(timedelta(hours=24))
    assert (Status.FAIL, "stale_key_set") == (check.check(ctx).status, check.check(ctx).reason)
    keys.close()


def test_the_plugin_starts_and_stops_what_the_service_provides(
    remote: Maker, issuer: JwksServer, eventually: Waiter
) -> None:
    """A set that is handed to the application is fetched at start-up, before the first request, and not after the end."""
    keys = remote()
    app = App(settings=Settings(), plugins=bare_plugins(), provides=(keys,))
    plugin.common_startup(app)
    eventually(lambda: keys.stats().fetches == 1)
    plugin.common_shutdown(app.stopping_within(2))

    assert "common-auth-jwks" not in {thread.name for thread in threading.enumerate()}
    assert "k1" == keys.find("k1", "EdDSA").kid


def test_weak_settings_are_told() -> None:
    """The doctor tells of a set without TLS and of keys that may be older than a day."""
    weak = RemoteJWKS("http://127.0.0.1:1/jwks", issuer=ISSUER, max_stale=timedelta(days=7))

    assert ["plain_jwks", "stale_jwks"] == [finding.code for finding in weak.weaknesses()]
    assert () == RemoteJWKS("https://id.example/jwks", issuer=ISSUER).weaknesses()


def test_no_representation_shows_a_query() -> None:
    """Some addresses carry a key of the client in their query."""
    assert "canary" not in repr(RemoteJWKS("https://id.example/jwks?key=canary", issuer=ISSUER))


FORKING = """
import os, sys, time
from datetime import timedelta
from common.auth.security.remote_jwks import RemoteJWKS

keys = RemoteJWKS(sys.argv[1], issuer="https://id.example", cooldown=timedelta(seconds=1))
assert keys.start(wait=timedelta(seconds=5))
child = os.fork()
if child == 0:
    assert keys.find("k1", "EdDSA").kid == "k1"
    deadline = time.monotonic() + 5
    while keys.stats().fetches < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0 if keys.stats().fetches == 1 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nobody forks there")
def test_a_forked_child_fetches_for_itself(issuer: JwksServer) -> None:
    """Threads do not survive a fork: the child keeps the set and starts a thread of its own."""
    ended = subprocess.run([sys.executable, "-c", FORKING, issuer.url], check=False, timeout=30)

    assert 0 == ended.returncode
    assert 2 == issuer.asked
