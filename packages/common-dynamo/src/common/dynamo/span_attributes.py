"""Pure: what requests and answers look like as span attributes. Knows no OpenTelemetry."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from common.dynamo.requests import (
    GetItem,
    Path,
    Query,
    Request,
    Scan,
    TransactGetItems,
    TransactPart,
    TransactWriteItems,
)
from common.dynamo.value_classes import dataclass

__all__ = ["CanceledItem", "HasParts", "canceled_items", "merge_capacity", "request_attributes", "written_capacity"]

_CANCELLATIONS: Final = frozenset(
    {
        "ConditionalCheckFailed",
        "ItemCollectionSizeLimitExceeded",
        "TransactionConflict",
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "ValidationError",
    }
)


class HasParts(Protocol):
    """An operation of a transaction as its caller asked for it."""

    def parts(self) -> tuple[TransactPart, ...]:
        """Return what the engine is sent for it: the caller's own part first, then those of the layer."""


@dataclass(frozen=True, slots=True)
class CanceledItem:
    """An item that a transaction was cancelled for."""

    index: int
    """Which of the caller's operations it belongs to, from 0; the engine's own count where these are not known."""
    code: str
    """Of a closed set; ``_OTHER`` for what is not in it."""
    table: str | None
    """The physical table, where it is known."""


def request_attributes(request: Request) -> dict[str, Any]:
    """Return what the semantic conventions want to know of *request*; parameters only, no values."""
    if isinstance(request, TransactWriteItems | TransactGetItems):
        return {"db.operation.batch.size": len(request.parts)} if len(request.parts) != 1 else {}
    if isinstance(request, GetItem):
        return {"aws.dynamodb.consistent_read": request.consistent, **_projection(request.projection)}
    if isinstance(request, Query | Scan):
        return _read_attributes(request)
    return {}


def _read_attributes(request: Query | Scan) -> dict[str, Any]:
    given = {"aws.dynamodb.index_name": request.index, "aws.dynamodb.limit": request.limit}
    if isinstance(request, Query):
        given["aws.dynamodb.select"] = "COUNT" if request.count_only else None
        given["aws.dynamodb.scan_forward"] = request.forward
    else:
        given["aws.dynamodb.segment"] = request.segment
        given["aws.dynamodb.total_segments"] = request.total_segments
    given["aws.dynamodb.consistent_read"] = request.consistent
    return {**{name: value for name, value in given.items() if value is not None}, **_projection(request.projection)}


def _projection(paths: tuple[Path, ...]) -> dict[str, str]:
    return {"aws.dynamodb.projection": ", ".join(map(_path_text, paths))} if paths else {}


def _path_text(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path.parts).lstrip(".")


def canceled_items(body: Mapping[str, Any], operations: Iterable[HasParts] = ()) -> list[CanceledItem]:
    """Return each item that a transaction was cancelled for.

    Args:
        body: The engine's answer; its reasons are one per part.
        operations: What the caller asked for, in order, so that the parts of the layer are told as those they belong to.
    """
    codes = [str(reason.get("Code", "None")) for reason in body.get("CancellationReasons") or ()]
    places = [(index, part.table) for index, operation in enumerate(operations) for part in operation.parts()]
    if len(places) != len(codes):
        return [CanceledItem(index, _known(code), None) for index, code in enumerate(codes) if code != "None"]
    return [
        CanceledItem(index, _known(code), table)
        for (index, table), code in zip(places, codes, strict=True)
        if code != "None"
    ]


def _known(code: str) -> str:
    return code if code in _CANCELLATIONS else "_OTHER"


def merge_capacity(merged: dict[str, dict[str, Any]], consumed: Any) -> None:
    """Add the ``ConsumedCapacity`` of one answer to *merged*, by table."""
    for each in consumed if isinstance(consumed, list) else [consumed] if consumed else []:
        table = str(each.get("TableName", ""))
        merged[table] = _added(merged.get(table, {}), each)


def _added(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(total)
    for name, value in more.items():
        if isinstance(value, Mapping):
            result[name] = _added(result.get(name, {}), value)
        elif isinstance(value, str):
            result[name] = value
        else:
            result[name] = result.get(name, 0) + value
    return result


def written_capacity(merged: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return each table's consumed capacity as JSON, sorted by table."""
    import json  # here alone, and only where a span is recorded

    return [json.dumps(merged[table], separators=(",", ":")) for table in sorted(merged)]
