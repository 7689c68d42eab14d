"""Anchors: signed statements of how far a stream had come, kept where those who write the trail cannot rewrite them.

An anchor is one line of JSON, ``{"v":1,"stream":…,"sink":…,"seq":…,"head":…,"time":…,"within":…,"prev_anchor":…,"kid":…,
"sig":…}``: in the sink *sink*, the stream's line *seq* has the hash *head*, and the next anchor follows within *within*
seconds. ``prev_anchor`` is the SHA-256 of the line of the anchor before, whatever stream that spoke of, so that none can
be taken out. ``sig`` is an Ed25519 signature (RFC 8032) over ``common-audit-anchor/1``, a line end, and the line's own
bytes in front of ``,"sig"``; nothing is parsed or brought into a canonical form before it is verified.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from common.auth.exceptions import ConfigurationError
from common.auth.security.jwk import base64url
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey

__all__ = ["Anchor", "AnchorSink", "PublicKeys", "anchor_hash", "read_anchor", "sign_anchor", "signing_key_of"]

_DOMAIN: Final = b"common-audit-anchor/1\n"
_ALGORITHM: Final = "EdDSA"
_HEX = "[0-9a-f]{64}"
_LINE = re.compile(
    rf'(?P<signed>\{{"v":1,"stream":"(?P<stream>[A-Za-z0-9][A-Za-z0-9._-]{{0,127}})",'
    rf'"sink":"(?P<sink>[a-z0-9][a-z0-9_.-]{{0,63}})","seq":(?P<seq>[1-9][0-9]{{0,18}}),"head":"(?P<head>{_HEX})",'
    rf'"time":"(?P<time>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z)","within":(?P<within>[1-9][0-9]{{0,5}}),'
    rf'"prev_anchor":(?:null|"(?P<prev>{_HEX})"),"kid":"(?P<kid>[A-Za-z0-9_-]{{1,64}})")'
    r',"sig":"(?P<sig>[A-Za-z0-9_-]{86})"\}'.encode()
)


class AnchorSink(Protocol):
    """Where anchors go. Choose a place that whoever can change the trail cannot change."""

    @property
    def name(self) -> str: ...

    def last(self) -> bytes | None:
        """Return the last anchor that is stored, without a line end; ``None`` where there is none."""
        ...

    def write(self, line: bytes, /) -> None:
        """Store an anchor for good, and return when that is so. Called from one thread, in order."""
        ...

    def close(self) -> None:
        """Release what the sink holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What an anchor says."""

    stream: str
    sink: str
    """The sink whose chain it is: each sink may have lost other events."""
    seq: int
    head: bytes
    """Hash of the line *seq*."""
    time: datetime
    """UTC, to the millisecond."""
    within: int
    """Seconds until the next anchor of the stream at the latest, as long as the stream goes on."""
    previous: bytes | None
    """:func:`anchor_hash` of the anchor before; ``None`` in the first of all."""
    kid: str
    """Which key has signed it."""


def sign_anchor(anchor: Anchor, key: SigningKey) -> bytes:
    """Return the line of *anchor*, signed.

    Raises:
        KeySourceUnavailable: The signer failed.
    """
    previous = "null" if anchor.previous is None else f'"{anchor.previous.hex()}"'
    signed = (
        f'{{"v":1,"stream":"{anchor.stream}","sink":"{anchor.sink}","seq":{anchor.seq},"head":"{anchor.head.hex()}",'
        f'"time":"{anchor.time.isoformat(timespec="milliseconds")[:23]}Z","within":{anchor.within},'
        f'"prev_anchor":{previous},"kid":"{anchor.kid}"'
    ).encode("ascii")
    return b'%b,"sig":"%b"}' % (signed, base64url(key.sign(_DOMAIN + signed)).encode())


def anchor_hash(line: bytes) -> bytes:
    """Return the hash by which the next anchor names this one."""
    return hashlib.sha256(line).digest()


def read_anchor(line: bytes) -> tuple[Anchor, bytes, bytes] | None:
    """Return what *line* says, what its signature is over, and the signature; ``None`` where it is no anchor."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    try:
        time = datetime.fromisoformat(found["time"].decode())
    except ValueError:
        return None
    anchor = Anchor(
        stream=found["stream"].decode(),
        sink=found["sink"].decode(),
        seq=int(found["seq"]),
        head=bytes.fromhex(found["head"].decode()),
        time=time,
        within=int(found["within"]),
        previous=bytes.fromhex(found["prev"].decode()) if found["prev"] else None,
        kid=found["kid"].decode(),
    )
    return anchor, _DOMAIN + found["signed"], base64.urlsafe_b64decode(found["sig"] + b"==")


