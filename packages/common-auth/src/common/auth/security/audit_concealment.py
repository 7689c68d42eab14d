"""Keeps persons out of the stored trail but for their own keys, so that each can be erased without touching a line.

In the place of ``actor`` and ``subject`` stands the id of the person's key, and what tells of them is sealed with the key
(AES-256-GCM): the person, the address and, for the one it was done to, the details. Type, outcome, reason, time and
request stay readable. When the key is deleted, the bytes stay and mean nothing: the chain holds.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.auth.security.audit_line import DETAILS_ROOM
from common.auth.security.subject_keys import SubjectKey, SubjectKeys
from common.core.audit import AuditEvent
from common.core.json_types import JSONValue

__all__ = ["CONCEALED_ROOM", "Concealment"]

CONCEALED_ROOM: Final = (DETAILS_ROOM - 800) * 3 // 4
"""Bytes that texts and details may take where they are sealed: base64 makes four of three."""

_SEALED: Final = "sealed"
_NONCE: Final = 12  # bytes; NIST SP 800-38D, section 8.2.2: random nonces of 96 bits
_PSEUDONYM: Final = "h:"


class Concealment:
    """Conceals events before they are stored, and reveals them to who may read them.

    Args:
        keys: The keys of persons.
        random: Makes as many random bytes as it is asked for.
    """

    def __init__(self, keys: SubjectKeys, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._keys = keys
        self._random = random

    def conceal(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of an event as they may be stored.

        Raises:
            StoreUnavailable: The keys cannot be had. Store nothing, and try again.
        """
        shares = _shares(fields)
        if not shares:
            return dict(fields)
        keys = {person: self._keys.obtain(person) for person in shares}
        sealed = {keys[who].id: self._seal(keys[who], fields["id"], share) for who, share in shares.items()}
        named = {name: keys[fields[name]].id for name in ("actor", "subject") if fields[name] in keys}
        return {**fields, **named, "source_ip": None, "details": {_SEALED: sealed}}

    def reveal(self, event: AuditEvent) -> AuditEvent:
        """Return *event* with what can still be read of it.

        Raises:
            StoreUnavailable: The keys cannot be had.
        """
        sealed = event.details.get(_SEALED)
        if not isinstance(sealed, Mapping):
            return event
        found: dict[str, Any] = {}
        for id, box in sealed.items():
            key = self._keys.by_id(id)
            opened = None if key is None else _open(key, event.id, str(box))
            found.update(opened or {})
        details = found.pop("details", {_SEALED: dict(sealed)} if not found else {})
        return replace(event, details=cast("Mapping[str, JSONValue]", details), **found)

    def _seal(self, key: SubjectKey, event_id: str, share: Mapping[str, object]) -> str:
        nonce = self._random(_NONCE)
        text = json.dumps(share, separators=(",", ":")).encode()
        return base64.b64encode(nonce + AESGCM(key.key.reveal()).encrypt(nonce, text, event_id.encode())).decode()


def _shares(fields: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """Return what of an event belongs to whom: the address to who acted, the details to whom it was done to."""
    actor, subject = (_person(fields[name]) for name in ("actor", "subject"))
    shares: dict[str, dict[str, object]] = {}
    if actor is not None:
        shares[actor] = {"actor": actor, "source_ip": fields["source_ip"]}
    if subject is not None:
        shares.setdefault(subject, {}).update(subject=subject)
    owner = subject or actor
    if owner is not None:
        shares[owner]["details"] = fields["details"]
        if actor is None:
            shares[owner]["source_ip"] = fields["source_ip"]
    return shares


def _person(who: str | None) -> str | None:
    """Return who can be erased; a name that nobody has proven is a keyed hash, and stays one."""
    return None if who is None or who.startswith(_PSEUDONYM) else who


def _open(key: SubjectKey, event_id: str, box: str) -> dict[str, Any] | None:
    try:
        octets = base64.b64decode(box, validate=True)
        text = AESGCM(key.key.reveal()).decrypt(octets[:_NONCE], octets[_NONCE:], event_id.encode())
        opened: dict[str, Any] = json.loads(text)
        return opened
    except (ValueError, InvalidTag):
        return None
