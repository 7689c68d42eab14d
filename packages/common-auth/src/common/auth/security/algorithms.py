"""The signature algorithms that tokens may use (RFC 7518, section 3; RFC 8037), each with what its key must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import get_algorithm_by_name
from jwt.algorithms import Algorithm

from common.auth.exceptions import ConfigurationError

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHMS",
    "EC_CURVES",
    "JwsAlgorithm",
    "PrivateKey",
    "PublicKey",
    "algorithm_named",
]

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

EC_CURVES: Final[Mapping[str, type[ec.EllipticCurve]]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}
"""The curves by their JWK names (RFC 7518, section 6.2.1.1)."""


@dataclass(frozen=True, slots=True)
class JwsAlgorithm:
    """One value of the header member ``alg``."""

    name: str
    kty: str
    """The JWK key type: ``OKP``, ``EC``, ``RSA`` or ``oct``."""
    curve: str = ""
    """The JWK curve, where the algorithm fixes one."""
    min_secret: int = 0
    """Least bytes of an HMAC secret: the length of the hash (RFC 7518, section 3.2)."""

    @property
    def is_symmetric(self) -> bool:
        """Whether whoever can verify can also sign."""
        return self.kty == "oct"

    @property
    def primitive(self) -> Algorithm:
        """Return PyJWT's implementation, which signs and verifies with keys parsed beforehand."""
        return get_algorithm_by_name(self.name)


ALGORITHMS: Final = {
    algorithm.name: algorithm
    for algorithm in (
        JwsAlgorithm("EdDSA", "OKP", curve="Ed25519"),
        JwsAlgorithm("ES256", "EC", curve="P-256"),
        JwsAlgorithm("ES384", "EC", curve="P-384"),
        JwsAlgorithm("ES512", "EC", curve="P-521"),
        JwsAlgorithm("RS256", "RSA"),
        JwsAlgorithm("RS384", "RSA"),
        JwsAlgorithm("RS512", "RSA"),
        JwsAlgorithm("PS256", "RSA"),
        JwsAlgorithm("PS384", "RSA"),
        JwsAlgorithm("PS512", "RSA"),
        JwsAlgorithm("HS256", "oct", min_secret=32),
        JwsAlgorithm("HS384", "oct", min_secret=48),
        JwsAlgorithm("HS512", "oct", min_secret=64),
    )
}
"""All that may be chosen. ``none`` is not among them."""

DEFAULT_ALGORITHMS: Final = frozenset({"EdDSA", "ES256", "RS256", "PS256"})


def algorithm_named(name: object) -> JwsAlgorithm:
    """Return the algorithm called *name*.

    Raises:
        ConfigurationError: There is none; ``none`` and the misspelt ``ES521`` do not exist here.
    """
    found = ALGORITHMS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigurationError(
            f"Signature algorithm {str(name)[:20]!r} is not supported. Choose one of {', '.join(ALGORITHMS)}.",
            reason="unknown_algorithm",
        )
    return found
