"""The text of an API key: ``ca_<environment>_<id>_<secret>_<checksum>``. Pure.

The prefix lets scanners of source code find keys that were checked in; the checksum lets a mistyped or made-up key be
refused without asking any store. It keeps nobody from making keys up: the secret does.
"""

import math
import re
import zlib
from dataclasses import dataclass, field
from typing import Final

from common.auth.security.secrets import SecretStr

__all__ = ["ENVIRONMENT", "ID_BYTES", "SECRET_BYTES", "ApiKeyText", "base62"]

ID_BYTES: Final = 12
SECRET_BYTES: Final = 24
"""192 bits; a secret of at least 112 may be stored by a plain hash (OWASP ASVS 5.0, 6.5.2)."""
ENVIRONMENT: Final = re.compile(r"[a-z0-9]{1,16}")

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST: Final = 128
_FORM: Final = re.compile(
    r"ca_(?P<environment>[a-z0-9]{1,16})_(?P<id>[0-9A-Za-z]{17})_(?P<secret>[0-9A-Za-z]{33})_(?P<crc>[0-9A-Za-z]{6})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ApiKeyText:
    """An API key in its parts."""

    environment: str
    """Such as ``live`` or ``test``."""
    key_id: str
    secret: SecretStr = field(repr=False)

    @classmethod
    def read(cls, presented: object) -> "ApiKeyText | None":
        """Return the parts of *presented*; ``None`` where it has another form or a wrong checksum."""
        if not isinstance(presented, str) or len(presented) > _LONGEST:
            return None
        found = _FORM.fullmatch(presented)
        if found is None:
            return None
        known = cls(found["environment"], found["id"], SecretStr(found["secret"]))
        is_whole = SecretStr(presented) == known.written()
        return known if is_whole else None

    def written(self) -> SecretStr:
        """Return the whole text."""
        body = SecretStr(f"ca_{self.environment}_{self.key_id}_{self.secret.reveal()}")
        checksum = zlib.crc32(body.reveal().encode("ascii"))
        return SecretStr(f"{body.reveal()}_{base62(checksum.to_bytes(4, 'big'))}")


def base62(octets: bytes) -> str:
    """Return *octets* as a number in digits and letters, always as long for as many octets.

    >>> base62(b"\\xff" * 4), base62(b"\\0" * 4), len(base62(b"x" * 24))
    ('4gfFC3', '000000', 33)
    """
    number = int.from_bytes(octets, "big")
    length = math.ceil(len(octets) * 8 / math.log2(len(_DIGITS)))
    digits = ""
    for _ in range(length):
        number, rest = divmod(number, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return digits
