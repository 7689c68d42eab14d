"""The works, and the rows of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Final

__all__ = [
    "BARE",
    "BY_HAND",
    "COLD",
    "CONNECTIONS",
    "CPU_WORKS",
    "MEMORY",
    "OURS",
    "ROWS",
    "THREADS",
    "WORKS",
    "Row",
    "Work",
]

BARE: Final = "boto3"
BY_HAND: Final = "boto3-pydantic"
OURS: Final = "common-direct"


@dataclass(frozen=True, slots=True)
class Work:
    """One column of the table."""

    name: str
    title: str
    unit: str
    baseline: str = BARE
    """The row that is 1.0."""
    more_is_better: bool = False


CPU_WORKS: Final = (
    Work("get", "get", "µs"),
    Work("put", "put", "µs"),
    Work("update", "update", "µs"),
    Work("conditional_update", "cond. update", "µs"),
    Work("query_100", "query 100", "µs", BY_HAND),
    Work("batch_get_100", "batch get 100", "µs", BY_HAND),
    Work("transaction_4", "transaction of 4", "µs"),
)
"""Client processor time, of all threads, for one call."""
COLD: Final = Work("cold_start", "cold start", "ms")
THREADS: Final = Work("threads_8", "8 threads", "op/s", more_is_better=True)
MEMORY: Final = Work("connection_memory", "memory/conn.", "KiB")
CONNECTIONS: Final = 50
"""Held at once; as many as it keeps, where a client cannot be told to keep more."""
WORKS: Final = (*CPU_WORKS, COLD, THREADS, MEMORY)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    name: str
    title: str
    module: str
    distribution: str
    gives: str
    """What comes back from a read."""
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Import names besides the module's own."""
    with_all: bool = True
    """Whether it is also started cold, driven by threads and weighed."""

    @property
    def version(self) -> str:
        """The version that is installed, or nothing."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The import names that are not to be found."""
        return tuple(name for name in self.needs if find_spec(name) is None)


_SDK = ("opentelemetry.sdk",)
ROWS: Final = (
    Row(BARE, "boto3 client", "boto3_client", "boto3", "DynamoDB JSON", needs=("boto3",)),
    Row(BY_HAND, "boto3 + TypeDeserializer + pydantic", "boto3_pydantic", "boto3", "validated models"),
    Row("pynamodb", "PynamoDB", "pynamodb", "pynamodb", "own objects, not validated", needs=("pynamodb",)),
    Row("dyntastic", "dyntastic", "dyntastic", "dyntastic", "validated models", needs=("dyntastic",)),
    Row("pydynantic", "pydynantic", "pydynantic", "pydynantic", "validated models", needs=("pydynantic",)),
    Row("pydynox", "pydynox", "pydynox", "pydynox", "own objects, not validated", needs=("pydynox",)),
    Row(
        "aiodynamo",
        "aiodynamo (aiohttp) + pydantic",
        "aiodynamo",
        "aiodynamo",
        "validated models",
        needs=("aiodynamo", "aiohttp"),
    ),
    Row(OURS, "common-dynamo, direct", "ours", "common-dynamo", "validated models", {"wire": "direct"}),
    Row(
        "common-direct-unsampled",
        "common-dynamo, direct, spans sampled out",
        "ours",
        "common-dynamo",
        "validated models",
        {"wire": "direct", "spans": "out"},
        _SDK,
        with_all=False,
    ),
    Row(
        "common-direct-sampled",
        "common-dynamo, direct, spans sampled",
        "ours",
        "common-dynamo",
        "validated models",
        {"wire": "direct", "spans": "in"},
        _SDK,
        with_all=False,
    ),
    Row("common-boto", "common-dynamo, boto", "ours", "common-dynamo", "validated models", {"wire": "boto"}),
    Row(
        "common-embedded",
        "common-dynamo, embedded (engine included)",
        "ours",
        "common-dynamo",
        "validated models",
        {"wire": "embedded"},
        with_all=False,
    ),
    Row(
        "floor",
        "the floor: socket, httptools, orjson, no model",
        "floor",
        "httptools",
        "DynamoDB JSON",
        with_all=False,
    ),
)
