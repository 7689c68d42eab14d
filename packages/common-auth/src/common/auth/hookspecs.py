"""The hooks of common-auth (see :mod:`common.core.hookspecs` for the rules that hold for all)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.core.json_types import JSONValue
from common.core.markers import hookspec

if TYPE_CHECKING:
    from common.auth.security.breach import BreachChecker
    from common.core.settings import Settings


@hookspec
def common_token_claims(subject: str) -> Mapping[str, JSONValue]:  # type: ignore[empty-body]
    """Add claims to the access token that is being issued for *subject*.

    When: the implementations are collected once, at start-up; each is then called as a plain function whenever an access
    token is issued, never when one is validated.

    Returns:
        The claims. A claim of the family's own (see ``TokenManager``) or of another plugin is refused, and the error
        names the plugins.

    On an exception: the token is not issued (``ClaimsUnavailable``), since a missing claim may be a restriction.
    """


@hookspec
def common_breach_checker(settings: "Settings") -> "BreachChecker | None":
    """Provide a check of new passwords against known breaches.

    When: at start-up, while plugins load; how often: once.

    Returns:
        A checker, or ``None``. All that are returned are used.

    On an exception: loading fails, and the error names this plugin. At run time a checker that raises is treated as
    configured, open and audited or closed; the others run.
    """
