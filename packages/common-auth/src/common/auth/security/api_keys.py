"""API keys for machines: shown once, stored as a hash, with scopes and an end."""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from common.auth.doctor import Finding
from common.auth.exceptions import (
    ApiKeyInvalid,
    AuthError,
    ConfigurationError,
    InvalidClaim,
    ScopeRequired,
    StoreUnavailable,
)
from common.auth.security.api_key_format import ENVIRONMENT, ID_BYTES, SECRET_BYTES, ApiKeyText, base62
from common.auth.security.audit_logger import AuditEmitter
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds, moment
from common.auth.security.context import RequestContext
from common.auth.security.key_strength import require_strong_secret
from common.auth.security.secrets import SecretBytes, SecretStr
from common.auth.security.stores import ApiKeyRecord, ApiKeyStore
from common.auth.security.token_claims import SCOPE_TOKEN
from common.core.audit import AuditOutcome

__all__ = ["ApiKeyIdentity", "ApiKeyManager", "ApiKeySummary", "IssuedApiKey"]

T = TypeVar("T")
V = TypeVar("V")

_log = logging.getLogger("common.auth.api_keys")

_KEY_BYTES: Final = 32
_TRIES: Final = 4
_SECONDS_BETWEEN_USES: Final = 60.0
_OWNER: Final = re.compile(r"[\x21-\x7e]{1,255}")
_MOST_SCOPES: Final = 64
_NOBODY: Final = b"\0" * 32
"""Compared with where there is no such key, so that both ways do one comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeySummary:
    """An API key as operators see it: everything but the secret, which nobody has but its holder."""

    key_id: str
    owner: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the minute; ``None`` where it was never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedApiKey:
    """A new key. This is the only time that anybody sees its text."""

    key: SecretStr = field(repr=False)
    """Hand ``key.reveal()`` to the holder; it cannot be had again."""
    summary: ApiKeySummary


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyIdentity:
    """Whose key was shown, and what it may do."""

    key_id: str
    owner: str
    scopes: frozenset[str]
    expires_at: datetime


class ApiKeyManager:
    """Issues and verifies API keys ``ca_<environment>_<id>_<secret>_<checksum>``. Safe to use from any thread.

    Every method but the construction asks the store; on an event loop call it in a thread.

    Args:
        store: Where the keys are, without their secrets.
        environment: Such as ``live`` or ``test``, ``[a-z0-9]``, 1 to 16; a key of another one is refused unread.
        key: Where given, at least 32 bytes: the secrets are stored by HMAC-SHA-256 under it, else by SHA-256. The secret
            has 192 random bits, so that a plain hash gives nothing away (OWASP ASVS 5.0, 6.5.2).
        longest: How far the end of a new key may lie.
        audit: Gets ``authn_token_created``, ``authn_token_revoked``, ``authn_login_fail`` and ``authz_fail``.
        clock: The time.
        entropy: Returns that many random bytes.

    Raises:
        ConfigurationError: The environment breaks its grammar, or *longest* is not above zero.
        WeakKey: *key* is too short or too simple.

    >>> from common.auth.security.memory_stores import MemoryApiKeyStore
    >>> keys = ApiKeyManager(MemoryApiKeyStore(), environment="test")
    >>> issued = keys.issue("billing", ["orders:read"], expires=SYSTEM.now() + timedelta(days=90))
    >>> keys.verify(issued.key.reveal(), scope="orders:read").owner
    'billing'
    """

    def __init__(
        self,
        store: ApiKeyStore,
        *,
        environment: str,
        key: SecretBytes | None = None,
        longest: timedelta = timedelta(days=400),
        audit: AuditEmitter | None = None,
        clock: Clock = SYSTEM,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if not ENVIRONMENT.fullmatch(environment):
            raise ConfigurationError(
                f"The environment of API keys must match {ENVIRONMENT.pattern}, such as 'live'.",
                reason="bad_environment",
            )
        if longest <= timedelta(0):
            raise ConfigurationError("ApiKeyManager: longest must be above zero.", reason="bad_option")
        if key is not None:
            require_strong_secret(key, at_least=_KEY_BYTES, what="The key of the API keys")
        self._store = store
        self._environment = environment
        self._key = key
        self._longest = longest
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    def issue(self, owner: str, scopes: Sequence[str], *, expires: datetime) -> IssuedApiKey:
        """Make a new key for *owner*. Others of the same owner stay valid: two at once make a rotation.

        Args:
            owner: Whose requests they will be, ``[\\x21-\\x7e]``, 1 to 255 characters.
            scopes: What the key may do: 1 to 64 scope tokens (RFC 6749, section 3.3).
            expires: When it ends, aware; after now, and not beyond *longest*.

        Raises:
            InvalidClaim: An argument breaks its rule. Nothing was issued.
            StoreUnavailable: The store does not answer. Whatever was stored, nobody has the key to it.
        """
        granted = _granted(owner, scopes)
        now = epoch_seconds(self._clock)
        end = self._end(expires, now)
        for _ in range(_TRIES):
            text = self._made()
            record = ApiKeyRecord(
                key_id=text.key_id, owner=owner, digest=self._digest(text), scopes=granted, created_at=now, expires_at=end
            )  # fmt: skip
            if self._ask(self._store.create, record):
                facts = {"kind": "api_key", "client_id": record.key_id, "expires": moment(end), "scope": granted}
                self._tell("authn_token_created", None, owner, None, facts)
                return IssuedApiKey(key=text.written(), summary=_summary(record))
        raise StoreUnavailable("No id of an API key was free. Is the source of random bytes one?", reason="id_taken")

    def verify(self, presented: str, *, scope: str | None = None, ctx: RequestContext | None = None) -> ApiKeyIdentity:
        """Return whose key *presented* is.

        1 read; none where the form, the environment or the checksum is wrong; at most one write a minute and key, to
        remember that it was used.

        Args:
            presented: What a client sent; anything at all.
            scope: What the key must be permitted to do.
            ctx: For the trail.

        Raises:
            ApiKeyInvalid: Malformed, unknown, revoked or expired; a client learns none of this.
            ScopeRequired: The key is good, and *scope* is not among its scopes.
            StoreUnavailable: The store does not answer.
        """
        text = ApiKeyText.read(presented)
        if text is None or text.environment != self._environment:
            raise self._refusal("malformed_key" if text is None else "other_environment", None, ctx)
        record = self._ask(self._store.find, text.key_id)
        is_holder = hmac.compare_digest(_NOBODY if record is None else record.digest, self._digest(text))
        now = epoch_seconds(self._clock)
        if record is None or not is_holder:
            raise self._refusal("unknown_key" if record is None else "wrong_secret", None, ctx)
        if record.revoked_at is not None or record.expires_at <= now:
            raise self._refusal("expired_key" if record.revoked_at is None else "revoked_key", record, ctx)
        self._note_use(record, now)
        if scope is not None and scope not in record.scopes:
            raise self._out_of_scope(record, scope, ctx)
        return ApiKeyIdentity(
            key_id=record.key_id,
            owner=record.owner,
            scopes=frozenset(record.scopes),
            expires_at=moment(record.expires_at),
        )

    def rotate(self, key_id: str, *, expires: datetime) -> IssuedApiKey:
        """Issue a second key with the owner and the scopes of *key_id*, which stays valid until it is revoked or ends.

        Raises:
            ApiKeyInvalid: There is no such key, or it is no longer valid.
            InvalidClaim: Same as :meth:`issue`.
            StoreUnavailable: Same as :meth:`issue`.
        """
        record = self._ask(self._store.find, key_id)
        if record is None or record.revoked_at is not None or record.expires_at <= epoch_seconds(self._clock):
            raise ApiKeyInvalid("There is no such valid API key to rotate. Issue a new one.", reason="not_rotatable")
        return self.issue(record.owner, record.scopes, expires=expires)

    def revoke(self, key_id: str) -> bool:
        """End a key now; false where there is none. A key that was revoked stays so.

        Raises:
            StoreUnavailable: The store does not answer. It can be repeated.
        """
        is_known = self._ask(lambda wanted: self._store.revoke(wanted, at=epoch_seconds(self._clock)), key_id)
        if is_known:
            self._tell("authn_token_revoked", None, None, None, {"kind": "api_key", "client_id": key_id})
        return is_known

    def keys_of(self, owner: str) -> tuple[ApiKeySummary, ...]:
        """Return all stored keys of *owner*, ended ones too, the oldest first; the newest may be some seconds late.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        records = self._ask(self._store.of_owner, owner)
        return tuple(_summary(record) for record in sorted(records, key=lambda each: (each.created_at, each.key_id)))

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about these settings."""
        if self._audit is None:
            return (Finding("api_keys", "no_audit", "Refused keys leave no trail. Give the manager an audit logger."),)
        return ()

    def __repr__(self) -> str:
        return f"ApiKeyManager(environment={self._environment!r}, keyed={self._key is not None})"

    def _made(self) -> ApiKeyText:
        return ApiKeyText(
            self._environment, base62(self._entropy(ID_BYTES)), SecretStr(base62(self._entropy(SECRET_BYTES)))
        )

    def _digest(self, text: ApiKeyText) -> bytes:
        octets = f"{text.environment}\0{text.key_id}\0{text.secret.reveal()}".encode("ascii")
        if self._key is None:
            return hashlib.sha256(octets).digest()
        return hmac.digest(self._key.reveal(), octets, hashlib.sha256)

    def _end(self, expires: datetime, now: float) -> float:
        if not isinstance(expires, datetime) or expires.tzinfo is None:
            raise InvalidClaim("An API key needs an end: an aware datetime.", reason="malformed_expiry")
        try:
            end = expires.timestamp()
        except (OverflowError, ValueError, OSError) as error:
            raise InvalidClaim("The end of the API key is beyond every calendar.", reason="malformed_expiry") from error
        if not now < end <= now + self._longest.total_seconds():
            raise InvalidClaim(
                f"The end of an API key lies after now, and at most {self._longest.days} days away.",
                reason="expiry_out_of_range",
            )
        return end

    def _note_use(self, record: ApiKeyRecord, now: float) -> None:
        """Remember the use, unless one is remembered that is not a minute old; no request fails for it."""
        if record.last_used_at is not None and now - record.last_used_at < _SECONDS_BETWEEN_USES:
            return
        try:
            self._store.touch(record.key_id, at=now, at_most_every=_SECONDS_BETWEEN_USES)
        except Exception as error:  # noqa: BLE001 - a store of somebody else's may raise anything; the key is good
            _log.warning("The use of an API key was not remembered (%s).", type(error).__name__)

    def _refusal(self, reason: str, record: ApiKeyRecord | None, ctx: RequestContext | None) -> ApiKeyInvalid:
        facts = {"method": "api_key", "client_id": None if record is None else record.key_id}
        self._tell("authn_login_fail", reason, None if record is None else record.owner, ctx, facts)
        return ApiKeyInvalid(reason=reason)

    def _out_of_scope(self, record: ApiKeyRecord, scope: str, ctx: RequestContext | None) -> ScopeRequired:
        self._tell("authz_fail", "scope_missing", record.owner, ctx, {"scope": scope})
        return ScopeRequired("The API key lacks the scope that is needed.", reason="scope_missing")

    def _tell(
        self,
        event: str,
        reason: str | None,
        owner: str | None,
        ctx: RequestContext | None,
        facts: Mapping[str, object],
    ) -> None:
        if self._audit is not None:
            outcome = AuditOutcome.SUCCESS if reason is None else AuditOutcome.FAILURE
            self._audit.emit(event, outcome=outcome, actor=None, subject=owner, reason=reason, ctx=ctx, **facts)

    @staticmethod
    def _ask(call: Callable[[V], T], argument: V) -> T:
        """Call the store; whatever it raises that is none of ours means that it does not answer."""
        try:
            return call(argument)
        except AuthError:
            raise
        except Exception as error:  # a store of somebody else's may raise anything
            raise StoreUnavailable("The store of API keys does not answer.", reason="api_keys_down") from error


def _granted(owner: str, scopes: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(owner, str) or not _OWNER.fullmatch(owner):
        raise InvalidClaim(f"The owner of an API key must match {_OWNER.pattern}.", reason="malformed_owner")
    if isinstance(scopes, str) or not all(isinstance(scope, str) and SCOPE_TOKEN.fullmatch(scope) for scope in scopes):
        raise InvalidClaim(
            "The scopes of an API key are scope tokens (RFC 6749, section 3.3).", reason="malformed_scope"
        )
    granted = tuple(dict.fromkeys(scopes))
    if not 1 <= len(granted) <= _MOST_SCOPES:
        raise InvalidClaim(f"An API key has 1 to {_MOST_SCOPES} scopes.", reason="malformed_scope")
    return granted


def _summary(record: ApiKeyRecord) -> ApiKeySummary:
    return ApiKeySummary(
        key_id=record.key_id,
        owner=record.owner,
        scopes=record.scopes,
        created_at=moment(record.created_at),
        expires_at=moment(record.expires_at),
        revoked_at=None if record.revoked_at is None else moment(record.revoked_at),
        last_used_at=None if record.last_used_at is None else moment(record.last_used_at),
    )
