"""Claims that plugins add to an access token: bound to plain callables at start-up, called at every issue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from common.auth.exceptions import ClaimsUnavailable, ConfigurationError
from common.core.json_types import JSONValue

__all__ = ["OWN_CLAIMS", "ClaimSource", "NamedClaims", "gather_claims"]

OWN_CLAIMS: Final = frozenset(
    "iss sub aud client_id iat nbf exp jti sid ver scope roles auth_time amr act azp".split()  # noqa: SIM905
)
"""The claims of RFC 9068 and of this package; a plugin cannot set them."""


class ClaimSource(Protocol):
    """Adds claims when a token is issued. A plugin's hook ``common_token_claims`` becomes one at start-up."""

    @property
    def name(self) -> str:
        """Whose claims these are, for error messages: the plugin's name."""
        ...

    def __call__(self, subject: str, /) -> Mapping[str, JSONValue]:
        """Return the claims to add for *subject*."""
        ...


class _Claimant(Protocol):
    def __call__(self, subject: str) -> Mapping[str, JSONValue]: ...


@dataclass(frozen=True, slots=True)
class NamedClaims:
    """A claim source made of a name and a function of the keyword argument *subject*."""

    name: str
    function: _Claimant

    def __call__(self, subject: str, /) -> Mapping[str, JSONValue]:
        return self.function(subject=subject)


def gather_claims(sources: Sequence[ClaimSource], subject: str) -> dict[str, JSONValue]:
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


def _claims_of(source: ClaimSource, subject: str) -> Mapping[str, JSONValue]:
    try:
        claims = source(subject)
    except Exception as error:  # a plugin may raise anything; a missing claim may be a restriction
        raise ClaimsUnavailable(f"Plugin {source.name!r} gave no claims.", reason="claims_failed") from error
    if not isinstance(claims, Mapping) or not all(isinstance(name, str) for name in claims):
        raise ConfigurationError(
            f"Plugin {source.name!r} returned {type(claims).__name__} for common_token_claims; "
            "it must be a mapping from names to JSON values.",
            reason="bad_claims",
        )
    return claims


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
