"""What a direct wire is opened with, taken from a boto3 session; importing this imports boto3.

botocore says what the session's configuration means, and this asks for everything that would change where requests of its
clients go, how they are signed, and who sees them. Some of that botocore keeps to itself: where a version of it has no
such attribute any more, or answers otherwise than expected, the boto wire is used, which works with all of them.
"""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import boto3
from botocore import handlers as default_handlers
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.session import Session as CoreSession

from common.dynamo.wire.direct.credentials import SessionCredentials
from common.dynamo.wire.direct.patches import handler_of
from common.dynamo.wire.direct.regions import check_region
from common.dynamo.wire.direct.settings import DirectSettings, NeedsBotocore, endpoint_in, region_of_environment

__all__ = ["settings_of_session"]

_SERVICE: Final = "dynamodb"
_OWN_OPTIONS: Final = frozenset(
    {
        "connect_timeout",
        "defaults_mode",
        "disable_request_compression",
        "inject_host_prefix",
        "max_pool_connections",
        "parameter_validation",
        "read_timeout",
        "request_checksum_calculation",
        "request_min_compression_size_bytes",
        "response_checksum_validation",
        "retries",
        "s3",
        "s3_disable_express_session_auth",
        "tcp_keepalive",
        "user_agent",
        "user_agent_appid",
        "user_agent_extra",
    }
)
"""Options of clients that every wire sets by itself, or that change nothing about DynamoDB."""

_Handler: TypeAlias = tuple[str, str, str]
"""Event, and module and name of the code that is registered for it."""


def settings_of_session(session: Any, endpoint_url: str | None, region: str | None) -> DirectSettings:
    """Return what *session* says.

    Args:
        session: A boto3 session, or what was given for one; ``None`` for a new one, configured by the environment.
        endpoint_url: Instead of the session's.
        region: Instead of the session's.

    Raises:
        ConfigurationError: Endpoint or region is malformed, or there is no region.
        NeedsBotocore: The session has something that only botocore can do.
    """
    try:
        if session is None:
            session = boto3.Session()
        core = _core(session)
        _refuse_handlers(core)
        _refuse_options(core.get_default_client_config())
        _refuse_models(core.get_component("data_loader"))
        _refuse_variables(core)
        region = region or session.region_name or region_of_environment()
        if endpoint_url is None:
            endpoint_url = _configured_endpoint(core)
        ca_bundle = core.get_config_variable("ca_bundle")
    except (BotoCoreError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NeedsBotocore(f"the session could not be read ({type(error).__name__})") from error
    region = check_region(region)
    reason = "the session needs nothing that only botocore does"
    return DirectSettings(endpoint_in(region, endpoint_url), region, SessionCredentials(session), ca_bundle, reason)


def _core(session: Any) -> Any:
    """Return botocore's part of *session*."""
    own = isinstance(session, boto3.Session) and type(session).client is boto3.Session.client
    if not own or "client" in vars(session):
        raise NeedsBotocore("the session makes its clients in its own way")
    core = session._session
    if type(core).create_client is not CoreSession.create_client or "create_client" in vars(core):
        raise NeedsBotocore("the session makes its clients in its own way")
    return core


def _refuse_handlers(core: Any) -> None:
    usual = _usual(tuple(default_handlers.BUILTIN_HANDLERS))
    for event, handler in _handlers(core):
        if _concerns_us(event) and (event, *handler_of(handler)) not in usual:
            raise NeedsBotocore(f"the session has a handler of its own for {event}")


@cache
def _usual(defaults: tuple[Any, ...]) -> frozenset[_Handler]:
    """Return the handlers of a new session, while botocore gives it *defaults*."""
    return frozenset((event, *handler_of(handler)) for event, handler in _handlers(boto3.Session()._session))


def _handlers(core: Any) -> Iterator[tuple[str, Any]]:
    """Yield all events and handlers of a session."""
    pending = [("", core.get_component("event_emitter")._emitter._handlers._root)]
    while pending:
        event, node = pending.pop()
        for handlers in node["values"] or ():
            yield from ((event, handler) for handler in handlers)
        pending += [(f"{event}.{part}".lstrip("."), child) for part, child in node["children"].items()]


def _concerns_us(event: str) -> bool:
    """Tell whether a client of DynamoDB may emit *event*; its second part is the service, where it has one."""
    return event.split(".")[1:2] in ([], ["*"], [_SERVICE])


def _refuse_options(config: Any) -> None:
    """Refuse a default configuration of clients that sets what the direct wire does not know."""
    if config is None:
        return
    for name, default in Config.OPTION_DEFAULTS.items():
        if name not in _OWN_OPTIONS and getattr(config, name) != default:
            raise NeedsBotocore(f"the session's clients have the option {name}")


def _refuse_models(loader: Any) -> None:
    own = (loader.BUILTIN_DATA_PATH, os.path.join(os.path.dirname(boto3.__file__), "data"))
    for path in loader.search_paths:
        if path not in own and any(
            os.path.exists(os.path.join(path, name)) for name in (_SERVICE, "endpoints.json", "partitions.json")
        ):
            raise NeedsBotocore("a data path has a model of DynamoDB, or endpoints, of its own")


def _refuse_variables(core: Any) -> None:
    """Refuse what the configuration, file and environment together, asks for."""
    for name in ("use_fips_endpoint", "use_dualstack_endpoint", "csm_enabled"):
        if core.get_config_variable(name):
            raise NeedsBotocore(f"the configuration has {name}")
    if str(core.get_config_variable("endpoint_discovery_enabled")).lower() not in ("auto", "false"):
        raise NeedsBotocore("the configuration has endpoint_discovery_enabled")
    if core.get_config_variable("account_id_endpoint_mode") == "required":
        raise NeedsBotocore("the configuration requires endpoints with the account's id")
    if _SERVICE in core.get_config_variable("api_versions"):
        raise NeedsBotocore("the configuration has api_versions")
    service = core.get_scoped_config().get(_SERVICE)
    if isinstance(service, Mapping) and "signature_version" in service:
        raise NeedsBotocore("the configuration has signature_version")


def _configured_endpoint(core: Any) -> str | None:
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    provider = ConfiguredEndpointProvider(
        full_config=core.full_config, scoped_config=core.get_scoped_config(), client_name=_SERVICE
    )
    found: str | None = provider.provide()
    return found
