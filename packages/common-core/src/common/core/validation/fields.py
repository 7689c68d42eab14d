"""Field types for pydantic models, made of the plain checks of this package.

Importing this module does not import pydantic: a type asks for it when the first model uses it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from common.core.utils.identifiers import ULID_PATTERN, UUID7_PATTERN
from common.core.validation.amounts import (
    AMOUNT_DIGITS,
    AMOUNT_PATTERN,
    STORED_DIGITS,
    format_amount,
    longest_text,
    parse_amount,
    require_digits,
    require_non_negative,
    require_positive,
)
from common.core.validation.emails import EMAIL_LENGTH, canonical_email
from common.core.validation.money import at_scale
from common.core.validation.names import ASSET_ID_PATTERN, USER_NAME_PATTERN, normalise_user_name, require_asset_id
from common.core.validation.request_ids import require_request_id
from common.exceptions import InvalidInput

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema, PydanticCustomError

Sign: TypeAlias = Literal["any", "non-negative", "positive"]

RFC3339_PATTERN: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""A time with its offset (RFC 3339, section 5.6), to the microsecond at the finest."""


@dataclass(frozen=True, slots=True)
class CheckedText:
    """Marks a text field whose value is what *check* returns; put it into ``Annotated[str, ...]``.

    Only text is accepted. An ``InvalidInput`` of the check becomes one error of the field, without the value.
    """

    check: Callable[[str], str]
    pattern: str
    """Regular expression of the checked text, for JSON Schema."""
    max_length: int
    """Characters of the longest text that can pass, for JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(_refusing(self.check), core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> "JsonSchemaValue":
        return {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.max_length}


@dataclass(frozen=True, slots=True)
class ExactDecimal:
    """Marks a decimal field that is exact on every way in and out; put it into ``Annotated[Decimal, ...]``.

    Python accepts ``Decimal``, ``int`` and text; JSON accepts text alone, because a JSON number passes through binary
    floating point in most clients. JSON output is text in plain digits, with every decimal place the value has.
    """

    sign: Sign = "any"
    scale: int | None = None
    """Decimal places: finer values are refused, coarser ones filled with zeros. ``None``: kept as given."""
    digits: int = AMOUNT_DIGITS
    """Digits at most; more than one amount may have for a field that holds sums."""

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        check = core_schema.no_info_plain_validator_function(_refusing(self.parse))
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([core_schema.str_schema(strict=True), check]),
            python_schema=check,
            serialization=core_schema.plain_serializer_function_ser_schema(
                format_amount, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> "JsonSchemaValue":
        return {"type": "string", "pattern": f"^{AMOUNT_PATTERN.pattern}$", "maxLength": longest_text(self.digits)}

    def parse(self, value: object) -> Decimal:
        """Return *value* as this field keeps it.

        Raises:
            InvalidAmount: *value* is not exact, has the wrong sign, or is too fine or too long.
        """
        amount = parse_amount(value, digits=self.digits)
        if self.sign == "positive":
            require_positive(amount)
        elif self.sign == "non-negative":
            require_non_negative(amount)
        return amount if self.scale is None else require_digits(at_scale(amount, self.scale), self.digits)


@dataclass(frozen=True, slots=True)
class UtcTime:
    """Marks a time field that is aware and kept in UTC; put it into ``Annotated[datetime, ...]``.

    Accepts ``datetime`` with an offset, and RFC 3339 text with one. Numbers are refused: nobody knows their unit.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.chain_schema(
            [
                core_schema.no_info_plain_validator_function(_timelike),
                core_schema.no_info_after_validator_function(
                    _in_utc, core_schema.datetime_schema(tz_constraint="aware", microseconds_precision="error")
                ),
            ]
        )

    def __get_pydantic_json_schema__(self, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> "JsonSchemaValue":
        return {"type": "string", "format": "date-time"}


UserName: TypeAlias = Annotated[str, CheckedText(normalise_user_name, pattern=USER_NAME_PATTERN.pattern, max_length=30)]
"""A user name, normalised: see :func:`normalise_user_name`."""
AssetId: TypeAlias = Annotated[str, CheckedText(require_asset_id, pattern=ASSET_ID_PATTERN.pattern, max_length=10)]
"""An asset id such as ``BTC``."""
Email: TypeAlias = Annotated[
    str, CheckedText(canonical_email, pattern="[^@\\s]+@[^@\\s]+\\.[^@\\s]+", max_length=EMAIL_LENGTH)
]
"""An email address in canonical form: see :func:`canonical_email`, which says what it does not cover."""
RequestId: TypeAlias = Annotated[
    str,
    CheckedText(require_request_id, pattern=f"(?:{ULID_PATTERN.pattern}|{UUID7_PATTERN.pattern})", max_length=36),
]
"""A caller's idempotency key: ULID or UUIDv7, in canonical text."""

Money: TypeAlias = Annotated[Decimal, ExactDecimal()]
"""An amount of a quote asset, of any sign; at most 30 digits."""
NonNegativeMoney: TypeAlias = Annotated[Decimal, ExactDecimal("non-negative")]
PositiveMoney: TypeAlias = Annotated[Decimal, ExactDecimal("positive")]
Quantity: TypeAlias = Annotated[Decimal, ExactDecimal()]
"""A number of units of an asset, of any sign; at most 30 digits."""
NonNegativeQuantity: TypeAlias = Annotated[Decimal, ExactDecimal("non-negative")]
PositiveQuantity: TypeAlias = Annotated[Decimal, ExactDecimal("positive")]
Holding: TypeAlias = Annotated[Decimal, ExactDecimal("non-negative", digits=STORED_DIGITS)]
"""A sum of amounts, such as a balance: zero or above, at most 38 digits."""

Moment: TypeAlias = Annotated[datetime, UtcTime()]
"""A point in time, aware, in UTC, to the microsecond."""


def _refusing(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap *check* so that pydantic sees its refusal as an error of the field."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except InvalidInput as refusal:
            from pydantic_core import PydanticCustomError

            [error] = refusal.errors
            # Messages here never hold braces, which pydantic would read as placeholders.
            raise PydanticCustomError(error.code, error.message) from None

    return checked


def _timelike(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and RFC3339_PATTERN.fullmatch(value)):
        return value
    raise _time_refused()


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # The first and last hours of the calendar have no UTC in some offsets.
        raise _time_refused() from None


def _time_refused() -> "PydanticCustomError":
    from pydantic_core import PydanticCustomError

    return PydanticCustomError("time_format", "Use a time with its offset, such as 2026-01-31T12:00:00Z.")
