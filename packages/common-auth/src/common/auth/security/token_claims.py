"""What the claims of a token must say (RFC 7519, section 4.1), and what they said once that is checked."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, cast

from common.auth.exceptions import ConfigurationError, TokenExpired, TokenInvalid, TokenNotYetValid
from common.auth.security.clock import moment
from common.core.json_types import JSONValue

__all__ = ["MAX_ACTORS", "PRINTABLE", "SCOPE_TOKEN", "ClaimRules", "Claims", "actor_chain"]

PRINTABLE: Final = re.compile(r"[\x21-\x7e]{1,255}")
"""Subjects and ids: ASCII without spaces and control characters, so that they are safe in a log, a header and a key."""
SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
"""One scope (RFC 6749, section 3.3)."""
MAX_ACTORS: Final = 4
"""How deep the claim ``act`` may go."""

_MAX_LEEWAY: Final = timedelta(seconds=60)
_LARGEST: Final = 2**53
_ALWAYS_REQUIRED: Final = frozenset({"iss", "aud", "sub", "exp", "iat"})
_NO_VALUE: Final[tuple[object, ...]] = (None, "", [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """The rules for one kind of token.

    Raises:
        ConfigurationError: No issuer or audience, a leeway outside 0 to 60 s, or a max_ttl that is not positive.
    """

    issuer: str
    """The exact ``iss``."""
    audience: str
    """Ours: ``aud`` is this string, or a list of just it."""
    required: frozenset[str]
    """Claims that must be there and not be empty; to these, ``iss``, ``aud``, ``sub``, ``exp`` and ``iat`` are added."""
    max_ttl: timedelta
    """The longest accepted ``exp - iat``."""
    leeway: timedelta = timedelta(seconds=10)
    """How far clocks may differ."""
    sources: frozenset[str] = frozenset()
    """The services that may stand in ``azp``."""
    accept_audience_lists: bool = False
    """Accept a list that names others beside us: each of them can then show the token to us."""

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ConfigurationError("Tokens need an issuer and an audience.", reason="bad_rules")
        if not timedelta(0) <= self.leeway <= _MAX_LEEWAY:
            raise ConfigurationError("The leeway must be 0 to 60 seconds.", reason="bad_rules")
        if self.max_ttl <= timedelta(0):
            raise ConfigurationError("The longest life of a token must be above zero.", reason="bad_rules")
        object.__setattr__(self, "required", frozenset(self.required) | _ALWAYS_REQUIRED)

    def check(self, claims: Mapping[str, JSONValue], now: float) -> None:
        """Accept *claims* at *now*, in seconds since the epoch.

        Raises:
            TokenExpired: Their time is over.
            TokenNotYetValid: Their time has not begun.
            TokenInvalid: Anything else; ``reason`` names the claim, ``missing_sub`` or ``malformed_sub``.
        """
        for name in self.required:
            if claims.get(name) in _NO_VALUE:
                raise TokenInvalid(reason=f"missing_{name}")
        for name, value in claims.items():
            shape = _SHAPES.get(name)
            if shape is not None and not shape(value):
                raise TokenInvalid(reason=f"malformed_{name}")
        if claims.get("iss") != self.issuer:
            raise TokenInvalid(reason="wrong_iss")
        self._check_audience(claims.get("aud"))
        if "azp" in claims and claims["azp"] not in self.sources:
            raise TokenInvalid(reason="foreign_azp")
        self._check_times(claims, now)

    def _check_audience(self, audience: JSONValue) -> None:
        if audience == self.audience or audience == [self.audience]:
            return
        if not (self.accept_audience_lists and isinstance(audience, list) and self.audience in audience):
            raise TokenInvalid(reason="wrong_aud")

    def _check_times(self, claims: Mapping[str, JSONValue], now: float) -> None:
        expires, issued = cast("float", claims["exp"]), cast("float", claims["iat"])
        leeway = self.leeway.total_seconds()
        if not 0 <= expires - issued <= self.max_ttl.total_seconds():
            raise TokenInvalid(reason="too_long_lived")
        if expires <= now - leeway:
            raise TokenExpired(reason="expired")
        if max(issued, cast("float", claims.get("nbf", issued))) > now + leeway:
            raise TokenNotYetValid(reason="not_yet_valid")


def _is_numeric_date(value: object) -> bool:
    """RFC 7519, section 2; narrowed to what a double holds exactly."""
    return type(value) in (int, float) and math.isfinite(cast("float", value)) and abs(cast("float", value)) <= _LARGEST


def _is_counter(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and PRINTABLE.fullmatch(value) is not None


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_printable, value))


def _is_scope(value: object) -> bool:
    return isinstance(value, str) and all(map(SCOPE_TOKEN.fullmatch, value.split(" ")))


def _is_audience(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_actor_chain(value: object) -> bool:
    chain = actor_chain(value)
    return 0 < len(chain) <= MAX_ACTORS and all(map(_is_printable, chain))


def actor_chain(act: object) -> tuple[object, ...]:
    """Return the subjects of the claim *act*, the current actor first (RFC 8693, section 4.1); stops after five."""
    chain: list[object] = []
    while isinstance(act, Mapping) and len(chain) <= MAX_ACTORS:
        chain.append(act.get("sub"))
        act = act.get("act")
    return (*chain, None) if act is not None and len(chain) <= MAX_ACTORS else tuple(chain)


_SHAPES: Final[Mapping[str, Callable[[object], bool]]] = {
    "sub": _is_printable,
    "jti": _is_printable,
    "sid": _is_printable,
    "client_id": _is_printable,
    "azp": _is_printable,
    "exp": _is_numeric_date,
    "iat": _is_numeric_date,
    "nbf": _is_numeric_date,
    "auth_time": _is_numeric_date,
    "ver": _is_counter,
    "aud": _is_audience,
    "scope": _is_scope,
    "roles": _is_list_of_names,
    "amr": _is_list_of_names,
    "act": _is_actor_chain,
}


class Claims:
    """The checked claims of a token; immutable. ``repr`` shows the subject alone, no id of token or session."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, JSONValue]) -> None:
        self._members: Mapping[str, JSONValue] = MappingProxyType(dict(members))

    @property
    def members(self) -> Mapping[str, JSONValue]:
        """Every claim as it was, unknown ones included."""
        return self._members

    @property
    def issuer(self) -> str:
        """The claim ``iss``."""
        return cast("str", self._members["iss"])

    @property
    def subject(self) -> str:
        """The claim ``sub``: an opaque user id."""
        return cast("str", self._members["sub"])

    @property
    def client_id(self) -> str | None:
        """The claim ``client_id``: the application that the token was issued to."""
        return cast("str | None", self._members.get("client_id"))

    @property
    def token_id(self) -> str | None:
        """The claim ``jti``; what revocation and replay checks are keyed by."""
        return cast("str | None", self._members.get("jti"))

    @property
    def session(self) -> str | None:
        """The claim ``sid``."""
        return cast("str | None", self._members.get("sid"))

    @property
    def epoch(self) -> int:
        """The claim ``ver``: the user's session counter when the token was issued; 0 where there is none."""
        return cast("int", self._members.get("ver", 0))

    @property
    def issued_at(self) -> datetime:
        """The claim ``iat``, in UTC."""
        return moment(cast("float", self._members["iat"]))

    @property
    def expires_at(self) -> datetime:
        """The claim ``exp``, in UTC."""
        return moment(cast("float", self._members["exp"]))

    @property
    def authenticated_at(self) -> datetime | None:
        """The claim ``auth_time``."""
        seconds = self._members.get("auth_time")
        return None if seconds is None else moment(cast("float", seconds))

    @property
    def methods(self) -> tuple[str, ...]:
        """The claim ``amr``: how the user was authenticated (RFC 8176)."""
        return tuple(cast("list[str]", self._members.get("amr", [])))

    @property
    def roles(self) -> frozenset[str]:
        """The claim ``roles``; empty where there is none."""
        return frozenset(cast("list[str]", self._members.get("roles", [])))

    @property
    def scope(self) -> frozenset[str]:
        """The claim ``scope``, split; empty where there is none."""
        return frozenset(cast("str", self._members.get("scope", "")).split())

    @property
    def actors(self) -> tuple[str, ...]:
        """Who acts for the subject, the current actor first; empty where the subject acts."""
        return cast("tuple[str, ...]", actor_chain(self._members.get("act")))

    @property
    def source(self) -> str | None:
        """The claim ``azp``: the service that obtained the token."""
        return cast("str | None", self._members.get("azp"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Claims) and self._members == other._members

    def __hash__(self) -> int:
        return hash((self.issuer, self.token_id))

    def __repr__(self) -> str:
        return f"Claims(subject={self.subject!r}, expires_at={self.expires_at.isoformat()})"
