"""The hooks of common-auth, and what their results must be (:data:`RULES`).

For the rules that hold for all hooks see :mod:`common.core.hookspecs`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from common.auth.security.claim_sources import TokenSubject
from common.core.hook_rules import Claim, HookRule, Shape
from common.core.json_types import JSONValue
from common.core.markers import hookspec

if TYPE_CHECKING:
    from common.auth.security.breaches import BreachChecker
    from common.core.settings import Settings

__all__ = ["BREACH_CHECKERS", "RULES", "TOKEN_CLAIMS", "common_breach_checker", "common_token_claims"]


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


@hookspec
def common_breach_checker(settings: "Settings") -> "Iterable[BreachChecker]":
    """Contribute what knows passwords from breaches.

    When: at start-up, while plugins load; how often: once. A checker opens files or sockets at its first question. It is
    asked for each new password, with hashes of it and never with the password; see
    :class:`common.auth.security.breaches.BreachChecker`.

    Returns:
        The checkers; their names are unique in the service. All of them are kept and asked.

    On an exception: loading fails, and the error names this plugin. At run time a checker that raises is logged, audited
    and hides no other's finding; whether the password is then taken is the service's choice (``OnBreachFailure``).
    """


def _is_breach_checker(value: object) -> bool:
    name = getattr(value, "name", None)
    return isinstance(name, str) and bool(name) and callable(getattr(value, "occurrences", None))


TOKEN_CLAIMS: HookRule[Callable[[TokenSubject], Mapping[str, JSONValue]]] = HookRule(
    "common_token_claims",
    wants="a function of the token's subject",
    accepts=callable,
    shape=Shape.BOUND,
)
BREACH_CHECKERS: "HookRule[BreachChecker]" = HookRule(
    "common_breach_checker",
    wants="a BreachChecker (an object with `name` and `occurrences`)",
    accepts=_is_breach_checker,
    claims=lambda checker: (Claim("breach checker", checker.name),),
)
RULES: tuple[HookRule[Any], ...] = (TOKEN_CLAIMS, BREACH_CHECKERS)
"""Read by :meth:`common.core.Plugins.load` together with the specification above."""
