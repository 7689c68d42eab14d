"""Calling another service on behalf of the user who is asking."""

import httpx

from common.auth.gateway.identity import Identity
from common.auth.gateway.signer import GatewaySigner
from common.observability.monitoring.propagation import client_span
from exchange.services.chassis import Chassis
from exchange.services.trust import signing_keys

TIMEOUT_SECONDS = 5.0


class Peer:
    """One other service. Each call carries a new assertion for it, under this service's own key."""

    def __init__(self, name: str, chassis: Chassis) -> None:
        own = chassis.settings.service_name
        self._name = name
        self._signer = GatewaySigner(signing_keys(chassis.settings, own, own))
        url = chassis.settings.section("EXCHANGE_").text(f"{name.upper()}_URL")
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)

    def get(self, path: str, caller: Identity) -> httpx.Response:
        """Read *path* in the name of *caller*."""
        identity = self._signer.sign_outgoing(caller, audience=self._name, method="GET", raw_path=path.encode())
        with client_span("GET", server=self._name) as trace:
            return self._http.get(path, headers=[*trace.items(), *((k.decode(), v.decode()) for k, v in identity)])
