"""Users and their cash."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, SecretStr, computed_field, model_validator
from pydantic_core import PydanticCustomError

from common.core.validation import (
    AssetId,
    Email,
    Holding,
    Moment,
    Money,
    RequestId,
    UserName,
    add_exactly,
)
from common.entities.model import Entity, Input

FullName = Annotated[str, Field(min_length=1, max_length=100)]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class UserStatus(StrEnum):
    """Whether a user's account takes part; CLOSED is final, and the name is not given out again."""

    ACTIVE = "active"
    CLOSED = "closed"


class User(Entity):
    """A person or service that holds an account. It never carries a password, nor the hash of one."""

    username: UserName
    """The identity: normalised, unique, never re-used."""
    email: Email = Field(repr=False)
    """Canonical and unique."""
    full_name: FullName | None = Field(default=None, repr=False)
    status: UserStatus = UserStatus.ACTIVE
    created_at: Moment
    updated_at: Moment


class UserCreate(Input):
    """What it takes to sign up. How good the password must be is for the password policy to say."""

    username: UserName
    email: Email = Field(repr=False)
    full_name: FullName | None = Field(default=None, repr=False)
    password: SecretStr | None = None
    """``None`` for a user who signs in by other means."""


class Balance(Entity):
    """A user's cash: a view of the account, exact at the scale of its asset."""

    user: UserName
    asset: AssetId = "USD"
    available: Holding
    """What can be spent or withdrawn now."""
    held: Holding
    """What open buy orders have reserved."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def posted(self) -> Holding:
        """Available + held: the sum of the journal's entries."""
        return add_exactly(self.available, self.held)


class TransactionType(StrEnum):
    """Why cash moved."""

    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    ORDER_PAYMENT = "ORDER_PAYMENT"
    ORDER_PROCEEDS = "ORDER_PROCEEDS"
    ORDER_REFUND = "ORDER_REFUND"
    SYSTEM_ADJUSTMENT = "SYSTEM_ADJUSTMENT"

    @property
    def is_credit(self) -> bool | None:
        """Whether it adds to the balance; ``None`` for an adjustment, which goes either way."""
        return _IS_CREDIT.get(self)


_IS_CREDIT = {
    TransactionType.DEPOSIT: True,
    TransactionType.WITHDRAW: False,
    TransactionType.ORDER_PAYMENT: False,
    TransactionType.ORDER_PROCEEDS: True,
    TransactionType.ORDER_REFUND: True,
}


class TransactionStatus(StrEnum):
    """How a posting stands. Stored entries are COMPLETED or FAILED; the others are views of orders."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class BalanceTransaction(Entity):
    """The cash posting of one journal entry. Entries do not change; a correction is a new one."""

    id: RequestId
    """The request that made the entry."""
    user: UserName
    type: TransactionType
    status: TransactionStatus
    asset: AssetId = "USD"
    amount: Money
    """The change of the posted balance, below zero where cash left; for FAILED, what was asked and not done."""
    order: RequestId | None = None
    """The order that it pays, fills or refunds."""
    reason: Reason | None = None
    """Of an adjustment: why the service made it."""
    posted_at: Moment

    @model_validator(mode="after")
    def _sign_fits_type(self) -> Self:
        is_credit = self.type.is_credit
        if (is_credit is True and self.amount < 0) or (is_credit is False and self.amount > 0):
            raise PydanticCustomError("amount_sign", "The amount's sign does not fit the type.")
        return self
