"""Exact, atomic, idempotent data access on DynamoDB.

What is here is for services and their DAOs. Other public names are in :mod:`common.dynamo.exceptions`,
:mod:`common.dynamo.requests` (ready-made conditions, changes and requests), :mod:`common.dynamo.streams`
(what came of a batch of records), :mod:`common.dynamo.change_feed` (pages of an embedded database's changes),
:mod:`common.dynamo.wire`, :mod:`common.dynamo.hookspecs` and :mod:`common.dynamo.interceptors` (for plugins), and
:mod:`common.dynamo.testing`.
For whoever runs a service there are :mod:`common.dynamo.access`, :mod:`common.dynamo.entity_access`,
:mod:`common.dynamo.own_items_access` and :mod:`common.dynamo.iam` (costs and permissions),
:mod:`common.dynamo.budgets` (what a call may cost), :mod:`common.dynamo.table_drift` and
:mod:`common.dynamo.table_templates`, and :mod:`common.dynamo.aws` (sessions of a role).
Walks through whole tables are in :mod:`common.dynamo.scans` and :mod:`common.dynamo.backfill`.
"""

from common.dynamo.budget_control import budget
from common.dynamo.budgets import Budget
from common.dynamo.changes import Change
from common.dynamo.cost import Cost, metered
from common.dynamo.database import Database
from common.dynamo.entity_dao import DAO
from common.dynamo.entity_type import EntityType, Index, Unique, View
from common.dynamo.execution import Deadline, Operation, Pattern, Result
from common.dynamo.expressions import begins_with, between, contains, exists, is_in, not_, not_exists, size
from common.dynamo.interceptors import Call, Interceptor
from common.dynamo.item_collections import Collection, CollectionQuery
from common.dynamo.keys import Key
from common.dynamo.multi_attribute_keys import MultiKey
from common.dynamo.outbox import EmittedEvent, EventType
from common.dynamo.paging import Page
from common.dynamo.plan import Plan
from common.dynamo.queries import EntityQuery
from common.dynamo.relay import OutboxRelay
from common.dynamo.streams import StreamChange
from common.dynamo.transaction import Transaction
from common.dynamo.value_codec import ANY_SCALE
from common.dynamo.writes import Write

__all__ = [
    "ANY_SCALE",
    "DAO",
    "Budget",
    "Call",
    "Change",
    "Collection",
    "CollectionQuery",
    "Cost",
    "Database",
    "Deadline",
    "EmittedEvent",
    "EntityQuery",
    "EntityType",
    "EventType",
    "Index",
    "Interceptor",
    "Key",
    "MultiKey",
    "Operation",
    "OutboxRelay",
    "Page",
    "Pattern",
    "Plan",
    "Result",
    "StreamChange",
    "Transaction",
    "Unique",
    "View",
    "Write",
    "begins_with",
    "between",
    "budget",
    "contains",
    "exists",
    "is_in",
    "metered",
    "not_",
    "not_exists",
    "size",
]
