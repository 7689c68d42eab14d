"""What a line tells of an exception."""

import traceback
from collections.abc import MutableMapping
from typing import Any

from common.observability.logging.redaction import Redaction

__all__ = ["MAX_STACK", "add_exception"]

MAX_STACK = 8_000
"""Characters of a stack trace that are kept; its end is, where the error is told."""


def add_exception(error: BaseException, fields: MutableMapping[str, Any], redaction: Redaction) -> None:
    """Add ``exception.type``, ``exception.message`` and ``exception.stacktrace``; their text is always searched."""
    kind = type(error)
    fields["exception.type"] = (
        kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        fields["exception.message"] = redaction.mask(str(error))
        # Without capture_locals: a stack trace tells where, never with which values.
        stack = "".join(traceback.format_exception(error))
        fields["exception.stacktrace"] = redaction.mask(stack)[-MAX_STACK:]
    except Exception as broken:  # noqa: BLE001 - an error whose text cannot be made is still told by its type
        fields["exception.message"] = f"<unprintable: {type(broken).__name__}>"