class PublicKeys:
    """The keys that anchors are verified by, pinned: nothing that comes with the trail adds to them.

    A key counts for anchors whose time lies within its epoch, from its ``not_before`` up to its ``retire_at``; a revoked
    one counts for none.

    Args:
        keys: Ed25519 keys with different ids.

    Raises:
        ConfigurationError: There is no key, two share an id, or one is not of Ed25519.

    >>> PublicKeys([SigningKey.generate(kid="audit-2026").verification])
    PublicKeys(audit-2026)
    """

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        listed = tuple(keys)
        self._keys: Mapping[str, VerificationKey] = {key.kid: key for key in listed}
        if not listed or len(self._keys) < len(listed) or any(key.alg != _ALGORITHM for key in listed):
            raise ConfigurationError(
                "PublicKeys: name at least one Ed25519 key, each with an id of its own.", reason="bad_anchor_keys"
            )

    @classmethod
    def from_file(cls, path: str | Path) -> "PublicKeys":
        """Read a JWK set or a public key in PEM, whose id is then its RFC 7638 thumbprint.

        Members ``not_before`` and ``retire_at`` of a JWK, in ISO 8601, are the key's epoch.

        Raises:
            ConfigurationError: The file cannot be read, or holds no such keys.
        """
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"The file of public keys {Path(path).name!r} cannot be read ({type(error).__name__}). Name another path.",
                reason="no_anchor_keys",
            ) from error
        if text.lstrip().startswith(b"-----"):
            return cls([VerificationKey.from_pem(text, alg=_ALGORITHM)])
        return cls(_of_jwks(text, Path(path).name))

    def refusal(self, anchor: Anchor, signed: bytes, signature: bytes) -> str | None:
        """Return why *anchor* does not count, as a stable code; ``None`` where it does."""
        key = self._keys.get(anchor.kid)
        if key is None:
            return "unknown_key"
        if not key.verify(signed, signature):
            return "bad_signature"
        begins, ends = key.not_before, key.retire_at
        if key.revoked or (begins and anchor.time < begins) or (ends and anchor.time >= ends):
            return "outside_epoch"
        return None

    def __repr__(self) -> str:
        return f"PublicKeys({', '.join(self._keys)})"


def _of_jwks(text: bytes, name: str) -> Iterable[VerificationKey]:
    try:
        document = json.loads(text)
        members = document["keys"]
        return [_of_jwk(dict(member)) for member in members]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"The file of public keys {name!r} is neither a JWK set nor PEM.", reason="malformed_anchor_keys"
        ) from error


def _of_jwk(member: dict[str, object]) -> VerificationKey:
    key = VerificationKey.from_jwk(member, alg=_ALGORITHM)
    return VerificationKey(
        kid=key.kid,
        alg=key.alg,
        material=key.material,
        not_before=_moment(member.get("not_before")),
        retire_at=_moment(member.get("retire_at")),
        revoked=member.get("revoked") is True,
    )


def _moment(text: object) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))


def signing_key_of(keys: SigningKey | KeyRing) -> SigningKey:
    """Return the key that signs now.

    Raises:
        ConfigurationError: There is none, or it is not one of Ed25519.
    """
    key = keys.active() if isinstance(keys, KeyRing) else keys
    if key.alg != _ALGORITHM:
        raise ConfigurationError(
            f"Anchors are signed by Ed25519, and key {key.kid!r} is for {key.alg}.", reason="wrong_algorithm"
        )
    return key
