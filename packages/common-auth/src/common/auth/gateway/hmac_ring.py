"""The shared keys of HMAC mode: one master at the gateway, one derived key for each service."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.auth.exceptions import ConfigurationError, UnknownKey
from common.auth.gateway.identity import SERVICE_FORM
from common.auth.security.key_strength import require_strong_secret
from common.auth.security.secrets import SecretBytes
from common.auth.security.signing_keys import KEY_ID

__all__ = ["HmacRing"]

_KEY_BYTES = 32
_PURPOSE = b"common.auth gateway mac v1\x00"


class HmacRing:
    """Masters by key id; all verify, the active one signs. Immutable, and its ``repr`` shows no key.

    The key of a service is HKDF-SHA-256 (RFC 5869) of the master and the service's name, so a service that holds only
    its own (:meth:`only_for`) cannot speak to another in the gateway's name. Who holds a service's key can speak to
    *that* service as any user: where services do not trust each other, use assertions.

    Args:
        masters: Secrets of at least 32 bytes, by key id ``[A-Za-z0-9_-]{1,64}``.
        active: Id of the one that signs.

    Raises:
        ConfigurationError: No such key, or a malformed key id.
        WeakKey: A secret is too short or too simple.

    >>> import os
    >>> ring = HmacRing({"2026": SecretBytes(os.urandom(32)), "2027": SecretBytes(os.urandom(32))}, active="2026")
    >>> ring
    HmacRing(kids=['2026', '2027'], active='2026')
    """

    def __init__(self, masters: Mapping[str, SecretBytes], *, active: str) -> None:
        if active not in masters:
            raise ConfigurationError(f"HmacRing: no key has the active id {active!r}.", reason="unknown_kid")
        for kid, secret in masters.items():
            if not KEY_ID.fullmatch(kid):
                raise ConfigurationError(f"HmacRing: a key id must match {KEY_ID.pattern}.", reason="malformed_kid")
            require_strong_secret(secret, at_least=_KEY_BYTES, what=f"The HMAC key {kid!r}")
        self._masters = dict(masters)
        self._service: str | None = None
        self._derived: dict[tuple[str, str], SecretBytes] = {}
        self.active = active

    @classmethod
    def of_service(cls, service: str, keys: Mapping[str, SecretBytes], *, active: str) -> "HmacRing":
        """Return the ring of one service, from keys that :meth:`export` returned.

        Raises:
            ConfigurationError: *service* is no name of a service; else as for a ring of masters.
        """
        _require_service(service)
        ring = cls(keys, active=active)
        ring._service = service
        return ring

    def only_for(self, service: str) -> "HmacRing":
        """Return a ring that holds what *service* needs to verify, and no master."""
        return self.of_service(service, self.export(service), active=self.active)

    def export(self, service: str) -> dict[str, SecretBytes]:
        """Return the keys to deploy with *service*, by key id."""
        return {kid: self.key(kid, service) for kid in self._masters}

    def key(self, kid: str, service: str) -> SecretBytes:
        """Return what authenticates requests to *service* under the key id *kid*.

        Raises:
            UnknownKey: There is no such key.
            ConfigurationError: The ring belongs to another service.
        """
        known = self._derived.get((kid, service))
        if known is not None:
            return known
        master = self._masters.get(kid)
        if master is None:
            raise UnknownKey(reason="unknown_kid")
        return self._remember(kid, service, master)

    def _remember(self, kid: str, service: str, master: SecretBytes) -> SecretBytes:
        if self._service is None:
            _require_service(service)
            info = _PURPOSE + service.encode("ascii")
            master = SecretBytes(
                HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(master.reveal())
            )
        elif service != self._service:
            raise ConfigurationError(
                f"This ring holds the keys of service {self._service!r} alone. Only the gateway signs for others.",
                reason="foreign_service",
            )
        self._derived[kid, service] = master
        return master

    def __repr__(self) -> str:
        return f"HmacRing(kids={sorted(self._masters)}, active={self.active!r})"


def _require_service(service: str) -> None:
    if not SERVICE_FORM.fullmatch(service):
        raise ConfigurationError(f"A service's name must match {SERVICE_FORM.pattern}.", reason="malformed_service")
