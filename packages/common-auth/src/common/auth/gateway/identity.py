"""Who is asking, once the gateway's word for it has been checked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from common.auth.exceptions import InvalidClaim, RoleRequired, ScopeRequired
from common.auth.security.secrets import SecretStr
from common.auth.security.token_claims import SCOPE_TOKEN

__all__ = [
    "MAX_ACTORS",
    "REQUEST_ID_FORM",
    "ROLE_FORM",
    "SERVICE_FORM",
    "USER_ID_FORM",
    "Evidence",
    "Identity",
]

USER_ID_FORM: Final = re.compile(r"[A-Za-z0-9._:@|-]{1,128}")
ROLE_FORM: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
REQUEST_ID_FORM: Final = re.compile(r"[A-Za-z0-9._-]{8,128}")
SERVICE_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of services: sources, audiences, actors."""
MAX_ACTORS: Final = 4
"""How many services may stand between the user and the service that is called."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an identity rests on. Only a validator makes one."""

    replay_key: str
    """The same for two uses of one assertion or MAC."""
    expires: float
    """When it can no longer be replayed, in seconds since the Unix epoch."""
    assertion: SecretStr | None = None
    """The gateway's own assertion, which a service shows when it calls on behalf of the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user, and how the request of that user got here.

    A gateway makes one for :meth:`~common.auth.gateway.signer.GatewaySigner.sign`; a service gets one from
    :meth:`~common.auth.gateway.header_validator.HeaderValidator.validate`.

    Raises:
        InvalidClaim: A value breaks its grammar, or there are more than four actors.

    >>> identity = Identity(user_id="u-1", roles=frozenset({"trader"}), request_id="0190163d-8694", source="gateway")
    >>> identity.require_role("admin", "trader")
    >>> identity.require_role("admin")
    Traceback (most recent call last):
    common.auth.exceptions.RoleRequired: One of these roles is required: admin.
    """

    user_id: str
    """Opaque: ``[A-Za-z0-9._:@|-]``, 1 to 128 characters."""
    roles: frozenset[str] = frozenset()
    request_id: str
    """``[A-Za-z0-9._-]``, 8 to 128 characters; the same in every service that the request reaches."""
    source: str
    """The service that made this request."""
    scope: frozenset[str] = frozenset()
    """What the user has granted (RFC 6749, section 3.3); only an assertion carries it."""
    actors: tuple[str, ...] = ()
    """The services that act for the user, the nearest first; empty where the gateway called."""
    evidence: Evidence | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, pattern, values in (
            ("user_id", USER_ID_FORM, (self.user_id,)),
            ("roles", ROLE_FORM, self.roles),
            ("request_id", REQUEST_ID_FORM, (self.request_id,)),
            ("source", SERVICE_FORM, (self.source, *self.actors)),
            ("scope", SCOPE_TOKEN, self.scope),
        ):
            if not all(isinstance(value, str) and pattern.fullmatch(value) for value in values):
                raise InvalidClaim(f"Identity: {name} must match {pattern.pattern}.", reason=f"malformed_{name}")
        if len(self.actors) > MAX_ACTORS:
            raise InvalidClaim(f"Identity: at most {MAX_ACTORS} services may act for a user.", reason="too_many_actors")

    def require_role(self, *roles: str) -> None:
        """Go on if the user has one of *roles*.

        Raises:
            RoleRequired: The user has none of them.
        """
        if self.roles.isdisjoint(roles):
            raise RoleRequired(f"One of these roles is required: {_listed(roles)}.", reason="role_missing")

    def require_scope(self, *scopes: str) -> None:
        """Go on if the user has granted all of *scopes*.

        Raises:
            ScopeRequired: One is missing.
        """
        missing = frozenset(scopes) - self.scope
        if missing:
            raise ScopeRequired(f"These scopes are missing: {_listed(missing)}.", reason="scope_missing")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
