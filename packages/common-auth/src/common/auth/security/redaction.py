"""What may enter the audit trail: declared fields only, no secret at any depth, nothing that grows without bound.

Three filters, one after the other. A field of ``details`` that its type does not declare is left out. A key that names
a secret loses its value, at any depth and in any spelling. A text that has the shape of a credential loses that part,
wherever it stands. What none of them recognises is a secret under an innocent, declared name in an unknown shape.
"""

import hashlib
import hmac
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii
from typing import Final
from uuid import UUID

from common.auth.security.context import Claimed
from common.auth.security.secrets import SecretBytes
from common.core.audit import AuditType
from common.core.json_types import JSONValue

__all__ = ["MASK", "Budget", "Redactor"]

MASK: Final = "[redacted]"
"""Stands where a secret was."""

_DENIED = re.compile(
    "password|passwd|passphrase|secret|token|authori[sz]ation|cookie|apikey|assertion|pepper|otp|credential|privatekey"
)
_IDENTIFIERS = frozenset({"sid", "session", "sessionid", "jti", "tokenid"})
_HARMLESS = re.compile(r"(?!ca_)[\w.:@|/-]{0,64}", re.ASCII)
_LONG_WORD = re.compile(r"(?<![\w.-])[\w.-]{20,}", re.ASCII)
_CREDENTIAL = re.compile(
    r"\b(?:bearer|basic|dpop)\s+[\w~+/.=-]{4,}"  # RFC 9110, section 11.4
    r"|\$ca1\$\S*"  # our stored passwords
    r"|\$2[abxy]?\$\d\d\$[./\w]*"  # bcrypt
    r"|\$argon2(?:id|i|d)\$\S*"
    r"|-----BEGIN [\w ]*PRIVATE KEY-----[\s\S]*"
    r"|\bca_[a-z0-9]+_\w{8,}",  # API keys of this library
    re.IGNORECASE,
)
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 6
_MAX_ENTRIES = 100
_MAX_KEY = 200
_KNOWN_KEYS_KEPT = 1024
_SEPARATORS = 2
_SCALAR = 28


