"""Which distributions are the family's, and which of them owns which hook."""

import re

HOOKSPECS_GROUP = "common.hookspecs"
PLUGINS_GROUP = "common.plugins"

FAMILY = frozenset({"common-core", "common-dynamo", "common-auth", "common-observability"})
"""The distributions that may bring hooks. A new one enters here."""

HOOK_OWNERS = {
    "common_entity_types": "common-dynamo",
    "common_access_patterns": "common-dynamo",
    "common_dynamo_interceptors": "common-dynamo",
    "common_token_claims": "common-auth",
    "common_breach_checker": "common-auth",
    "common_resource_attributes": "common-observability",
    "common_span_processors": "common-observability",
}
"""The hooks of the other distributions, by name alone: for reading them where their owner is absent, and for the error
message of a plugin that implements one."""

STARTUP = "common_startup"
SHUTDOWN = "common_shutdown"
LIFECYCLE = frozenset({STARTUP, SHUTDOWN})
"""The hooks that have no results and are not called while loading."""


def normal_dist_name(name: str) -> str:
    """Return *name* in normal form (PyPA specification "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()
