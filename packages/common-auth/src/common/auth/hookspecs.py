"""The hooks of common-auth (see :mod:`common.core.hookspecs` for the rules that hold for all)."""

from collections.abc import Mapping

from common.core.json_types import JSONValue
from common.core.markers import hookspec


@hookspec
def common_token_claims(subject: str) -> Mapping[str, JSONValue]:
    """Add claims to the access token that is being issued for *subject*.

    When: the implementations are collected once, at start-up; each is then called as a plain function whenever an access
    token is issued, never when one is validated.

    Returns:
        The claims. A claim of the family's own (see ``TokenManager``) or of another plugin is refused, and the error
        names the plugins.

    On an exception: the token is not issued (``ClaimsUnavailable``), since a missing claim may be a restriction.
    """
