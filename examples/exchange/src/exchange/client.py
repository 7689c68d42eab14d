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
    """Talks to the gateway for one user, or for nobody while there is no token."""

    http: httpx.Client
    new_id: UlidGenerator
    acknowledged: list[str] = field(default_factory=list)
    """Keys of the payments and orders that were answered with success."""
    token: str | None = None

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

    def _send(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
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
