"""A process that dies between the write and its answer costs nobody a session (auth F4), and its revocations stay (F10)."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.auth.dynamo import DynamoRefreshFamilyStore, DynamoRevocationStore
from common.auth.dynamo.entity_types import AUTH_ENTITY_TYPES
from common.auth.exceptions import TokenRevoked
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_manager import TokenManager
from common.dynamo import Database

pytestmark = pytest.mark.thorough

CTX = RequestContext(client_id="web")

CHILD = """
import os, sys
from pathlib import Path
from common.auth import KeyRing, RequestContext, SigningKey, TokenManager
from common.auth.dynamo import DynamoRefreshFamilyStore, DynamoRevocationStore
from common.auth.dynamo.entity_types import AUTH_ENTITY_TYPES
from common.dynamo import Database

place, action, given = sys.argv[1:]

class Dying(DynamoRefreshFamilyStore):
    def rotate(self, session, **options):
        super().rotate(session, **options)
        os._exit(9)

db = Database.embedded(Path(place) / "state.db", entity_types=AUTH_ENTITY_TYPES)
key = SigningKey.from_pem((Path(place) / "key.pem").read_bytes(), alg="EdDSA", kid="k1")
tokens = TokenManager(
    issuer="https://id.example",
    audience="orders",
    keys=KeyRing([key], issuer="https://id.example"),
    families=Dying(db),
    revocations=DynamoRevocationStore(db),
)
if action == "refresh":
    tokens.refresh(given, RequestContext(client_id="web"))
else:
    tokens.revoke_session(given)
    os._exit(9)
"""


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenManager]:
    """Yield a manager on a file, with a key that other processes can load."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    with Database.embedded(tmp_path / "state.db", entity_types=AUTH_ENTITY_TYPES) as db:
        yield TokenManager(
            issuer="https://id.example",
            audience="orders",
            keys=KeyRing([SigningKey.from_pem(pem, alg="EdDSA", kid="k1")], issuer="https://id.example"),
            families=DynamoRefreshFamilyStore(db),
            revocations=DynamoRevocationStore(db),
        )


def die(place: Path, action: str, given: str) -> None:
    """Do *action* in a process that ends without a word as soon as the write is done."""
    command = [sys.executable, "-c", CHILD, str(place), action, given]
    died = subprocess.run(command, check=False, capture_output=True, text=True)
    assert 9 == died.returncode, died.stderr


def test_a_client_whose_server_died_gets_the_successor(tokens: TokenManager, tmp_path: Path) -> None:
    """The child has rotated and died: the client's repetition, at another process, goes on with the same session."""
    first = tokens.start_session("u-1", CTX)
    die(tmp_path, "refresh", first.refresh_token)

    second = tokens.refresh(first.refresh_token, CTX)
    third = tokens.refresh(second.refresh_token, CTX)

    assert first.session == third.session
    assert 3 == len({pair.refresh_token for pair in (first, second, third)})
    assert 1 == len(tokens.sessions("u-1"))


def test_a_logout_outlives_the_process_that_did_it(tokens: TokenManager, tmp_path: Path) -> None:
    """What another process has ended, and then died, is ended here."""
    pair = tokens.start_session("u-1", CTX)
    die(tmp_path, "revoke", pair.session)

    with pytest.raises(TokenRevoked):
        tokens.validate_live(pair.access_token)
    with pytest.raises(TokenRevoked):
        tokens.refresh(pair.refresh_token, CTX)
