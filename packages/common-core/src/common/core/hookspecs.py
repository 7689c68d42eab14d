"""The hooks of common-core, and what their results must be (:data:`RULES`).

All but start-up and shutdown are called once, while :meth:`common.core.Plugins.load` runs, implementation by
implementation: the family's own first, then by distribution and entry-point name, ``tryfirst`` and ``trylast``
honoured. An implementation takes as many of the arguments as it wants, by name. Request paths never call a hook; they
loop over the objects that the hooks returned.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from common.core.audit import AuditSink
from common.core.commands import CliCommand
from common.core.health import CheckSpec, HealthCheck
from common.core.hook_rules import Claim, HookRule, Shape
from common.core.markers import hookspec
from common.core.passwords import PasswordHasher

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.core.settings import Settings


@hookspec
def common_health_checks(settings: "Settings") -> Iterable[HealthCheck]:
    """Contribute health checks.

    When: at start-up, while plugins load; how often: once. Building a check is cheap and does no I/O.

    Returns:
        The checks; their names are unique in the service.

    On an exception: loading fails, and the error names this plugin. At run time a check that raises is FAIL; the
    others run.
    """


@hookspec
def common_audit_sinks(settings: "Settings") -> Iterable[AuditSink]:
    """Contribute destinations of the audit trail.

    When: at start-up, while plugins load; how often: once. A sink opens files or sockets at its first write.

    Returns:
        The sinks; their names are unique in the service.

    On an exception: loading fails, and the error names this plugin. At run time a sink that raises is logged and
    counted; the other sinks get the event.
    """


@hookspec
def common_password_hasher(settings: "Settings") -> PasswordHasher | None:
    """Provide what hashes and verifies passwords.

    When: at start-up, while plugins load; how often: once. A hasher from outside the family goes before the family's
    own; two from outside are an error that names both.

    Returns:
        A hasher, or ``None`` to leave the task to another plugin.

    On an exception: loading fails, and the error names this plugin. At run time the operation that needed the hash
    fails, and nothing is written.
    """


@hookspec
def common_cli_commands() -> Iterable[CliCommand]:
    """Contribute subcommands of the ``common`` command.

    When: at start-up, while plugins load, in the service as in the command itself; how often: once.

    Returns:
        The subcommands; their names are unique.

    On an exception: loading fails, and the error names this plugin; ``common`` prints that error and exits 1.
    """


@hookspec(historic=True)
def common_startup(app: "App") -> None:
    """Start what the plugin runs beside the requests: threads, connections, caches.

    When: after all plugins have loaded, in :meth:`common.core.Plugins.start`; how often: once per plugin. A plugin
    registered later is called at its registration.

    Returns:
        Nothing.

    On an exception: start-up stops, the plugins that had started are shut down in reverse order, and the error names
    this plugin. One registered later is unregistered again.
    """


@hookspec
def common_shutdown(app: "App") -> None:
    """Stop what :func:`common_startup` started, within the deadline that *app* carries.

    When: in :meth:`common.core.Plugins.stop`, in reverse order of start-up whatever ``tryfirst`` and ``trylast`` say
    here; how often: once per plugin that started. A plugin without :func:`common_startup` counts as started.

    Returns:
        Nothing.

    On an exception: it is logged, and the rest still shuts down.
    """


def _is_health_check(value: object) -> bool:
    return isinstance(getattr(value, "spec", None), CheckSpec) and callable(getattr(value, "check", None))


def _is_audit_sink(value: object) -> bool:
    name = getattr(value, "name", None)
    return (
        isinstance(name, str)
        and bool(name)
        and isinstance(getattr(value, "durable", None), bool)
        and all(callable(getattr(value, method, None)) for method in ("write", "flush", "close"))
    )


def _is_password_hasher(value: object) -> bool:
    return all(callable(getattr(value, method, None)) for method in ("hash", "verify"))


HEALTH_CHECKS: HookRule[HealthCheck] = HookRule(
    "common_health_checks",
    wants="a HealthCheck (an object with `spec`, a CheckSpec, and `check`)",
    accepts=_is_health_check,
    claims=lambda check: (Claim("health check", check.spec.name),),
)
AUDIT_SINKS: HookRule[AuditSink] = HookRule(
    "common_audit_sinks",
    wants="an AuditSink (an object with `name`, `durable`, `write`, `flush` and `close`)",
    accepts=_is_audit_sink,
    claims=lambda sink: (Claim("audit sink", sink.name),),
)
PASSWORD_HASHER: HookRule[PasswordHasher] = HookRule(
    "common_password_hasher",
    wants="a PasswordHasher (an object with `hash` and `verify`) or None",
    accepts=_is_password_hasher,
    shape=Shape.VALUE,
    claims=lambda _hasher: (Claim("password hasher"),),
    family_yields=True,
)
CLI_COMMANDS: HookRule[CliCommand] = HookRule(
    "common_cli_commands",
    wants="a CliCommand",
    accepts=lambda value: isinstance(value, CliCommand),
    claims=lambda command: (Claim("command", command.name),),
)
RULES: tuple[HookRule[Any], ...] = (HEALTH_CHECKS, AUDIT_SINKS, PASSWORD_HASHER, CLI_COMMANDS)
"""Read by :meth:`common.core.Plugins.load` together with the specifications above."""
