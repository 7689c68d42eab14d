"""Is every answer right, before anything is timed? Read by the peer, and by a client of the harness's own beside it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from peer_benchmark.orders import (
    CHANGED_IN_TRANSACTION,
    CONDITIONAL,
    IN_TRANSACTION,
    NUMBERS,
    PUT,
    READ,
    UPDATED,
    order_fields,
)
from peer_benchmark.peer import TABLE, Peer
from peer_benchmark.works import CPU_WORKS, Row

__all__ = ["Checked", "WrongAnswer", "check", "exactness"]

Reader = Callable[[str, int], Mapping[str, Any]]
Checked = dict[str, str]
"""Work to why it is not measured, which is empty where it is."""
_CHANGED: Final = {UPDATED: "update", CONDITIONAL: "conditional_update"}


class WrongAnswer(AssertionError):
    """A peer does not do the work that it would be timed for."""


def check(row: Row, peer: Peer, client: Any) -> Checked:
    """Do each work once and look at what came of it.

    Args:
        row: Whose orders are looked at.
        peer: Has stored its orders.
        client: A boto3 client; ``None`` where the orders are in the peer's own process.

    Returns:
        Why a work is not measured, for those that the peer has not.

    Raises:
        WrongAnswer: Something else was read or stored than should have been.
    """
    lacking = {
        work.name: peer.lacks.get(work.name, "not offered") for work in CPU_WORKS if not hasattr(peer, work.name)
    }
    for work in CPU_WORKS:
        if work.name in lacking:
            continue
        answer = peer.drive(work.name, 1)
        _check_read(row, peer, work.name, answer)
        if client is not None:
            _check_stored(f"{row.name}-w", work.name, lambda *at: _read(client, peer.key(*at)))
    return lacking


def exactness(row: Row, peer: Peer) -> str:
    """Return the type by which the peer gives fractions, and how far it is the same number."""
    found = peer.fields(peer.drive("get", 1))["price"]
    exact = isinstance(found, Decimal) and found == order_fields(row.name, READ)["price"]
    return f"{type(found).__name__}, {'exact' if exact else 'not exact'}"


def _check_read(row: Row, peer: Peer, work: str, answer: Any) -> None:
    match work:
        case "get":
            _expect(row.name, work, order_fields(row.name, READ), peer.fields(answer))
        case "query_100" | "batch_get_100":
            found = sorted((peer.fields(each) for each in answer), key=lambda fields: int(fields["number"]))
            if len(found) != len(NUMBERS):
                raise WrongAnswer(f"{row.name}, {work}: {len(found)} orders instead of {len(NUMBERS)}.")
            for number, fields in zip(NUMBERS, found, strict=True):
                _expect(row.name, work, order_fields(row.name, number), fields)
        case "update" | "conditional_update" if answer is not None:
            number = UPDATED if work == "update" else CONDITIONAL
            _expect(row.name, work, order_fields(f"{row.name}-w", number) | _changes(), peer.fields(answer))


def _changes() -> dict[str, Any]:
    return {"note": "changed", "fills": 4}


def _check_stored(customer: str, work: str, read: Reader) -> None:
    """Look at the items that *work* should have written."""
    expected: Iterable[tuple[int, dict[str, Any]]] = ()
    match work:
        case "put":
            expected = [(PUT, {"note": "put"})]
        case "update" | "conditional_update":
            expected = [(number, _changes()) for number, name in _CHANGED.items() if name == work]
        case "transaction_4":
            expected = [*((number, {"note": "put"}) for number in IN_TRANSACTION), (CHANGED_IN_TRANSACTION, _changes())]
    for number, changed in expected:
        _expect(customer, work, order_fields(customer, number) | changed, read(customer, number))


def _read(client: Any, key: Mapping[str, Any]) -> Mapping[str, Any]:
    from boto3.dynamodb.types import TypeDeserializer

    item = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def _expect(who: str, work: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    wrong = [name for name, value in expected.items() if not _is_same(value, found.get(name))]
    if wrong:
        told = ", ".join(f"{name} is {found.get(name)!r}" for name in wrong)
        raise WrongAnswer(f"{who}, {work}: {told}.")


def _is_same(expected: Any, found: Any) -> bool:
    if isinstance(expected, datetime) and isinstance(found, str):
        return datetime.fromisoformat(found) == expected
    if isinstance(expected, Decimal) and isinstance(found, float):
        return found == float(expected)
    return bool(expected == found)
