"""What one process tells another of itself, as JSON: spans as OTLP has them, audit events, health."""

import json
from typing import Any
from urllib.parse import parse_qs, quote

from common.observability.dev.audit import ShownEvent
from common.observability.dev.health import ShownHealth
from common.observability.dev.view import Cursor, Told
from common.observability.monitoring.span_file import decode_spans, span_line

__all__ = ["MalformedFeed", "decode_feed", "encode_feed", "query_of", "read_query"]


class MalformedFeed(ValueError):
    """What was read is no feed of another process."""


def encode_feed(told: Told) -> bytes:
    """Return *told* as one JSON object in UTF-8."""
    head = {
        "boot": told.cursor.boot,
        "seq": told.cursor.seq,
        "missed": told.missed,
        "events": [event.to_json() for event in told.events],
        "health": [health.to_json() for health in told.health],
    }
    spans = b",".join(span_line(span).rstrip() for span in told.spans)
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"spans":[' + spans + b"]}"


def decode_feed(body: bytes) -> Told:
    """Return what *body* tells.

    Raises:
        MalformedFeed: It is no feed.
    """
    try:
        return _decoded(json.loads(body))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise MalformedFeed(f"what was read is no feed ({type(error).__name__})") from None


def _decoded(feed: Any) -> Told:
    return Told(
        Cursor(str(feed["boot"]), int(feed["seq"])),
        int(feed["missed"]),
        tuple(span for tree in feed["spans"] for span in decode_spans(tree)),
        tuple(ShownEvent.from_json(event) for event in feed["events"]),
        tuple(ShownHealth.from_json(health) for health in feed["health"]),
    )


def query_of(cursor: Cursor) -> str:
    """Return the query that asks for what has come since *cursor*."""
    return f"boot={quote(cursor.boot)}&seq={cursor.seq}"


def read_query(query: bytes) -> Cursor:
    """Return the cursor that a query names; what is no cursor is the beginning."""
    fields = parse_qs(query.decode("latin-1"))
    seq = fields.get("seq", [""])[0]
    is_number = seq.isascii() and seq.isdecimal() and len(seq) < 19
    return Cursor(fields.get("boot", [""])[0], int(seq) if is_number else 0)
