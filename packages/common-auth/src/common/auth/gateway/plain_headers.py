"""The four plain identity headers: user id, roles, request id and source service, each by its grammar."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.auth.exceptions import HeaderMalformed
from common.auth.gateway.identity import REQUEST_ID_FORM, SERVICE_FORM, USER_ID_FORM, Identity
from common.auth.gateway.raw_headers import REQUEST_ID, ROLES, SOURCE, USER_ID, about

__all__ = ["HeaderGrammar", "PlainHeaders", "headers_of"]


@dataclass(frozen=True, slots=True)
class PlainHeaders:
    """What the plain headers say; ``None`` where one is absent."""

    user_id: str | None
    roles: frozenset[str] | None
    request_id: str | None
    source: str | None

    def first_missing(self) -> bytes | None:
        """Return the name of the first header that is absent."""
        for name, value in zip((USER_ID, ROLES, REQUEST_ID, SOURCE), self._values(), strict=True):
            if value is None:
                return name
        return None

    def first_difference(self, identity: Identity) -> bytes | None:
        """Return the name of the first header that is there and says something else than *identity*."""
        proven = (identity.user_id, identity.roles, identity.request_id, identity.source)
        for name, value, truth in zip((USER_ID, ROLES, REQUEST_ID, SOURCE), self._values(), proven, strict=True):
            if value is not None and value != truth:
                return name
        return None

    def _values(self) -> tuple[object, ...]:
        return (self.user_id, self.roles, self.request_id, self.source)


@dataclass(frozen=True, slots=True)
class HeaderGrammar:
    """Which values the plain headers may have. Nothing is trimmed, folded or repaired, and empty is not absent."""

    roles: frozenset[str]
    sources: frozenset[str]
    most_roles: int

    def read(self, found: Mapping[bytes, bytes]) -> PlainHeaders:
        """Return the plain headers among *found*, the values by lower-case name.

        Raises:
            HeaderMalformed: One breaks its grammar, or names a role or source that is not known here.
        """
        source = _matched(found, SOURCE, SERVICE_FORM, "malformed_source")
        if source is not None and source not in self.sources:
            raise HeaderMalformed(reason="unknown_source", details=about(SOURCE))
        return PlainHeaders(
            user_id=_matched(found, USER_ID, USER_ID_FORM, "malformed_user_id"),
            roles=self._roles(found),
            request_id=_matched(found, REQUEST_ID, REQUEST_ID_FORM, "malformed_request_id"),
            source=source,
        )

    def _roles(self, found: Mapping[bytes, bytes]) -> frozenset[str] | None:
        value = found.get(ROLES)
        if value is None:
            return None
        named = value.decode("latin-1").split(",")
        roles = frozenset(named)
        if len(named) > self.most_roles or len(roles) != len(named):
            raise HeaderMalformed(reason="malformed_roles", details=about(ROLES))
        if not roles <= self.roles:
            raise HeaderMalformed(reason="unknown_role", details=about(ROLES))
        return roles


def headers_of(identity: Identity) -> list[tuple[bytes, bytes]]:
    """Return the plain headers that say what *identity* says; no role, no role header."""
    headers = [
        (USER_ID, identity.user_id.encode("ascii")),
        (REQUEST_ID, identity.request_id.encode("ascii")),
        (SOURCE, identity.source.encode("ascii")),
    ]
    if identity.roles:
        headers.insert(1, (ROLES, ",".join(sorted(identity.roles)).encode("ascii")))
    return headers


def _matched(found: Mapping[bytes, bytes], name: bytes, form: re.Pattern[str], reason: str) -> str | None:
    value = found.get(name)
    if value is None:
        return None
    text = value.decode("latin-1")
    if form.fullmatch(text) is None:
        raise HeaderMalformed(reason=reason, details=about(name))
    return text
