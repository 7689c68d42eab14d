"""Small tools without a domain: clocks (:mod:`.clock`) and identifiers (:mod:`.identifiers`)."""

from common.core.utils.clock import SYSTEM, Clock, FrozenClock, SystemClock, epoch_milliseconds, moment_of
from common.core.utils.identifiers import (
    UlidGenerator,
    Uuid7Generator,
    first_ulid,
    identifier_time,
    is_identifier,
    last_ulid,
    to_ulid,
)

__all__ = [
    "SYSTEM",
    "Clock",
    "FrozenClock",
    "SystemClock",
    "UlidGenerator",
    "Uuid7Generator",
    "epoch_milliseconds",
    "first_ulid",
    "identifier_time",
    "is_identifier",
    "last_ulid",
    "moment_of",
    "to_ulid",
]
