"""common-auth's own plugin, registered through the entry point that strangers use. It keeps no state."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError
from common.core.audit import AuditSink
from common.core.commands import CliCommand
from common.core.health import HealthCheck
from common.core.lifecycle import App
from common.core.markers import hookimpl
from common.core.passwords import PasswordHasher, VerifyResult
from common.core.settings import Settings

if TYPE_CHECKING:
    from common.auth.security.breaches import BreachChecker
    from common.dynamo import EntityType
    from common.dynamo.access import AccessPattern

__all__ = [
    "RefusingHasher",
    "common_access_patterns",
    "common_audit_sinks",
    "common_breach_checker",
    "common_cli_commands",
    "common_entity_types",
    "common_health_checks",
    "common_password_hasher",
    "common_shutdown",
    "common_startup",
]

_log = logging.getLogger("common.auth")

_SECONDS_TO_FLUSH = 5.0
_SECONDS_TO_END = 1.0


class RefusingHasher:
    """Stands where a password manager would be, and says what to set. See decision 0303."""

    def hash(self, password: str, /) -> str:
        """Raise ``ConfigurationError``."""
        del password
        self._refuse()

    def verify(self, password: str, stored: str | None, /) -> VerifyResult:
        """Raise ``ConfigurationError``."""
        del password, stored
        self._refuse()

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what ``common auth doctor`` tells."""
        message = "Passwords are refused. Set COMMON_AUTH_PEPPERS, or COMMON_AUTH_PASSWORDS=off where none are kept."
        return (Finding("passwords", "no_pepper", message),)

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(
            "Passwords are not hashed: there is no pepper. Set COMMON_AUTH_PEPPERS=id:base64 of at least 32 random bytes, "
            "or COMMON_AUTH_ALLOW_UNPEPPERED=1; in development COMMON_ENVIRONMENT=development is enough.",
            reason="no_pepper",
        )


@hookimpl(trylast=True)
def common_password_hasher(settings: Settings) -> PasswordHasher | None:
    """Return the password manager that the variables ``COMMON_AUTH_…`` describe; see ``PasswordSettings``.

    ``COMMON_AUTH_PASSWORDS=off`` leaves the task to nobody. Without a pepper the hasher refuses to work, unless that is
    permitted or the environment is development.
    """
    from common.auth.settings import PasswordSettings  # bcrypt and cryptography, for services that keep passwords

    wanted = PasswordSettings.of(settings)
    if not wanted.enabled:
        return None
    if not wanted.may_hash:
        return RefusingHasher()
    if wanted.peppers is None:
        _log.warning("Passwords are hashed without a pepper. Set COMMON_AUTH_PEPPERS before production.")
    return wanted.manager()


@hookimpl
def common_health_checks(settings: Settings) -> Iterable[HealthCheck]:
    """Contribute the check that passwords can be hashed, and that the stores answer where they are in a table."""
    from common.auth.health import PepperCheck
    from common.auth.settings import PasswordSettings, StoreSettings

    passwords = PasswordSettings.of(settings)
    checks: list[HealthCheck] = [PepperCheck(may_hash=passwords.may_hash)] if passwords.enabled else []
    if StoreSettings.of(settings).in_table:
        from common.auth.dynamo.health import StoresCheck  # the extra, for services that ask for it

        checks.append(StoresCheck())
    return tuple(checks)


@hookimpl(optionalhook=True)
def common_entity_types() -> "Iterable[EntityType[Any]]":
    """Contribute the entity types of sessions, revocations, counters, keys, nonces and the trail: the extra ``[dynamo]``.

    Never called where common-dynamo is not installed, since the hook is its own.
    """
    from common.auth.dynamo.entity_types import AUTH_ENTITY_TYPES

    return AUTH_ENTITY_TYPES


@hookimpl(optionalhook=True)
def common_access_patterns() -> "Iterable[AccessPattern]":
    """Contribute what the stores in a table send and cost: the extra ``[dynamo]``."""
    from common.auth.dynamo.access_patterns import AUTH_PATTERNS

    return AUTH_PATTERNS


@hookimpl
def common_audit_sinks(settings: Settings) -> Iterable[AuditSink]:
    """Contribute the sinks that the variables ``COMMON_AUTH_AUDIT_…`` ask for; see ``AuditSettings``."""
    from common.auth.security.audit_settings import AuditSettings

    return AuditSettings.of(settings).sinks()


@hookimpl(optionalhook=True)
def common_breach_checker(settings: Settings) -> "Iterable[BreachChecker]":
    """Contribute the checkers that the variables ``COMMON_AUTH_BREACH_…`` ask for; see ``BreachSettings``."""
    from common.auth.security.breach_settings import BreachSettings

    return BreachSettings.of(settings).checkers()


@hookimpl
def common_startup(app: App) -> None:
    """Start the threads of the audit loggers and of the remote key sets that *app* provides.

    The audit table gets the first database that *app* provides, where it has none yet.
    """
    from common.auth.security.audit_logger import AuditLogger
    from common.auth.security.audit_settings import AuditSettings
    from common.auth.security.remote_jwks import RemoteJWKS

    if AuditSettings.of(app.settings).table:
        from common.auth.dynamo.audit_table import attach_database

        attach_database(app)
    for keys in app.provided(RemoteJWKS):
        keys.start()
    for audit in app.provided(AuditLogger):
        audit.start()


@hookimpl
def common_cli_commands() -> Iterable[CliCommand]:
    """Contribute ``common auth …``."""
    from common.auth.commands import COMMANDS  # argparse, for the command alone

    return COMMANDS


@hookimpl
def common_shutdown(app: App) -> None:
    """End the threads of key sets and hashing pools; then flush and close the audit loggers, within the deadline."""
    from common.auth.security.audit_logger import AuditLogger
    from common.auth.security.hashing_pool import HashingPool
    from common.auth.security.password_manager import PasswordManager
    from common.auth.security.remote_jwks import RemoteJWKS

    for keys in app.provided(RemoteJWKS):
        keys.close(min(_SECONDS_TO_END, app.remaining() or _SECONDS_TO_END))
    hasher = app.plugins.password_hasher()
    if isinstance(hasher, PasswordManager):
        hasher.close()
    for manager in app.provided(PasswordManager):
        manager.close()
    for pool in app.provided(HashingPool):
        pool.close()
    for audit in app.provided(AuditLogger):
        remaining = app.remaining()
        audit.close(_SECONDS_TO_FLUSH if remaining is None else remaining)
