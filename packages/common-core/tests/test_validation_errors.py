"""Field types of pydantic models, and what becomes of pydantic's errors."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from common.core.validation import (
    AssetId,
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
    invalid_input,
    json_pointer,
)
from common.exceptions import InvalidAmount, InvalidInput

SECRET = "s3cr3t-value"


def refusal(kind: Any, value: object) -> InvalidInput:
    """Validate *value*, which must fail, and return the family's error."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return invalid_input(caught.value)


@pytest.mark.parametrize(
    ("kind", "given_value", "kept"),
    [
        (UserName, "Alice", "alice"),
        (Email, "A@X.org", "a@x.org"),
        (AssetId, "BTC", "BTC"),
        (RequestId, "01J0B3V1MMEEDTX9CPDGKFHBCH", "01J0B3V1MMEEDTX9CPDGKFHBCH"),
        (Money, "-1.50", Decimal("-1.50")),
        (Quantity, -3, Decimal(-3)),
        (NonNegativeMoney, Decimal(0), Decimal(0)),
        (NonNegativeQuantity, "0", Decimal(0)),
        (PositiveMoney, 1, Decimal(1)),
        (PositiveQuantity, "0.1", Decimal("0.1")),
        (Holding, "9" * 38, Decimal("9" * 38)),
    ],
)
def test_fields_keep_the_one_stored_form(kind: Any, given_value: object, kept: object) -> None:
    """A field holds what its plain function returns."""
    assert kept == TypeAdapter(kind).validate_python(given_value)


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        (UserName, "a", "user_name"),
        (Email, "a", "email"),
        (AssetId, "btc", "asset_id"),
        (RequestId, "r-1", "request_id"),
        (Money, "1e5", "amount_not_exact"),
        (Money, 1.5, "amount_not_exact"),
        (Money, True, "amount_not_exact"),
        (Money, "1" * 31, "amount_too_long"),
        (Holding, "1" * 39, "amount_too_long"),
        (PositiveMoney, "0", "amount_not_positive"),
        (PositiveQuantity, "-1", "amount_not_positive"),
        (NonNegativeMoney, "-1", "amount_negative"),
        (NonNegativeQuantity, "-1", "amount_negative"),
        (Annotated[Decimal, ExactDecimal(scale=2)], "1.005", "amount_too_fine"),
        (Moment, 1767225600, "time_format"),
        (Moment, "1767225600", "time_format"),
        (Moment, "2026-01-01", "time_format"),
        (Moment, "2026-01-01T00:00:00", "time_format"),
        (Moment, "2026-01-01T00:00:00.1234567Z", "time_format"),
        (Moment, "0001-01-01T00:00:00+01:00", "time_format"),
        (Moment, datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "time_format"),
        (Moment, datetime(2026, 1, 1), "timezone_aware"),  # noqa: DTZ001
        (Moment, "2026-02-30T00:00:00Z", "datetime_from_date_parsing"),
        (UserName, 5, "string_type"),
        (Email, b"a@x.org", "string_type"),
    ],
)
def test_fields_refuse_with_a_stable_code(kind: Any, value: object, code: str) -> None:
    """The code of the plain function arrives unchanged, and an amount's refusal is an InvalidAmount."""
    error = refusal(kind, value)

    assert [code] == [entry.code for entry in error.errors]
    assert code.startswith("amount_") is isinstance(error, InvalidAmount)


@pytest.mark.parametrize("text", ["1", "1.50", "-0.1", "0"])
def test_json_amounts_are_text(text: str) -> None:
    """JSON text is read as an exact decimal; the same digits as a JSON number are refused."""
    adapter: TypeAdapter[Decimal] = TypeAdapter(Money)

    assert text == str(adapter.validate_json(f'"{text}"'))
    with pytest.raises(ValidationError):
        adapter.validate_json(text)


@pytest.mark.parametrize("json", ["1e5", "true", "null", "1.0", "[1]", '"1e5"', '"NaN"', '"\\u0661"', '" 1"'])
def test_other_json_is_no_amount(json: str) -> None:
    """Numbers, booleans and text that is not plain digits are refused on the way in."""
    with pytest.raises(ValidationError):
        TypeAdapter(Money).validate_json(json)


@pytest.mark.parametrize("amount", ["0.00000001", "100.00", "1234567890123456789012.12345678"])
def test_json_output_is_text_at_full_scale(amount: str) -> None:
    """No exponent and no lost zero on the way out; Python output keeps the decimal."""
    adapter: TypeAdapter[Decimal] = TypeAdapter(Money)

    assert f'"{amount}"'.encode() == adapter.dump_json(Decimal(amount))
    assert Decimal(amount) == adapter.dump_python(Decimal(amount))


