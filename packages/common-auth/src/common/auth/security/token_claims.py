"""What the claims of a token must say (RFC 7519, section 4.1), and what they said once they are checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.core.json_types import JSONValue

__all__ = ["ClaimRules", "Claims"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """The rules for one kind of token.

    Args:
        issuer: The exact ``iss``.
        audience: Ours: ``aud`` is this string, or a list of just it.
        required: Claims that must be there and not be empty.
        max_ttl: The longest accepted ``exp - iat``.
        leeway: How far clocks may differ; at most 60 s.
        sources: Services that may stand in ``azp``.
        accept_audience_lists: Accept other audiences beside ours.
    """

    issuer: str
    audience: str
    required: frozenset[str]
    max_ttl: timedelta
    leeway: timedelta = timedelta(seconds=10)
    sources: frozenset[str] = frozenset()
    accept_audience_lists: bool = False

    def check(self, claims: Mapping[str, JSONValue], now: float) -> None:
        """Accept *claims* at *now*, in seconds since the epoch.

        Raises:
            TokenExpired: Their time is over.
            TokenNotYetValid: Their time has not begun.
            TokenInvalid: Anything else; ``reason`` names the claim.
        """
        raise NotImplementedError


class Claims:
    """The checked claims of a token; immutable."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, JSONValue]) -> None:
        self._members = members

    @property
    def subject(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def token_id(self) -> str:
        """The claim ``jti``."""
        ...

    @property
    def session(self) -> str:
        """The claim ``sid``."""
        ...

    @property
    def epoch(self) -> int:
        """The claim ``ver``."""
        ...

    @property
    def issued_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def authenticated_at(self) -> datetime | None: ...
    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def scope(self) -> frozenset[str]: ...
    @property
    def actors(self) -> tuple[str, ...]:
        """The chain of ``act``, the current actor first (RFC 8693, section 4.1)."""
        ...

    @property
    def source(self) -> str | None:
        """The claim ``azp``."""
        ...

    @property
    def members(self) -> Mapping[str, JSONValue]:
        """Every claim as it was, unknown ones included."""
        ...
