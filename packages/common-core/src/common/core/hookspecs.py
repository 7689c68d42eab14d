"""The hooks of common-core.

Each is called once, while :meth:`common.core.Plugins.load` runs, implementation by implementation: the family's own
first, then by distribution and entry-point name, ``tryfirst`` and ``trylast`` honoured. Request paths never call a
hook; they loop over the objects that the hooks returned.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from common.core.markers import hookspec

if TYPE_CHECKING:
    from common.core.audit import AuditSink
    from common.core.cli import CliCommand
    from common.core.health import HealthCheck
    from common.core.lifecycle import App
    from common.core.passwords import PasswordHasher
    from common.core.settings import Settings


@hookspec
def common_health_checks(settings: "Settings") -> "Iterable[HealthCheck]":
    """Contribute health checks.

    When: at start-up, while plugins load; how often: once. Building a check is cheap and does no I/O.

    Returns:
        The checks; their names are unique in the service.

    On an exception: loading fails, and the error names this plugin. At run time a check that raises is FAIL; the
    others run.
    """


@hookspec
def common_audit_sinks(settings: "Settings") -> "Iterable[AuditSink]":
    """Contribute destinations of the audit trail.

    When: at start-up, while plugins load; how often: once. A sink opens files or sockets at its first write.

    Returns:
        The sinks; their names are unique in the service.

    On an exception: loading fails, and the error names this plugin. At run time a sink that raises is logged and
    counted; the other sinks get the event.
    """


@hookspec
def common_password_hasher(settings: "Settings") -> "PasswordHasher | None":
    """Provide what hashes and verifies passwords.

    When: at start-up, while plugins load; how often: once. The first result that is not ``None`` wins, a stranger's
    before the family's own; two strangers' hashers are an error that names both.

    Returns:
        A hasher, or ``None`` to leave the task to another plugin.

    On an exception: loading fails, and the error names this plugin. At run time the operation that needed the hash
    fails, and nothing is written.
    """


@hookspec
def common_cli_commands() -> "Iterable[CliCommand]":
    """Contribute subcommands of the ``common`` command.

    When: when the command starts; how often: once.

    Returns:
        The subcommands; their names are unique.

    On an exception: the command names this plugin and exits 1.
    """


@hookspec(historic=True)
def common_startup(app: "App") -> None:
    """Start what the plugin runs beside the requests: threads, connections, caches.

    When: after all plugins have loaded, when the service starts; how often: once per plugin. A plugin registered
    later is called at its registration.

    Returns:
        Nothing.

    On an exception: start-up stops, and the plugins that had started are shut down in reverse order.
    """


@hookspec
def common_shutdown(app: "App") -> None:
    """Stop what :func:`common_startup` started, within the deadline that *app* carries.

    When: when the service stops, in reverse order of start-up; how often: once per plugin that started.

    Returns:
        Nothing.

    On an exception: it is logged, and the rest still shuts down.
    """
