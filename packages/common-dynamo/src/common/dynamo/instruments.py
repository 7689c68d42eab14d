"""The instruments that calls are measured with, by the semantic conventions; of whatever meter is given."""

from typing import Any, Final

__all__ = ["Instruments"]

_DURATION_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_DELAY_BUCKETS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
_CAPACITY_BUCKETS: Final = (0.5, 1, 2, 5, 10, 25, 50, 100, 400, 1000)


class Instruments:
    """The instruments of 2.4, by the names they are known under."""

    def __init__(self, meter: Any) -> None:
        self.duration = meter.create_histogram(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )
        self.capacity = meter.create_histogram(
            "common.dynamo.client.consumed_capacity",
            "{capacity_unit}",
            "Capacity units that an operation consumed.",
            explicit_bucket_boundaries_advisory=_CAPACITY_BUCKETS,
        )
        own = "common.dynamo.client."
        self.retries = meter.create_counter(f"{own}retries", "{retry}", "Attempts after the first.")
        self.unprocessed = meter.create_counter(f"{own}unprocessed_items", "{item}", "Batch entries sent again.")
        self.pages = meter.create_counter(f"{own}pages", "{page}", "Pages of reads that took more than one.")
        self.unknown = meter.create_counter(f"{own}unknown_outcomes", "{operation}", "Writes that may or may not be.")
        self.overruns = meter.create_counter(
            f"{own}budget.overruns", "{operation}", "Operations that went over a limit of a budget."
        )
        self.cancellations = meter.create_counter(
            f"{own}transaction.cancellations", "{item}", "Items that a transaction was cancelled for."
        )
        relay = "common.dynamo.outbox."
        self.published = meter.create_counter(f"{relay}published", "{event}", "Events that a relay has published.")
        self.unpublished = meter.create_counter(f"{relay}failures", "{event}", "Attempts to publish that failed.")
        self.waited = meter.create_histogram(
            f"{relay}delay",
            "s",
            "Time from the commit of an event to its publication.",
            explicit_bucket_boundaries_advisory=_DELAY_BUCKETS,
        )
