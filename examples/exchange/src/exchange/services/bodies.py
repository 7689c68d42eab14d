"""Request bodies that no entity of the family covers. Amounts are JSON strings; a JSON number is refused."""

from pydantic import BaseModel, ConfigDict, SecretStr

from common.core.validation import Email, PositiveMoney, UserName


class Body(BaseModel):
    """A body that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Credentials(Body):
    """What a log-in presents."""

    username: str
    password: SecretStr


class Amount(Body):
    """Cash to deposit or withdraw."""

    amount: PositiveMoney


class Fee(Body):
    """What a user is billed."""

    username: UserName
    email: Email
    number: int
    """Of the invoice."""
    amount: PositiveMoney


class NewPrice(Body):
    """What one unit of an asset costs from now on."""

    price: PositiveMoney


class Session(Body):
    """A log-in that succeeded (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the type, not a token
    expires_in: int
    """Seconds."""
