"""The people of the day: their names, what they know, and the device that they use."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from exchange.client import Client

NAMES = ("ada", "grace", "edsger", "barbara", "donald", "radia", "leslie", "frances", "tony", "margaret")
OPERATOR = "operator"


@dataclass(slots=True)
class Trader:
    """One person at the exchange."""

    name: str
    client: Client
    """Their usual device."""
    password: str = field(default="", repr=False)
    """What only this person knows."""

    def __post_init__(self) -> None:
        self.password = self.password or f"correct horse battery staple {self.name}"

    def profile(self, *, email: str | None = None) -> dict[str, Any]:
        """Return what this person signs up with."""
        return {"username": self.name, "email": email or f"{self.name}@example.com", "password": self.password}

    def change_password(self, new: str) -> httpx.Response:
        """Take *new* for a password; every session ends."""
        response = self.client.put("/password", {"current": self.password, "new": new})
        if response.is_success:
            self.password = new
        return response

    def log_in(self, device: Client | None = None) -> httpx.Response:
        """Begin a session on *device*, by default the usual one."""
        return (device or self.client).log_in(self.name, self.password)
