"""Compact JSON Web Signatures (RFC 7515), read strictly: form, header, key, signature and JSON, in this order."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.auth.security.keys import KeySource, SigningKey
from common.core.json_types import JSONValue

__all__ = ["TokenReader", "write_token"]


def write_token(claims: Mapping[str, JSONValue], *, typ: str, key: SigningKey) -> str:
    """Return the compact form of *claims*, signed by *key*; header members are exactly alg, kid and typ."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReader:
    """Verifies tokens of one kind up to, and not including, what their claims say.

    Args:
        keys: Finds the key by id and algorithm.
        typ: The exact value of the header member ``typ``.
        max_length: In bytes of the compact form.
        max_claims: In bytes of the claims' JSON.
    """

    keys: KeySource
    typ: str
    max_length: int = 8192
    max_claims: int = 6144

    def read(self, token: str | bytes) -> dict[str, JSONValue]:
        """Return the claims of *token*, whose signature is good; nothing else about them is checked.

        Raises:
            TokenWrongType: A token of another kind.
            UnknownKey: No usable key has its id and algorithm.
            TokenInvalid: Anything else.
        """
        raise NotImplementedError
