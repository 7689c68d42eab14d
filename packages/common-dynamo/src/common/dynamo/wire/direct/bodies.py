"""Request values as JSON bodies, and JSON bodies as answers. Pure.

orjson sees every number of an item as text, so none passes through a float. Binary values are ``bytes`` on our side and base64
on the wire; they are looked for only in a body that has any.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from common.dynamo.requests import Request
from common.dynamo.wire.render import render

__all__ = ["MalformedBody", "NotJson", "error_body", "output_body", "request_body"]


class NotJson(ValueError):
    """A request holds what JSON has no form for, such as half of a surrogate pair."""


class MalformedBody(ValueError):
    """An answer's body is not what DynamoDB sends."""


def request_body(request: Request) -> bytes:
    """Return the body that asks for *request*.

    Raises:
        ExpressionTooLarge: An expression is over 4 KB.
        NotJson: A value cannot be written.
    """
    try:
        return orjson.dumps(render(request)[1], default=_other_value)
    except orjson.JSONEncodeError as error:
        raise NotJson("the request cannot be written as JSON") from error


def _other_value(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError("no attribute value")


def output_body(body: bytes) -> dict[str, Any]:
    """Return the output of an operation that succeeded.

    Raises:
        MalformedBody: It is no JSON object.
    """
    try:
        output = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody("the body is no JSON") from error
    if type(output) is not dict:
        raise MalformedBody("the body is no JSON object")
    return _with_bytes(output) if b'"B":' in body or b'"BS":' in body else output


def error_body(body: bytes, kind: str | None = None) -> dict[str, Any]:
    """Return an error in the shape that answers have: ``__type`` bare, ``message``, and what a failed condition brings.

    Args:
        body: As it came.
        kind: What the header ``x-amzn-errortype`` says.

    Raises:
        MalformedBody: It is no JSON object, or does not say what is wrong.
    """
    given = output_body(body)
    code = given.get("__type") or given.get("code") or kind
    if not isinstance(code, str):
        raise MalformedBody("the body does not name an error")
    error = {
        "__type": code.rpartition("#")[2].partition(":")[0],
        "message": str(given.get("message") or given.get("Message") or ""),
    }
    details = {name: given[name] for name in ("Item", "CancellationReasons") if given.get(name)}
    if not _are_sound(details):
        raise MalformedBody("the body has details that no error has")
    return {**error, **details}


def _are_sound(details: Mapping[str, Any]) -> bool:
    item, reasons = details.get("Item", {}), details.get("CancellationReasons", [])
    return type(item) is dict and type(reasons) is list and all(type(reason) is dict for reason in reasons)


def _with_bytes(value: Any) -> Any:
    """Return *value* with its binary attribute values decoded.

    A mapping ``{"B": text}`` is always one: an attribute of that name has a mapping, and a table's name is longer.
    """
    if isinstance(value, list):
        return [_with_bytes(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "B" and isinstance(content, str):
            return {"B": _decoded(content)}
        if tag == "BS" and isinstance(content, list) and all(isinstance(each, str) for each in content):
            return {"BS": [_decoded(each) for each in content]}
    return {name: _with_bytes(each) for name, each in value.items()}


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedBody("a binary value is no base64") from error
