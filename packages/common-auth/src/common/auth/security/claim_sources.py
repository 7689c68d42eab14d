"""Claims that plugins add to an access token: bound to plain callables at start-up, called at every issue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from common.auth.exceptions import ClaimsUnavailable, ConfigurationError
from common.core.json_types import JSONValue

if TYPE_CHECKING:
    from common.core import Plugins

__all__ = ["OWN_CLAIMS", "ClaimSource", "NamedClaims", "TokenSubject", "claim_sources", "gather_claims"]

OWN_CLAIMS: Final = frozenset(
    {"iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti", "sid", "ver"}
    | {"scope", "roles", "auth_time", "amr", "act", "azp"}
)
"""The claims of RFC 9068 and of this package; a plugin cannot set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSubject:
    """Whom a token is being issued for, as plugins see it. Fields may be added in minor versions."""

    id: str
    """The claim ``sub``."""
    audience: str
    client_id: str
    roles: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


class ClaimSource(Protocol):
    """Adds claims when a token is issued."""

    @property
    def name(self) -> str:
        """Whose claims these are, for error messages: the plugin's name."""
        ...

    def __call__(self, subject: TokenSubject, /) -> Mapping[str, JSONValue]:
        """Return the claims to add for *subject*."""
        ...


@dataclass(frozen=True, slots=True)
class NamedClaims:
    """A claim source made of a plugin's name and its function."""

    name: str
    function: Callable[[TokenSubject], Mapping[str, JSONValue]]

    def __call__(self, subject: TokenSubject, /) -> Mapping[str, JSONValue]:
        return self.function(subject)


def claim_sources(plugins: "Plugins") -> tuple[ClaimSource, ...]:
    """Return what the hook ``common_token_claims`` gave, for ``TokenManager(claims=…)``.

    Args:
        plugins: Loaded, with the hooks of common-auth known.
    """
    return tuple(NamedClaims(given.plugin, given.value) for given in plugins.contributions("common_token_claims"))


def gather_claims(sources: Sequence[ClaimSource], subject: TokenSubject) -> dict[str, JSONValue]:
    """Return the claims of all *sources* for *subject*.

    Raises:
        ClaimsUnavailable: A source raised; its error is the cause. The others are not asked.
        ConfigurationError: A source returned no mapping, or a claim of :data:`OWN_CLAIMS` or of another source.
    """
    gathered: dict[str, JSONValue] = {}
    owners: dict[str, str] = {}
    for source in sources:
        for name, value in _claims_of(source, subject).items():
            _require_free(name, source.name, owners)
            owners[name] = source.name
            gathered[name] = value
    return gathered


def _claims_of(source: ClaimSource, subject: TokenSubject) -> dict[str, JSONValue]:
    try:
        claims = source(subject)
        told = dict(claims) if isinstance(claims, Mapping) else None
    except Exception as error:  # a plugin may raise anything; a missing claim may be a restriction
        raise ClaimsUnavailable(f"Plugin {source.name!r} gave no claims.", reason="claims_failed") from error
    if told is None or not all(isinstance(name, str) for name in told):
        raise ConfigurationError(
            f"Plugin {source.name!r} returned {type(claims).__name__} for common_token_claims; "
            "it must be a mapping from names to JSON values.",
            reason="bad_claims",
        )
    return told


def _require_free(name: str, plugin: str, owners: Mapping[str, str]) -> None:
    if name in OWN_CLAIMS:
        raise ConfigurationError(
            f"Plugin {plugin!r} may not set the claim {name!r}, which is the family's own. Rename it.",
            reason="claim_reserved",
        )
    if name in owners:
        raise ConfigurationError(
            f"Plugins {owners[name]!r} and {plugin!r} both set the claim {name!r}. Rename one, or block a plugin.",
            reason="claim_contested",
        )
