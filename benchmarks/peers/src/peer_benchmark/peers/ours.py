"""common-dynamo, on each of its wires, with and without an OpenTelemetry SDK."""

from collections.abc import Mapping
from typing import Any

from common.dynamo import Database, EntityType, Key
from peer_benchmark.model import Order, Status, order
from peer_benchmark.orders import (
    CHANGED_IN_TRANSACTION,
    CHECKED,
    CONDITIONAL,
    IN_TRANSACTION,
    NUMBERS,
    PUT,
    READ,
    UPDATED,
    WRITTEN,
)
from peer_benchmark.peer import TABLE, Peer, Place

__all__ = ["connect"]

ORDER = EntityType(Order, "order", key=Key("CUSTOMER#{customer}", "ORDER#{number:6}"), scales={"price": 8, "total": 2})


def _change(change: Any, it: Any) -> None:
    change.set(it.note, "changed")
    change.add(it.fills, 1)


def _is_open(it: Any) -> Any:
    return it.status == Status.OPEN


class Ours(Peer):
    """A DAO of the order's entity type."""

    def __init__(self, place: Place, database: Database) -> None:
        self._database = database
        self._orders = database.dao(ORDER)
        self._customer, self._writer = place.customer, place.writer
        self._order = order(place.writer, PUT, note="put")
        self._put_together = [order(place.writer, number, note="put") for number in IN_TRANSACTION]

    def seed(self) -> None:
        """Store the orders."""
        orders = [order(self._customer, number) for number in NUMBERS]
        orders += [order(self._writer, number) for number in WRITTEN]
        for one in orders:
            self._orders.put(one, replace=True)

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the fields of a model."""
        return dict(answer)

    def key(self, customer: str, number: int) -> dict[str, Any]:
        """Return the key; a number in one has a digit for its sign in front."""
        return dict(ORDER.item_key(customer, number))

    def get(self) -> Any:
        """Return the model."""
        return self._orders.get((self._customer, READ))

    def put(self) -> Any:
        """Replace the item by the model."""
        return self._orders.put(self._order, replace=True)

    def update(self) -> Any:
        """Change the item and return it as a model."""
        return self._orders.update((self._writer, UPDATED), _change)

    def conditional_update(self) -> Any:
        """Change the item where it is open, and return it as a model."""
        return self._orders.update((self._writer, CONDITIONAL), _change, where=_is_open)

    def query_100(self) -> Any:
        """Return the models of a partition."""
        return self._orders.query(customer=self._customer).all()

    def batch_get_100(self) -> Any:
        """Return a hundred models."""
        return self._orders.batch_get([(self._customer, number) for number in NUMBERS])

    def transaction_4(self) -> Any:
        """Put two models, change an item, check one."""
        with self._database.transaction() as tx:
            for one in self._put_together:
                tx.put(self._orders, one, replace=True)
            tx.update(self._orders, (self._writer, CHANGED_IN_TRANSACTION), _change, where=_is_open)
            tx.check(self._orders, (self._writer, CHECKED), _is_open)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _providers(spans: str) -> dict[str, Any]:
    """Return what a service installs: metrics, and spans that are all sampled, or none of them.

    A sampled span is handed to an exporter that drops it, in the thread that made it, so that its cost is counted here.
    """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class NullExporter(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    tracers = TracerProvider(sampler=ALWAYS_ON if spans == "in" else ALWAYS_OFF)
    tracers.add_span_processor(SimpleSpanProcessor(NullExporter()))
    return {"tracer_provider": tracers, "meter_provider": MeterProvider([InMemoryMetricReader()])}


def connect(place: Place, *, wire: str, spans: str = "") -> Peer:
    """Return a DAO on *wire*, with an SDK where *spans* are ``in`` or ``out``."""
    options = _providers(spans) if spans else {}
    if wire == "embedded":
        return Ours(place, Database.embedded(table=TABLE, entity_types=[ORDER], **options))
    database = Database.connect(
        endpoint_url=place.endpoint_url, table=TABLE, wire=wire, entity_types=[ORDER], **options
    )
    return Ours(place, database)
