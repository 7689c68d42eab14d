"""A client of the exchange, as a person's app would be: it keeps its idempotency key through every retry."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from common.core.utils.identifiers import UlidGenerator

RETRIES = 3
PAUSE_SECONDS = 0.05
MONEY_PATHS = frozenset({"/deposits", "/withdrawals", "/orders"})


@dataclass(slots=True)
class Client:
    """Talks to the gateway for one user on one device, for a machine, or for nobody while there is no token."""

    http: httpx.Client
    new_id: UlidGenerator
    acknowledged: list[str] = field(default_factory=list)
    """Keys of the payments and orders that were answered with success."""
    token: str | None = field(default=None, repr=False)
    """The access token of the session."""
    refresh_token: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    """The device cookie, which a log-in leaves and a log-out does not take away."""
    api_key: str | None = field(default=None, repr=False)
    """Of a machine, instead of a session."""

    def log_in(self, name: str, password: str) -> httpx.Response:
        """Begin a session, and keep what comes with it."""
        response = self.post("/sessions", {"username": name, "password": password})
        if response.is_success:
            self._keep(response)
            self.device = response.cookies.get("device")
        return response

    def renew(self, refresh_token: str | None = None) -> httpx.Response:
        """Renew the session; *refresh_token* is shown instead of the own one, and what comes of it is not kept."""
        shown = self.refresh_token if refresh_token is None else refresh_token
        response = self.post("/sessions/renewal", {"refresh_token": shown})
        if response.is_success and refresh_token is None:
            self._keep(response)
        return response

    def log_out(self) -> httpx.Response:
        """End the session. The tokens stay here, as a thief would keep them."""
        return self.post("/sessions/end", {"refresh_token": self.refresh_token})

    def _keep(self, response: httpx.Response) -> None:
        tokens = response.json()
        self.token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    def get(self, path: str, **parameters: str | int) -> httpx.Response:
        """Read."""
        return self._send("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> httpx.Response:
        """Change something, once per *key*; without one, a new key is made, and kept through the retries."""
        return self._send("POST", path, json=body or {}, key=key or self.new_id())

    def put(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Same as :meth:`post`, with PUT."""
        return self._send("PUT", path, json=body, key=self.new_id())

    def delete(self, path: str) -> httpx.Response:
        """Same as :meth:`post`, with DELETE."""
        return self._send("DELETE", path, key=self.new_id())

    def _credentials(self) -> dict[str, str]:
        shown = {} if self.device is None else {"Cookie": f"device={self.device}"}
        if self.api_key is not None:
            shown["Authorization"] = f"ApiKey {self.api_key}"
        elif self.token is not None:
            shown["Authorization"] = f"Bearer {self.token}"
        return shown

    def _send(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = self._credentials()
        if key is not None:
            headers["Idempotency-Key"] = key
        response = self.http.request(method, path, headers=headers, **options)
        for retry in range(RETRIES):
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(PAUSE_SECONDS * 2**retry)
            response = self.http.request(method, path, headers=headers, **options)
        if key is not None and response.is_success and method == "POST" and path in MONEY_PATHS:
            self.acknowledged.append(key)
        return response
