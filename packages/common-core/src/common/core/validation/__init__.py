"""Checks of what comes from outside: names, emails, amounts, request ids; and exact arithmetic on money.

Plain functions return the value in its one stored form or raise :class:`common.exceptions.InvalidInput`; the types of
the same names do so as fields of pydantic models. No error holds a value, and importing this package does not import
pydantic.
"""

from common.core.validation.amounts import (
    AMOUNT_DIGITS,
    AMOUNT_PATTERN,
    STORED_DIGITS,
    format_amount,
    parse_amount,
    require_digits,
    require_non_negative,
    require_positive,
)
from common.core.validation.emails import EMAIL_PATTERN, canonical_email
from common.core.validation.fields import (
    AssetId,
    CheckedText,
    Email,
    ExactDecimal,
    Holding,
    Moment,
    Money,
    NonNegativeMoney,
    NonNegativeQuantity,
    PositiveMoney,
    PositiveQuantity,
    Quantity,
    RequestId,
    UserName,
    UtcTime,
)
from common.core.validation.money import (
    PRECISION,
    SCALE_LIMIT,
    add_exactly,
    at_scale,
    cost,
    exact_arithmetic,
    proceeds,
    require_scale,
    total,
)
from common.core.validation.names import (
    ASSET_ID_PATTERN,
    USER_NAME_PATTERN,
    normalise_user_name,
    require_asset_id,
    require_reason,
)
from common.core.validation.pydantic_errors import invalid_input, json_pointer
from common.core.validation.request_ids import (
    REQUEST_ID_TOLERANCE,
    request_id_is_fresh,
    request_id_time,
    require_request_id,
    sortable_request_id,
)

__all__ = [
    "AMOUNT_DIGITS",
    "AMOUNT_PATTERN",
    "ASSET_ID_PATTERN",
    "EMAIL_PATTERN",
    "PRECISION",
    "REQUEST_ID_TOLERANCE",
    "SCALE_LIMIT",
    "STORED_DIGITS",
    "USER_NAME_PATTERN",
    "AssetId",
    "CheckedText",
    "Email",
    "ExactDecimal",
    "Holding",
    "Moment",
    "Money",
    "NonNegativeMoney",
    "NonNegativeQuantity",
    "PositiveMoney",
    "PositiveQuantity",
    "Quantity",
    "RequestId",
    "UserName",
    "UtcTime",
    "add_exactly",
    "at_scale",
    "canonical_email",
    "cost",
    "exact_arithmetic",
    "format_amount",
    "invalid_input",
    "json_pointer",
    "normalise_user_name",
    "parse_amount",
    "proceeds",
    "request_id_is_fresh",
    "request_id_time",
    "require_asset_id",
    "require_digits",
    "require_non_negative",
    "require_positive",
    "require_reason",
    "require_request_id",
    "require_scale",
    "sortable_request_id",
    "total",
]
