"""Which wire a database speaks through on a network, and why."""

import logging
import select
from typing import TYPE_CHECKING, Any, Final

from common.dynamo.wire import Wire
from common.dynamo.wire.direct.patches import stranger_in_botocore
from common.dynamo.wire.direct.settings import DirectSettings, NeedsBotocore, settings_of_environment
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from typing import Literal

    from common.dynamo.telemetry import SdkSpans

__all__ = ["open_network_wire"]

_LOG: Final = logging.getLogger("common.dynamo")


def open_network_wire(
    wire: "Literal['auto', 'boto', 'direct']",
    *,
    session: Any = None,
    client: Any = None,
    endpoint_url: str | None = None,
    region: str | None = None,
    timeout: float = 2.0,
    sdk_spans: "SdkSpans" = "logical",
) -> Wire:
    """Return a wire to AWS or a compatible endpoint, and log at INFO which one, and why.

    Args:
        wire: ``auto`` for the direct wire unless something is needed that only botocore does.
        session: A boto3 session; ``None`` for what the environment configures.
        client: A boto3 client, instead of all the others; always on the boto wire.
        endpoint_url: A compatible endpoint; ``None`` for the configured one, else AWS.
        region: Overrides the session's.
        timeout: Seconds; the longest that one attempt of the boto wire waits for an answer.
        sdk_spans: Which spans are wanted; those of botocore's instrumentation need botocore.

    Raises:
        ConfigurationError: Region, endpoint, credentials or CA bundle are missing or malformed, or ``direct`` was asked for
            where it cannot be; the text names the reason.
    """
    opened = _open(wire, session, client, endpoint_url, region, timeout, sdk_spans)
    host, port = opened.endpoint or ("", 0)
    _LOG.info("DynamoDB at %s:%d is reached through the %s wire: %s.", host, port, opened.name, opened.reason)
    return opened


def _open(
    wire: str, session: Any, client: Any, endpoint_url: str | None, region: str | None, timeout: float, sdk_spans: str
) -> Wire:
    # Importing boto3 takes longer than everything else here, and the direct wire may do without.
    if client is not None:
        return _given_client(wire, client)
    reason = "it was asked for"
    if wire != "boto":
        try:
            if wire == "auto":
                _refuse_strangers(sdk_spans)
            return _direct(_settings(session, endpoint_url, region))
        except NeedsBotocore as need:
            if wire == "direct":
                raise ConfigurationError(
                    f"The direct wire cannot be used: {need}. Give wire='auto' or 'boto' instead."
                ) from need
            reason = str(need)
    from common.dynamo.wire.boto import BotoWire

    return BotoWire.build(session=session, endpoint_url=endpoint_url, region=region, timeout=timeout, reason=reason)


def _given_client(wire: str, client: Any) -> Wire:
    if wire == "direct":
        raise ConfigurationError(
            "The direct wire cannot be used: a boto3 client was given. Give the session that it was made from instead."
        )
    from common.dynamo.wire.boto import BotoWire

    return BotoWire(client)


def _refuse_strangers(sdk_spans: str) -> None:
    """Refuse what is there to see or change the requests of every botocore client in the process."""
    if sdk_spans != "logical":
        raise NeedsBotocore("the spans of botocore's instrumentation are wanted")
    stranger = stranger_in_botocore(ignores_tracer=True)
    if stranger is not None:
        raise NeedsBotocore(stranger)


def _settings(session: Any, endpoint_url: str | None, region: str | None) -> DirectSettings:
    if session is None:
        found = settings_of_environment(endpoint_url, region)
        if found is not None:
            return found
    from common.dynamo.wire.direct.session_settings import settings_of_session

    return settings_of_session(session, endpoint_url, region)


def _direct(settings: DirectSettings) -> Wire:
    if not hasattr(select, "poll"):
        raise NeedsBotocore("this system has no poll(), which bounds each wait of the direct wire")
    from common.dynamo.wire.direct import DirectWire

    endpoint = settings.endpoint
    context = None
    if endpoint.scheme == "https":
        # At once, so that a missing bundle is told here, and so that processes that fork share what was read.
        from common.dynamo.wire.direct.tls import tls_context

        context = tls_context(settings.ca_bundle)
    return DirectWire(endpoint, settings.region, settings.credentials, tls=context, reason=settings.reason)
