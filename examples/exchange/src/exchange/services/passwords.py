"""Passwords of the user service: hashed under its pepper, and judged before they are taken."""

from common.auth.exceptions import ConfigurationError
from common.auth.security.breaches import breach_checks
from common.auth.security.password_manager import PasswordManager
from exchange.services.chassis import Chassis


def passwords_of(chassis: Chassis) -> PasswordManager:
    """Return common-auth's own hasher, which also asks the plugins whether a new password was in a breach.

    Raises:
        ConfigurationError: Another plugin hashes this service's passwords.
    """
    hasher = chassis.plugins.password_hasher()
    if not isinstance(hasher, PasswordManager):
        raise ConfigurationError("The user service needs common-auth's passwords. Set COMMON_AUTH_PASSWORDS=on.")
    return hasher.judging(breaches=breach_checks(chassis.plugins, audit=chassis.audit))


def known_of(username: str, email: str = "") -> tuple[str, ...]:
    """Return what anybody knows of a user, so that no password may be made of it."""
    return (username, email.partition("@")[0])
