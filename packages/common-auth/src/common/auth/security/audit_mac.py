"""A key that forgets: each MAC key of a trail is the hash of the one before, so that what a process has now opens nothing old.

The idea is that of Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics" (1999). Whoever breaks into a
process can forge what it writes from then on, and no line that was written under an earlier key.
"""

import hashlib
import hmac
from typing import Final

from common.auth.security.key_strength import require_strong_secret
from common.auth.security.secrets import SecretBytes

__all__ = ["EvolvingKey", "check_mac_key"]

_SHORTEST: Final = 32
_PURPOSE: Final = b"common-audit-mac/1"


def check_mac_key(key: SecretBytes) -> None:
    """Refuse a master key that could be guessed.

    Raises:
        WeakKey: It has fewer than 32 bytes, or too few different ones.
    """
    require_strong_secret(key, at_least=_SHORTEST, what="The audit trail's MAC key")


class EvolvingKey:
    """Makes the MACs of one stream in one sink; not shared between threads.

    Args:
        master: What the verifier keeps; the process needs it only at its start.
        stream: The stream.
        sink: Name of the sink.

    >>> ours, theirs = (EvolvingKey(SecretBytes(bytes(range(32))), "orders-ab", "file") for _ in range(2))
    >>> ours.evolve_to(3)
    >>> theirs.evolve_to(3)
    >>> ours.tag(b"line") == theirs.tag(b"line")
    True
    """

    def __init__(self, master: SecretBytes, stream: str, sink: str) -> None:
        purpose = b"\0".join((_PURPOSE, stream.encode("ascii"), sink.encode("ascii")))
        self._key = SecretBytes(hmac.digest(master.reveal(), purpose, hashlib.sha256))
        self.epoch = 0
        """How often the key has evolved."""

    def evolve_to(self, epoch: int) -> None:
        """Replace the key until it is that of *epoch*; an earlier one cannot be had again, and changes nothing."""
        while self.epoch < epoch:
            self._key = SecretBytes(hmac.digest(self._key.reveal(), b"evolve", hashlib.sha256))
            self.epoch += 1

    def tag(self, line: bytes) -> str:
        """Return the MAC of *line*: HMAC-SHA-256, the first 128 bits as hexadecimal digits."""
        return hmac.digest(self._key.reveal(), line, hashlib.sha256)[:16].hex()

    def verifies(self, line: bytes, tag: str) -> bool:
        """Tell whether *tag* is the MAC of *line*."""
        return hmac.compare_digest(self.tag(line), tag)
