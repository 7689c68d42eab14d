"""The claims of an access token, made from arguments that are checked one by one (RFC 9068, section 2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.auth.exceptions import InvalidClaim
from common.auth.security.token_claims import MAX_ACTORS, PRINTABLE, SCOPE_TOKEN
from common.core.json_types import JSONValue

__all__ = [
    "Actor",
    "authentication_claims",
    "client_name",
    "delegation_claims",
    "grant_claims",
    "identity_claims",
]

_LARGEST_EPOCH = 2**53


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts for the subject, and for whom in turn (claim ``act``, RFC 8693, section 4.1); at most 4 deep.

    >>> Actor("orders", Actor("gateway")).chain
    ('orders', 'gateway')
    """

    subject: str
    actor: "Actor | None" = None
    """Who acted before."""

    @property
    def chain(self) -> tuple[str, ...]:
        """The subjects, the current actor first."""
        subjects = []
        actor: Actor | None = self
        while actor is not None:
            subjects.append(actor.subject)
            actor = actor.actor
        return tuple(subjects)


def client_name(client_id: str) -> str:
    """Return *client_id*, or raise ``InvalidClaim`` where it is malformed."""
    return _name(client_id, "client_id")


def identity_claims(subject: str, session: str, epoch: int) -> dict[str, JSONValue]:
    """Return sub, sid and ver, or raise ``InvalidClaim``."""
    if type(epoch) is not int or not 0 <= epoch <= _LARGEST_EPOCH:
        raise InvalidClaim("The epoch must be a whole number that is not negative.", reason="malformed_ver")
    return {"sub": _name(subject, "sub"), "sid": _name(session, "sid"), "ver": epoch}


def grant_claims(roles: Sequence[str], scope: Sequence[str]) -> dict[str, JSONValue]:
    """Return roles and scope where there are any, or raise ``InvalidClaim``."""
    if isinstance(scope, str) or not all(isinstance(one, str) and SCOPE_TOKEN.fullmatch(one) for one in scope):
        raise InvalidClaim("Scopes are a list of names without spaces (RFC 6749, 3.3).", reason="malformed_scope")
    granted: dict[str, JSONValue] = {"scope": " ".join(scope)} if scope else {}
    return {**granted, **({"roles": _names(roles, "roles")} if roles else {})}


def authentication_claims(at: datetime | None, methods: Sequence[str]) -> dict[str, JSONValue]:
    """Return auth_time and amr where they are known, or raise ``InvalidClaim``."""
    if at is not None and at.utcoffset() is None:
        raise InvalidClaim("authenticated_at needs a time zone, such as UTC.", reason="malformed_auth_time")
    when: dict[str, JSONValue] = {} if at is None else {"auth_time": int(at.timestamp())}
    return {**when, **({"amr": _names(methods, "amr")} if methods else {})}


def delegation_claims(actor: Actor | None, source: str | None, sources: frozenset[str]) -> dict[str, JSONValue]:
    """Return act and azp where somebody acts for the subject, or raise ``InvalidClaim``."""
    if source is not None and source not in sources:
        raise InvalidClaim("The source is not among the profile's sources.", reason="foreign_azp")
    told: dict[str, JSONValue] = {} if source is None else {"azp": source}
    return {**told, **({} if actor is None else {"act": _act(actor.chain)})}


def _act(chain: tuple[str, ...]) -> JSONValue:
    if len(chain) > MAX_ACTORS:
        raise InvalidClaim(f"At most {MAX_ACTORS} actors may stand between user and service.", reason="malformed_act")
    told: dict[str, JSONValue] = {}
    for subject in reversed(chain):
        told = {"sub": _name(subject, "act"), **({"act": told} if told else {})}
    return told


def _names(values: Sequence[str], claim: str) -> list[JSONValue]:
    if isinstance(values, str):
        raise InvalidClaim(f"The claim {claim} is a list of names, not one text.", reason=f"malformed_{claim}")
    return [_name(value, claim) for value in values]


def _name(value: object, claim: str) -> str:
    if not isinstance(value, str) or not PRINTABLE.fullmatch(value):
        raise InvalidClaim(
            f"The claim {claim} must be 1 to 255 printable ASCII characters.", reason=f"malformed_{claim}"
        )
    return value
