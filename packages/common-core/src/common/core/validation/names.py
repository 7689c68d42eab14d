"""User names and asset ids, the two names that become part of keys, and the reasons that people give."""

import re
from typing import Final

from common.core.validation.refusals import invalid

USER_NAME_PATTERN: Final = re.compile("[a-z0-9._-]{3,30}")
"""A normalised user name. It is the user's identity and is never given to anybody else."""
ASSET_ID_PATTERN: Final = re.compile("[A-Z][A-Z0-9]{1,9}")
"""An asset id, such as ``BTC``."""

REASON_LENGTH: Final = 200
"""Characters of a reason, at most."""


def normalise_user_name(name: str, *, pointer: str = "") -> str:
    """Return *name* as it is stored: ASCII letters in lower case, everything else as given.

    Look-alikes are refused, never folded: a Cyrillic ``а`` or a Kelvin sign (which lower-cases to ``k``) is not a
    letter here, and nothing is trimmed. Look-alikes within ASCII (``l`` and ``1``) are different names.

    Args:
        name: What the user typed.
        pointer: Where it stood in the input, for the error.

    Raises:
        InvalidInput: Not 3 to 30 characters of ``a-z 0-9 . _ -`` once lower-cased.

    >>> normalise_user_name("Alice.B")
    'alice.b'
    """
    if isinstance(name, str) and len(name) <= 30 and name.isascii():
        normal = name.lower()
        if USER_NAME_PATTERN.fullmatch(normal):
            return normal
    raise invalid("user_name", "Use 3 to 30 characters of a-z, 0-9, dot, underscore and hyphen.", pointer)


def require_reason(reason: str, *, pointer: str = "/reason") -> str:
    """Return *reason*, which a person has given for what they did, unchanged.

    Raises:
        InvalidInput: Not 1 to 200 printable characters, or nothing but spaces.
    """
    if isinstance(reason, str) and 1 <= len(reason) <= REASON_LENGTH and reason.isprintable() and reason.strip():
        return reason
    raise invalid("reason", f"Say why, in 1 to {REASON_LENGTH} printable characters.", pointer)


def require_asset_id(asset: str, *, pointer: str = "") -> str:
    """Return *asset* unchanged.

    Raises:
        InvalidInput: Not 2 to 10 characters, an upper-case ASCII letter first, then letters and digits.
    """
    if isinstance(asset, str) and ASSET_ID_PATTERN.fullmatch(asset):
        return asset
    raise invalid("asset_id", "Use 2 to 10 characters of A-Z and 0-9, a letter first, such as BTC.", pointer)