def test_a_declared_scale_fills_zeros() -> None:
    """A model whose scale is fixed says so once, and every value has it."""
    adapter: TypeAdapter[Decimal] = TypeAdapter(Annotated[Decimal, ExactDecimal("positive", scale=2)])

    assert b'"5.00"' == adapter.dump_json(adapter.validate_python(5))


def test_times_are_kept_in_utc() -> None:
    """An offset on the way in is converted; a text and a datetime of one moment are equal."""
    adapter: TypeAdapter[datetime] = TypeAdapter(Moment)
    noon = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))

    assert adapter.validate_python(noon) == adapter.validate_json('"2026-01-01T12:00:00Z"')
    assert UTC is adapter.validate_python(noon).tzinfo
    assert b'"2026-01-01T12:00:00Z"' == adapter.dump_json(adapter.validate_python("2026-01-01T13:00:00+01:00"))


@pytest.mark.parametrize("kind", [UserName, Email, AssetId, RequestId, Money, PositiveQuantity, Moment])
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_every_field_is_text_in_json_schema(kind: Any, mode: Literal["validation", "serialization"]) -> None:
    """An OpenAPI document shows text, so that no generated client uses binary floating point."""
    assert "string" == TypeAdapter(kind).json_schema(mode=mode)["type"]


class Line(BaseModel):
    """A line of the form below."""

    amount: PositiveMoney
    note: str = Field(default="", max_length=3)


class Form(BaseModel, extra="forbid"):
    """Something with errors at every depth."""

    lines: list[Line]
    code: str = ""

    @field_validator("code")
    @classmethod
    def _careless(cls, value: str) -> str:
        if value:
            raise ValueError(f"{value} is taken")
        return value


def form_errors(**content: object) -> InvalidInput:
    """Validate a form, which must fail."""
    return refusal(Form, content)


def test_every_wrong_field_has_a_pointer() -> None:
    """All errors come at once, each with its place in the input."""
    error = form_errors(lines=[{"amount": "1"}, {"amount": "-1", "note": "long"}, {}], extra=1)

    assert [
        ("/lines/1/amount", "amount_not_positive"),
        ("/lines/1/note", "string_too_long"),
        ("/lines/2/amount", "missing"),
        ("/extra", "extra_forbidden"),
    ] == [(entry.pointer, entry.code) for entry in error.errors]
    assert not isinstance(error, InvalidAmount)


@pytest.mark.parametrize(
    "content",
    [
        {"lines": [], "code": SECRET},
        {"lines": SECRET},
        {"lines": [{"amount": SECRET, "note": SECRET}]},
        {"lines": [SECRET]},
        {"lines": [], "code": [SECRET]},
    ],
)
def test_no_error_holds_a_value(content: dict[str, object]) -> None:
    """Neither a careless validator's message nor pydantic's own brings the input into the error."""
    error = form_errors(**content)

    assert SECRET not in f"{error} {error!r} {error.errors} {error.extensions()}"


def test_messages_that_quote_the_input_are_replaced() -> None:
    """Pydantic quotes an unknown tag, and a stranger's error may say anything: the code stays, the words do not."""

    def strange(value: str) -> str:
        raise PydanticCustomError("strange", "no {what}", {"what": value})

    class One(BaseModel):
        kind: Literal["one"]

    class Two(BaseModel):
        kind: Literal["two"]

    tagged = Annotated[One | Two, Field(discriminator="kind")]
    checked: Any = Annotated[str, AfterValidator(strange)]

    for kind, value, code in ((tagged, {"kind": SECRET}, "union_tag_invalid"), (checked, SECRET, "strange")):
        [entry] = refusal(kind, value).errors
        assert (code, "This value is not valid.") == (entry.code, entry.message)


def test_a_flood_of_errors_is_cut() -> None:
    """Ten thousand wrong members make an error that can be logged and sent, not one of megabytes."""
    error = refusal(list[Money], ["x"] * 10_000)

    assert 100 == len(error.errors)
    assert len(str(error)) < 10_000


def test_pointers_are_escaped_and_bounded() -> None:
    """A key may hold the separators of JSON Pointer (RFC 6901) or a megabyte; the pointer stays right and short."""
    assert "" == json_pointer(())
    assert "/a~1b/m~0n/0/" == json_pointer(("a/b", "m~n", 0, ""))
    assert 65 == len(json_pointer(("k" * 1_000_000,)))


def test_checks_do_not_load_pydantic() -> None:
    """A process that only checks names and computes costs does not pay for pydantic."""
    code = "import sys, common.core.validation, common.core.utils; print('pydantic' in sys.modules)"
    answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)

    assert "False" == answer.stdout.strip()
