"""Invoices, as Acme's services exchange them. How they are stored is :mod:`acme_plugin.storage`."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from common.core.validation import Email, ExactDecimal, Moment

Tenant = Annotated[str, Field(pattern=r"\A[a-z0-9-]{2,30}\z")]


class InvoiceState(StrEnum):
    """Whether an invoice is to be paid."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"


class Invoice(BaseModel):
    """A bill of one tenant, in US dollars.

    >>> Invoice.model_fields["total"].annotation
    <class 'decimal.Decimal'>
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    tenant: Tenant
    number: Annotated[int, Field(ge=1, lt=10**10)]
    """Counted by the tenant, without gaps if it wants them so."""
    reference: Annotated[str, Field(min_length=1, max_length=60)]
    """The customer's own order number; unique within the tenant."""
    email: Annotated[Email, Field(repr=False)]
    total: Annotated[Decimal, ExactDecimal("positive", scale=2)]
    state: InvoiceState = InvoiceState.OPEN
    issued_at: Moment
    delete_after: Moment | None = None
    """When the law lets go of it; then it counts as deleted. ``None`` keeps it for ever."""
    version: int = 0
    """Counts the changes; the store keeps it."""
