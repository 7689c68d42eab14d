"""One mapping in, one line of JSON out."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from common.observability.logging.json_safe import is_safe, json_safe
from common.observability.logging.redaction import Redaction

__all__ = ["encode", "encode_with_stdlib", "render"]

_DEFAULT = Redaction()
_STDLIB = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


def encode_with_stdlib(values: Mapping[str, Any]) -> bytes:
    """Return JSON-safe *values* as UTF-8 without a line end, by the standard library."""
    return _STDLIB.encode(values).encode()


def _choose_encoder() -> Callable[[Mapping[str, Any]], bytes]:
    try:
        import orjson
    except ImportError:
        return encode_with_stdlib
    return orjson.dumps


encode: Callable[[Mapping[str, Any]], bytes] = _choose_encoder()
"""Encode JSON-safe values as UTF-8 without a line end: by orjson where it is installed, else by the standard library;
the JSON values are the same."""


def render(
    fields: Mapping[Any, Any],
    *,
    redaction: Redaction = _DEFAULT,
    encode: Callable[[Mapping[str, Any]], bytes] = encode,
) -> bytes:
    """Return *fields* as one JSON object in UTF-8 on one line, without the line end.

    Never raises for what the fields hold: values are made safe, cut and redacted by
    :func:`~common.observability.logging.json_safe.json_safe`.

    >>> render({"message": "hello", "password": "hunter2", "ratio": float("nan")}).decode()
    '{"message":"hello","password":"[redacted]","ratio":"nan"}'
    """
    try:
        return encode(fields if is_safe(fields, redaction) else json_safe(fields, redaction))
    except Exception:  # noqa: BLE001 - what is_safe does not look for, or what made json_safe fail and will again
        return _with_care(fields, redaction, encode)


def _with_care(fields: Mapping[Any, Any], redaction: Redaction, encode: Callable[[Mapping[str, Any]], bytes]) -> bytes:
    try:
        return encode(json_safe(fields, redaction))
    except Exception as error:  # noqa: BLE001 - a mapping that raises while it is read, or no memory: say so and go on
        return encode_with_stdlib(
            {"level": "ERROR", "message": "A log line was lost.", "error.type": type(error).__name__}
        )