class Budget:
    """How many bytes an event may still take, as JSON in ASCII. Not shared between threads."""

    __slots__ = ("left", "truncated")

    def __init__(self, size: int) -> None:
        self.left = size
        self.truncated = False
        """Whether anything was cut."""

    def take(self, text: str) -> str:
        """Return as much of *text* as there is room for, and remember it if that is not all."""
        size = len(encode_basestring_ascii(text)) + _SEPARATORS
        while size > self.left and text:
            self.truncated = True
            text = text[: min(len(text) - 1, len(text) * max(0, self.left) // size)]
            size = len(encode_basestring_ascii(text)) + _SEPARATORS
        self.left -= size
        return text

    def take_scalar(self) -> None:
        """Reserve the room of a number, a truth value or a pair of brackets."""
        self.left -= _SCALAR

    def is_spent(self) -> bool:
        """Tell whether nothing more fits; then something is being cut."""
        if self.left > 0:
            return False
        self.truncated = True
        return True


class Redactor:
    """Turns what code hands to the logger into what may be stored. Safe to share between threads.

    Args:
        key: Keys the hashes of identifiers. One key per fleet makes them comparable between processes; who has it can
            test guesses of a user name against the trail.

    >>> redactor = Redactor(SecretBytes(b"k" * 31 + b"1"))
    >>> kind = AuditType("order_placed", frozenset({"order", "note"}))
    >>> redactor.details(kind, {"order": {"Api-Key": "s3cr3t"}, "note": "Bearer abcdef", "other": 1}, Budget(1000))
    {'order': {'Api-Key': '[redacted]'}, 'note': '[redacted]'}
    """

    __slots__ = ("_key", "_rules")

    def __init__(self, key: SecretBytes) -> None:
        self._key = key
        self._rules: dict[str, str] = {}

    def pseudonym(self, identifier: str) -> str:
        """Return ``h:`` and 32 hexadecimal digits, the same for equal *identifier*: HMAC-SHA-256, the first 128 bits."""
        digest = hmac.digest(self._key.reveal(), identifier.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "h:" + digest[:16].hex()

    def party(self, who: str | Claimed | None, limit: int, budget: Budget) -> str | None:
        """Return whom an event names: a proven id as text, a typed name as its pseudonym."""
        return self.pseudonym(who.text) if isinstance(who, Claimed) else self.field(who, limit, budget)

    def field(self, value: str | None, limit: int, budget: Budget) -> str | None:
        """Return a field of the event itself, at most *limit* characters, without anything shaped like a credential."""
        if value is None:
            return None
        if len(value) > limit:
            budget.truncated = True
            value = value[:limit]
        return budget.take(_clean(value))

    def details(self, kind: AuditType, details: Mapping[str, object], budget: Budget) -> dict[str, JSONValue]:
        """Return the members of *details* that *kind* declares, without secrets, within *budget*."""
        kept: dict[str, JSONValue] = {}
        for name, value in details.items():
            if name in kind.hashed:
                kept[name] = self._hashed(value, budget)
            elif name in kind.fields:
                kept[name] = self._member(name, value, 1, budget)
        return kept

    def _member(self, name: str, value: object, depth: int, budget: Budget) -> JSONValue:
        rule = self._rules.get(name) or self._judge(name)
        if rule == "pass":
            return self._value(value, depth, budget)
        return self._hashed(value, budget) if rule == "hash" else budget.take(MASK)

    def _hashed(self, identifier: object, budget: Budget) -> str | None:
        if identifier is None:
            return None
        return budget.take(self.pseudonym(str(identifier)) if isinstance(identifier, str | int | UUID) else MASK)

    def _judge(self, name: str) -> str:
        """Decide what becomes of a key's value, once per spelling of the key."""
        if len(name) > _MAX_KEY:
            return "mask"
        plain = _NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", name).casefold())
        rule = "hash" if plain in _IDENTIFIERS else "mask" if _DENIED.search(plain) else "pass"
        if len(self._rules) < _KNOWN_KEYS_KEPT:
            self._rules[name] = rule
        return rule

    def _value(self, value: object, depth: int, budget: Budget) -> JSONValue:
        if isinstance(value, Enum):
            return self._value(value.value, depth, budget)
        if isinstance(value, str):
            return budget.take(_clean(value[: budget.left + 1]))
        if value is None or isinstance(value, bool):
            budget.take_scalar()
            return value
        if isinstance(value, Mapping):
            return self._mapping(value, depth, budget)
        if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | memoryview):
            return self._list(value, depth, budget)
        return _scalar(value, budget)

    def _mapping(self, members: Mapping[object, object], depth: int, budget: Budget) -> JSONValue:
        if depth > _MAX_DEPTH:
            budget.truncated = True
            return budget.take("[too deep]")
        budget.take_scalar()
        kept: dict[str, JSONValue] = {}
        for name, value in members.items():
            if len(kept) >= _MAX_ENTRIES or budget.is_spent():
                budget.truncated = True
                break
            text = name if isinstance(name, str) else f"[{type(name).__name__}]"
            kept[budget.take(_clean(text[:_MAX_KEY]))] = self._member(text, value, depth + 1, budget)
        return kept

    def _list(
        self, values: Sequence[object] | set[object] | frozenset[object], depth: int, budget: Budget
    ) -> JSONValue:
        if depth > _MAX_DEPTH:
            budget.truncated = True
            return budget.take("[too deep]")
        budget.take_scalar()
        kept: list[JSONValue] = []
        for value in values:
            if len(kept) >= _MAX_ENTRIES or budget.is_spent():
                budget.truncated = True
                break
            kept.append(self._value(value, depth + 1, budget))
        return kept


def _clean(text: str) -> str:
    """Return *text* without lone surrogates and without what is shaped like a credential, in time linear to its length."""
    if "eyJ" not in text and _HARMLESS.fullmatch(text):
        return text
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", text)
    return _CREDENTIAL.sub(MASK, _LONG_WORD.sub(_mask_jwt, text) if "eyJ" in text else text)


def _mask_jwt(word: re.Match[str]) -> str:
    """Mask JWS and JWE in their compact form: a part that holds base64url of ``{"`` and more, and a further part."""
    parts = word[0].split(".")
    return MASK if any(0 <= part.find("eyJ") <= len(part) - 7 for part in parts[:-1]) else word[0]


def _scalar(value: object, budget: Budget) -> JSONValue:
    """Return a value that JSON lacks as text of bounded length; of an unknown kind, the kind alone."""
    if isinstance(value, int | float):
        budget.take_scalar()
        return _number(value)
    if isinstance(value, Decimal | UUID | date):
        return budget.take(str(value))
    return budget.take(f"[{type(value).__name__}]")


def _number(value: float) -> JSONValue:
    if isinstance(value, int):
        return int(value) if value.bit_length() <= 64 else f"[int of {value.bit_length()} bits]"
    return float(value) if math.isfinite(value) else str(value)
