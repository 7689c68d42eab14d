"""The hook of common-auth, and what its results must be (:data:`RULES`).

For the rules that hold for all hooks see :mod:`common.core.hookspecs`.
"""

from collections.abc import Callable, Mapping

from common.auth.security.claim_sources import TokenSubject
from common.core.hook_rules import HookRule, Shape
from common.core.json_types import JSONValue
from common.core.markers import hookspec

__all__ = ["RULES", "TOKEN_CLAIMS", "common_token_claims"]


@hookspec
def common_token_claims(subject: TokenSubject) -> Mapping[str, JSONValue]:
    """Add claims to the access token that is being issued for *subject*.

    When: whenever an access token is issued, never when one is validated; how often: once per token. The
    implementations are collected once, at start-up, and then called as plain functions.

    Returns:
        The claims. A claim of the family's own (:data:`common.auth.security.claim_sources.OWN_CLAIMS`) or of another
        plugin is refused, and the error names the plugins.

    On an exception: the token is not issued (``ClaimsUnavailable``), since a missing claim may be a restriction.
    """


TOKEN_CLAIMS: HookRule[Callable[[TokenSubject], Mapping[str, JSONValue]]] = HookRule(
    "common_token_claims",
    wants="a function of the token's subject",
    accepts=callable,
    shape=Shape.BOUND,
)
RULES: tuple[HookRule[Callable[[TokenSubject], Mapping[str, JSONValue]]], ...] = (TOKEN_CLAIMS,)
"""Read by :meth:`common.core.Plugins.load` together with the specification above."""
