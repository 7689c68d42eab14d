"""Access patterns of the layer's own items: the records of request ids, and the outbox. Pure.

They belong to no entity type, so a policy names them beside what a service does with its own:

>>> from common.dynamo.iam import Arns, iam_policy
>>> where = Arns(region="eu-central-1", account="123456789012")
>>> [statement] = iam_policy(EMITTING, where, table_of=lambda entity: "app")["Statement"]
>>> statement["Action"], statement["Condition"]["ForAllValues:StringLike"]
(['dynamodb:UpdateItem'], {'dynamodb:LeadingKeys': ['_O#*']})

A transactional read (``Database.read``) needs what :func:`common.dynamo.entity_access.uses` gives for ``get``.
"""

from typing import Final

from pydantic import BaseModel

from common.dynamo.access import AccessPattern, delete, get, put, query, transact, update
from common.dynamo.command_records import COMMAND_KEY, COMMAND_TYPE
from common.dynamo.entity_type import EntityType
from common.dynamo.outbox import OUTBOX_KEY, OUTBOX_SHARDS, OUTBOX_TYPE

__all__ = ["EMITTING", "OWN_ITEM_PATTERNS", "RELAYING", "REQUEST_IDS"]


class _CommandKey(BaseModel):
    digest: str


class _OutboxKey(BaseModel):
    shard: int
    aggregate: str


# They have a key and a name, and nothing is ever read or written through them: no registered type begins with "_".
_COMMAND: Final = EntityType(_CommandKey, COMMAND_TYPE, key=COMMAND_KEY)
_OUTBOX: Final = EntityType(_OutboxKey, OUTBOX_TYPE, key=OUTBOX_KEY)

_row: Final = AccessPattern.of

REQUEST_IDS: Final = (
    _row(
        "Database.transaction",
        transact(put(_COMMAND)),
        case="with a request id",
        wcu=2,
        note="beside its operations, in their round trip; each KB of the result",
    ),
    _row("Database.replay", get(_COMMAND), rcu=1),
)
"""What ``request_id=`` adds to a service."""

EMITTING: Final = (
    _row(
        "Database.transaction",
        transact(update(_OUTBOX)),
        case="that emits",
        wcu=2,
        note="beside its operations, in their round trip; each aggregate and KB of its pending events",
    ),
)
"""What ``tx.emit`` adds to a service."""

RELAYING: Final = (
    _row("OutboxRelay.list", query(_OUTBOX), rcu=1, note=f"each of {OUTBOX_SHARDS} shards, up to 4 KB, every pass"),
    _row("OutboxRelay.claim", update(_OUTBOX), wcu=1, note="each aggregate and KB of its pending events, every batch"),
    _row(
        "OutboxRelay.acknowledge",
        delete(_OUTBOX),
        also=[update(_OUTBOX)],
        wcu=1,
        note="each aggregate and KB of its pending events, every batch",
    ),
)
"""What a relay does; no other permission is needed for it."""

OWN_ITEM_PATTERNS: Final = (*REQUEST_IDS, *EMITTING, *RELAYING)
"""All of them."""
