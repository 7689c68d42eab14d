"""What an attempt to log in is counted under. No bucket's name shows an account, an address or a device.

Names are HMACs, since people type passwords into the field for the user name, and a table of counters outlives both.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from unicodedata import normalize

from common.auth.exceptions import ConfigurationError
from common.auth.security.device_cookies import DeviceCookies
from common.auth.security.login_limits import LoginLimits
from common.auth.security.secrets import SecretBytes

__all__ = ["Bucket", "Claim", "LoginBuckets", "SharedBucket", "canonical_identifier", "network_of"]

_LONGEST_IDENTIFIER: Final = 1024
_UNREADABLE: Final = "unreadable"


class Bucket:
    """The kinds of buckets, as audit events name them."""

    ACCOUNT: Final = "account"
    """Strangers on one account."""
    KNOWN_NETWORK: Final = "account_network"
    """One account from a network that its owner has logged in from."""
    DEVICE: Final = "device"
    """One account from a device with a good cookie."""
    NETWORK: Final = "network"
    EVERYBODY: Final = "global"


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt as the counters see it: hashes alone."""

    account: str
    """Bucket of strangers on this account."""
    known_network: str | None
    """Bucket of this account from this network; ``None`` where the address is not known."""
    device: str | None
    """Bucket of this account on this device; ``None`` without a good cookie."""
    network: str | None = field(repr=False)
    """What the buckets of the network are named after."""


@dataclass(frozen=True, slots=True)
class SharedBucket:
    """A window of a counter that many share, in shards."""

    kind: str
    shards: tuple[str, ...]
    """Their names."""
    share: int
    """How many attempts each shard takes; all together never more than the limit."""
    limit: int
    ends_at: float
    """When the window ends."""

    def two_shards(self, choose: Callable[[int], int]) -> tuple[str, ...]:
        """Return the shard to try, and another for when it is full."""
        first = choose(len(self.shards))
        second = (first + 1 + choose(len(self.shards) - 1)) % len(self.shards) if len(self.shards) > 1 else first
        return (self.shards[first], self.shards[second])[: len(self.shards)]


class LoginBuckets:
    """Names buckets under one key. Pure; safe to use from any thread.

    Args:
        key: Keys the names.
        limits: Windows, shards and prefixes.
        cookies: Reads device cookies.
        canonical: Brings an identifier into the form that the credential store compares; what the store takes for one
            account must become one text.
    """

    def __init__(
        self, key: SecretBytes, *, limits: LoginLimits, cookies: DeviceCookies, canonical: Callable[[str], str]
    ) -> None:
        self._key = key
        self._limits = limits
        self._cookies = cookies
        self._canonical = canonical

    def account_of(self, identifier: str) -> str:
        """Return the keyed hash that stands for *identifier*.

        Raises:
            ConfigurationError: *canonical* raised or gave no text. Nobody logs in uncounted.
        """
        text = identifier[:_LONGEST_IDENTIFIER] if isinstance(identifier, str) else ""
        name, cause = None, None
        try:
            name = self._canonical(text)
        except Exception as error:  # noqa: BLE001 - the service's own function may raise anything
            cause = error
        if not isinstance(name, str):
            raise ConfigurationError("LoginGuard: canonical must make text of any text.", reason="canonical") from cause
        return self._hashed("account", name)

    def claim(self, identifier: str, *, source_ip: str | None, device: str | None, now: float) -> Claim:
        """Return what an attempt from *source_ip* with the device cookie *device* is counted under."""
        account = self.account_of(identifier)
        network = (
            None if source_ip is None else network_of(source_ip, self._limits.ipv4_prefix, self._limits.ipv6_prefix)
        )
        place = None if network is None else self._hashed("network", network)
        nonce = None if device is None else self._cookies.nonce_of(device, account=account, now=now)
        knows = place is not None and network != _UNREADABLE and self._limits.known_network_for.total_seconds() > 0
        return Claim(
            account=f"a#{account}",
            known_network="n#" + self._hashed("known network", f"{account} {place}") if knows else None,
            device=None if nonce is None else "d#" + self._hashed("device", f"{account} {nonce}"),
            network=place,
        )

    def of_network(self, place: str, now: float) -> SharedBucket:
        """Return the buckets of a network in the window of *now*."""
        return self._shared(Bucket.NETWORK, f"w#{place}", self._limits.network, self._limits.network_shards, now)

    def of_everybody(self, now: float) -> SharedBucket:
        """Return the buckets of everybody in the window of *now*."""
        return self._shared(Bucket.EVERYBODY, "g", self._limits.everybody, self._limits.global_shards, now)

    def _shared(self, kind: str, stem: str, limit: int, count: int, now: float) -> SharedBucket:
        length = self._limits.window.total_seconds()
        window = int(now // length)
        names = tuple(f"{stem}#{window}#{shard}" for shard in range(count))
        return SharedBucket(kind, names, limit // count, limit, round((window + 1) * length, 3))

    def _hashed(self, kind: str, text: str) -> str:
        octets = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key.reveal(), octets, hashlib.sha256)[:16].hex()


def canonical_identifier(identifier: str) -> str:
    """Return *identifier* without white space around it, in Unicode form NFKC, case-folded.

    Two accounts that differ in less share their buckets, which harms neither much; one account with two spellings would
    give whoever guesses twice the attempts.

    >>> canonical_identifier(" Ada@Example.com") == canonical_identifier("ada@example.com")
    True
    """
    return normalize("NFKC", normalize("NFKC", identifier).casefold()).strip()


def network_of(address: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """Return the network of *address*; one and the same text for everything that is no address.

    >>> network_of("192.0.2.77", 24, 48), network_of("::ffff:192.0.2.1", 24, 48), network_of("2001:db8:1:2::3", 24, 48)
    ('192.0.2.0/24', '192.0.2.0/24', '2001:db8:1::/48')
    """
    try:
        found = ip_address(address.partition("%")[0].strip("[]") if isinstance(address, str) else "")
    except ValueError:
        return _UNREADABLE
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    prefix = ipv4_prefix if found.version == 4 else ipv6_prefix
    return str(ip_network((found, prefix), strict=False))
