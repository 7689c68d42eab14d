"""The keys with which the user service signs access and refresh tokens, and their rotation while it works."""

from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.auth.security.session_values import SessionProfile
from common.core import Settings
from common.core.json_types import JSONValue
from exchange.services.trust import ALGORITHM, ISSUER, KEY_SET_AGE


class SessionKeys:
    """A ring in force, behind the interface of a ring; a rotation puts another in its place.

    A new key is made here. In earnest it comes from where keys are kept, so that every process of the service has it.
    """

    def __init__(self, settings: Settings) -> None:
        pem = settings.section("EXCHANGE_").secret("USERS_PRIVATE_KEY").reveal()
        self.ring = KeyRing([SigningKey.from_pem(pem, alg=ALGORITHM)], issuer=ISSUER, max_age=KEY_SET_AGE)

    @property
    def issuer(self) -> str:
        """Whose keys these are."""
        return self.ring.issuer

    def find(self, kid: str, alg: str) -> VerificationKey:
        """Same as a ring's."""
        return self.ring.find(kid, alg)

    def active(self) -> SigningKey:
        """Same as a ring's."""
        return self.ring.active()

    def signer(self, kid: str) -> SigningKey:
        """Same as a ring's."""
        return self.ring.signer(kid)

    def published(self) -> dict[str, JSONValue]:
        """Return the JWK set that others verify by."""
        return self.ring.public_jwks()

    @property
    def cache_control(self) -> str:
        """Return how long others may keep that."""
        return self.ring.cache_control

    def rotate(self, new: SigningKey) -> None:
        """Let *new* sign as soon as others may be expected to know it.

        The key of today goes on verifying for as long as a session lasts, since it has signed refresh tokens too.
        """
        self.ring = self.ring.rotate(new, overlap=SessionProfile().absolute)
