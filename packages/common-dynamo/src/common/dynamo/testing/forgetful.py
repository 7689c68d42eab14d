"""An engine that remembers no ClientRequestToken: what is applied once on it, is so by its conditions alone."""

from dataclasses import replace

from common.dynamo.requests import Request, TransactWriteItems
from common.dynamo.wire import Answer, Wire

__all__ = ["ForgetfulWire"]


class ForgetfulWire:
    """Sends through another wire, without tokens.

    Args:
        wire: The wire that works, perhaps with faults.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: Request, timeout: float) -> Answer:
        """Send through the wire within; a transaction goes without its token."""
        if isinstance(request, TransactWriteItems):
            request = replace(request, token=None)
        return self._wire.send(request, timeout)

    def close(self) -> None:
        """Close the wire within."""
        self._wire.close()
