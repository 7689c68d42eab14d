"""The hooks that Acme implements. Each imports what it needs inside, so that loading the plugin costs next to nothing.

Hooks of parts that a service may not have are optional: without common-dynamo there are no invoices, without
common-auth no claims, without common-observability no slow spans, and the rest works all the same.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from common.core import App, CliCommand, Settings, hookimpl

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: TID251 - for the type alone

    from common.auth.security.claim_sources import TokenSubject
    from common.core.audit import AuditSink
    from common.core.health import HealthCheck
    from common.dynamo import EntityType
    from common.dynamo.interceptors import Interceptor


@hookimpl
def common_audit_sinks(settings: Settings) -> "Iterable[AuditSink]":
    """Store audit records in the file named by ``ACME_AUDIT_FILE``; without one, keep the latest in memory."""
    from acme_plugin.audit import sink_for

    return [sink_for(settings)]


@hookimpl
def common_health_checks(settings: Settings) -> "Iterable[HealthCheck]":
    """Watch the free space where the audit file is."""
    from acme_plugin.health import check_for

    return [check_for(settings)]


@hookimpl
def common_cli_commands() -> Iterable[CliCommand]:
    """Add ``common acme audit``."""
    from acme_plugin.commands import AUDIT

    return [AUDIT]


@hookimpl
def common_startup(app: App) -> None:
    """Make the audit file's folder, so that a wrong setting stops the start and not the first event."""
    from acme_plugin.audit import prepare_folder

    prepare_folder(app.settings)


@hookimpl(optionalhook=True)
def common_entity_types() -> "Iterable[EntityType[Any]]":
    """Store invoices; called where common-dynamo is installed."""
    from acme_plugin.storage import INVOICE

    return [INVOICE]


@hookimpl(optionalhook=True)
def common_dynamo_interceptors() -> "Iterable[Interceptor]":
    """Add up what each access pattern costs; called where common-dynamo is installed."""
    from acme_plugin.metering import PatternMeter

    return [PatternMeter()]


@hookimpl(optionalhook=True)
def common_token_claims(subject: "TokenSubject") -> Mapping[str, str]:
    """Name the tenant of a subject such as ``acme.alice``; called where common-auth issues tokens."""
    tenant, dot, _ = subject.id.partition(".")
    return {"acme_tenant": tenant} if dot else {}


@hookimpl(optionalhook=True)
def common_resource_attributes() -> Mapping[str, str]:
    """Mark all telemetry of the service with the plugin's version; called where common-observability is installed."""
    from importlib.metadata import version

    return {"acme.plugin.version": version("acme-plugin")}


@hookimpl(optionalhook=True)
def common_span_processors(settings: Settings) -> "Iterable[SpanProcessor]":
    """Tell slow operations in the log; called where common-observability is installed."""
    from acme_plugin.slow_spans import slow_spans_for

    return [slow_spans_for(settings)]
