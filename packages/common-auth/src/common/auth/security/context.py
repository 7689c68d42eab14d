"""What a service knows about the request that it is serving, for sessions and the audit trail."""

from dataclasses import dataclass, field

__all__ = ["Claimed", "RequestContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """Where a request came from. Every field may be ``None``: a batch job has no address."""

    request_id: str | None = None
    source_service: str | None = None
    """The service that called this one."""
    source_ip: str | None = None
    """The client's address as the gateway saw it."""
    client_id: str | None = None
    """The application that asks, as the caller has authenticated it or a public client has named itself."""
    session: str | None = field(default=None, repr=False)
    """The session id itself; the audit trail stores its keyed hash."""
    device: str | None = field(default=None, repr=False)
    """The device cookie that the client sent, as it came; see :meth:`LoginGuard.device_cookie`."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A user name that somebody typed and nobody has proven, such as that of a failed login.

    People type passwords into the field for the user name, so an audit event stores the keyed hash of it, never the
    text. Two failed logins under one name still have one hash.

    >>> Claimed("correct horse battery staple")
    Claimed(***)
    """

    text: str

    def __repr__(self) -> str:
        return "Claimed(***)"
