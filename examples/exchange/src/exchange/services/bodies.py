"""Request bodies that no entity of the family covers. Amounts are JSON strings; a JSON number is refused."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from common.auth.security.session_values import TokenPair
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
    """A log-in or a renewal that succeeded (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the type, not a token
    expires_in: int
    """Seconds."""
    refresh_token: str

    @classmethod
    def of(cls, pair: TokenPair) -> "Session":
        """Return what a client gets of a pair of tokens."""
        seconds = max(0, round((pair.expires_at - datetime.now(UTC)).total_seconds()))
        return cls(access_token=pair.access_token, expires_in=seconds, refresh_token=pair.refresh_token)


class Renewal(Body):
    """A refresh token, to be renewed or given back."""

    refresh_token: SecretStr


class PasswordChange(Body):
    """The password of today, and the next one."""

    current: SecretStr
    new: SecretStr


class NewApiKey(Body):
    """What a machine is to be permitted."""

    owner: UserName
    scopes: tuple[str, ...]
    days: int = Field(ge=1, le=365)
    """Until the key ends."""
