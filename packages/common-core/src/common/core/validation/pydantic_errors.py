"""Pydantic's ValidationError turned into the family's InvalidInput, without a single value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from common.exceptions import FieldError, InvalidAmount, InvalidInput

if TYPE_CHECKING:
    from pydantic import ValidationError

_OWN_CODES: Final = frozenset(
    [
        "amount_negative",
        "amount_not_exact",
        "amount_not_positive",
        "amount_too_fine",
        "amount_too_long",
        "asset_id",
        "email",
        "order_terms",
        "request_id",
        "time_format",
        "user_name",
    ]
)
_PYDANTIC_CODES: Final = frozenset(
    [
        "bool_parsing",
        "bool_type",
        "bytes_too_long",
        "bytes_too_short",
        "bytes_type",
        "dataclass_type",
        "date_type",
        "datetime_type",
        "decimal_max_digits",
        "decimal_max_places",
        "decimal_parsing",
        "decimal_type",
        "decimal_whole_digits",
        "dict_type",
        "enum",
        "extra_forbidden",
        "finite_number",
        "frozen_field",
        "frozen_instance",
        "frozen_set_type",
        "greater_than",
        "greater_than_equal",
        "int_from_float",
        "int_parsing",
        "int_parsing_size",
        "int_type",
        "json_type",
        "less_than",
        "less_than_equal",
        "list_type",
        "literal_error",
        "missing",
        "model_attributes_type",
        "model_type",
        "multiple_of",
        "none_required",
        "set_type",
        "string_not_ascii",
        "string_pattern_mismatch",
        "string_too_long",
        "string_too_short",
        "string_type",
        "timezone_aware",
        "timezone_naive",
        "too_long",
        "too_short",
        "tuple_type",
        "union_tag_not_found",
        "uuid_type",
        "uuid_version",
    ]
)
"""Codes whose messages are made of the model's declaration alone (pydantic, "Validation errors")."""
_LONGEST_TOKEN: Final = 64
_MOST_ERRORS: Final = 100


def invalid_input(error: "ValidationError") -> InvalidInput:
    """Return *error* as the family reports it: one entry per wrong field, with pointer, code and message.

    Messages of validators that are not the family's own, and those in which pydantic quotes the input, are replaced by
    a plain sentence; the code stays. The first 100 are kept: a list may hold a million wrong members. Where every entry concerns an amount, the result is an ``InvalidAmount``. Raise it
    ``from None``: the original prints the values.

    >>> from pydantic import TypeAdapter, ValidationError
    >>> from common.core.validation import PositiveMoney
    >>> try:
    ...     TypeAdapter(dict[str, PositiveMoney]).validate_python({"fee": "1e5"})
    ... except ValidationError as error:
    ...     print(invalid_input(error))
    /fee: Send the amount as a string of plain digits, such as "12.50".
    """
    entries = error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_ERRORS]
    errors = [FieldError(json_pointer(entry["loc"]), entry["type"], _message(entry)) for entry in entries]
    kind = InvalidAmount if all(found.code.startswith("amount_") for found in errors) else InvalidInput
    return kind(errors=errors)


def json_pointer(location: Sequence[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path of keys and indexes; the longest key is cut at 64 characters.

    >>> json_pointer(("a/b", 0))
    '/a~1b/0'
    """
    return "".join(f"/{_token(str(part))}" for part in location)


def _token(part: str) -> str:
    # The key of an unknown field is the caller's own text, and must not fill a log.
    return part[:_LONGEST_TOKEN].replace("~", "~0").replace("/", "~1")


def _message(entry: Any) -> str:
    if entry["type"] in _OWN_CODES or entry["type"] in _PYDANTIC_CODES:
        return str(entry["msg"])
    return "This value is not valid."
