r"""An audit event as one line of JSON: pure ASCII, no control character, at most 16 KiB.

The line is ``{"v":1,"stream":…,"seq":…,"prev":…,"event":{…}}``, with ``"mac":…`` behind where lines have one. What could break a line, recolour a terminal or turn
the reading direction is escaped, whichever serialiser wrote it: every character that is not printable ASCII is ``\uXXXX``
or one of JSON's own escapes.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from common.auth.exceptions import ConfigurationError

__all__ = [
    "DETAILS_ROOM",
    "MAX_LINE",
    "VERSION",
    "Serialiser",
    "checked_serialiser",
    "encode_event",
    "fits",
    "seal",
    "to_json",
]

VERSION: Final = 1
"""Of the line's format; the member ``v``."""
MAX_LINE: Final = 16 * 1024
"""Bytes of a line, without its end."""
_ENVELOPE: Final = 400
"""Bytes that all but the event itself takes at the most: the longest stream name, a ``seq``, a genesis and a MAC."""
DETAILS_ROOM: Final = MAX_LINE - _ENVELOPE - 900
"""Bytes that texts and details may take; the 900 are what every event has: names of members, id, time, type, service."""

Serialiser = Callable[[Mapping[str, object]], "str | bytes"]
"""Makes JSON of a mapping of JSON values, on one line, such as :func:`to_json` or ``orjson.dumps``."""

_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode
_UNSAFE = re.compile("[\x7f-\U0010ffff]")
_SAMPLE: Final = {
    "text": "\x00\x1b[31m\r\n\x7f\x85\u2028\u202e\ufeff\U0001f600",
    "number": 2**53,
    "list": [None, True, 0.5, {}],
}


def to_json(value: Mapping[str, object]) -> str:
    """Return compact JSON (RFC 8259) in ASCII; the default serialiser."""
    return _encode(value)


def checked_serialiser(serialise: Serialiser) -> Serialiser:
    """Return *serialise* once it has shown, on a hostile sample, that it writes one line which says the same.

    Raises:
        ConfigurationError: It raises, writes several lines, or changes what it is given.
    """
    try:
        line = _ascii(serialise(_SAMPLE))
        faithful = json.loads(line) == _SAMPLE and not re.search(rb"[^\x20-\x7e]", line)
    except Exception as error:
        raise ConfigurationError(f"The audit serialiser failed on a sample: {type(error).__name__}.") from error
    if not faithful:
        raise ConfigurationError(
            "The audit serialiser must write one line of JSON that reads back as what it was given."
        )
    return serialise


def encode_event(fields: Mapping[str, Any], serialise: Serialiser = to_json) -> bytes:
    """Return the JSON object of an event, given the fields of its :class:`~common.core.audit.AuditEvent`.

    Members without a value are left out, and so are ``stream`` and ``seq``, which :func:`seal` writes in front.
    """
    return _ascii(serialise(_members(fields)))


def fits(body: bytes) -> bool:
    """Tell whether a line around *body* keeps to :data:`MAX_LINE`."""
    return len(body) <= MAX_LINE - _ENVELOPE


def seal(stream: str, seq: int, body: bytes, *, prev: object = None) -> bytes:
    """Return the stored line of an event.

    Args:
        stream: ``[A-Za-z0-9._-]``, at most 128 characters.
        seq: Position in the stream.
        body: What :func:`encode_event` returned.
        prev: What chains it: the hash of the line before as hexadecimal digits, or what writes itself as the JSON of a
            genesis; ``None`` for a line without a chain.
    """
    chain = f'"{prev}"' if isinstance(prev, str) else "null" if prev is None else str(prev)
    head = f'{{"v":{VERSION},"stream":"{stream}","seq":{seq},"prev":{chain},"event":'
    return b"%b%b}" % (head.encode("ascii"), body)


_OPTIONAL = (
    "reason",
    "actor",
    "subject",
    "session",
    "request_id",
    "source_service",
    "source_ip",
    "details",
    "truncated",
)


def _members(fields: Mapping[str, Any]) -> dict[str, object]:
    members: dict[str, object] = {
        "id": fields["id"],
        "time": fields["time"].isoformat(timespec="milliseconds")[:23] + "Z",
        "boot_id": fields["boot_id"],
        "type": fields["type"],
        "outcome": fields["outcome"].value,
        "severity": int(fields["severity"]),
        "service": fields["service"],
    }
    for name in _OPTIONAL:
        value = fields.get(name)
        if value:
            members[name] = value
    return members


def _ascii(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    # Beyond the structure, which is ASCII, these can only stand inside of strings, so that their escapes are valid JSON.
    return (text if text.isascii() and "\x7f" not in text else _UNSAFE.sub(_escape, text)).encode("ascii")


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
