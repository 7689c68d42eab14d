"""Sessions whose credentials are those of an assumed role, fetched when they are needed and renewed before they expire.

>>> from common.dynamo import Database
>>> from common.dynamo.aws import assume_role
>>> session = assume_role(
...     "arn:aws:iam::123456789012:role/orders", external_id="ours-and-theirs", region="eu-central-1"
... )
>>> db = Database.connect(table="app", session=session)

Nothing is sent before the first call. Importing this imports boto3.
"""

import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import boto3
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.session import Session

from common.dynamo.arguments import require_callback, require_seconds
from common.dynamo.exceptions import Unavailable
from common.exceptions import CommonError, ConfigurationError

__all__ = ["assume_role"]

_log: Final = logging.getLogger("common.dynamo.aws")

_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}")
_SESSION_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}")
_EXTERNAL_ID: Final = re.compile(r"[\w+=,.@:/-]{2,1224}")
_REGION: Final = re.compile(r"[a-z0-9-]{2,63}")
_ENDPOINT: Final = re.compile(r"https?://[^\s/?#]+/?")
_SHORTEST, _LONGEST = 900, 43_200
"""Seconds that STS lets a role session last (STS API Reference, AssumeRole, DurationSeconds)."""
_AHEAD: Final = 300.0
_PAUSE: Final = 5.0
"""Seconds between two attempts at renewing while the present credentials are good."""
_SHARED: Final = 1.0
"""Seconds for which one failure answers all calls that wait for credentials."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_Credentials: TypeAlias = Mapping[str, str]
"""In the form that botocore refreshes by: access_key, secret_key, token, expiry_time."""


def assume_role(
    role: str,
    *,
    external_id: str | None = None,
    session_name: str = "common-dynamo",
    region: str | None = None,
    duration: int = 3600,
    session: Any = None,
    endpoint_url: str | None = None,
    refresh_ahead: float | None = None,
    clock: Callable[[], float] = time.time,
) -> Any:
    """Return a boto3 session that acts as *role*; for ``Database.connect(session=...)`` and for every other client.

    Credentials are renewed ahead of their expiry by one thread, beside the calls, which go on with those they have. Only
    the first call waits for STS, and one that finds credentials about to expire: three seconds at most. While STS is out
    of order, calls go on until the present credentials expire.

    A client of the session raises :class:`~common.exceptions.ConfigurationError` where the role cannot be assumed (no
    credentials, no permission, a wrong external id) and :class:`~common.dynamo.exceptions.Unavailable` where STS does not
    answer. Both name the role, and neither holds a credential.

    Args:
        role: The role's ARN.
        external_id: What the role's trust policy asks for, where the role belongs to somebody else.
        session_name: Names the caller in CloudTrail.
        region: Of the session and of STS; ``None`` for that of the source session.
        duration: Seconds that credentials are good for, 900 to 43200; at most what the role allows, and one hour where
            the source session is a role too.
        session: The boto3 session whose credentials assume the role; ``None`` for a new one that the environment
            configures.
        endpoint_url: Of STS; ``None`` for AWS.
        refresh_ahead: Seconds before expiry from which on credentials are renewed; in the last third of them, no call
            goes on without new ones. Five minutes, or a third of *duration* where that is less, if nothing is said.
        clock: Epoch seconds.

    Returns:
        A :class:`boto3.Session`.

    Raises:
        ConfigurationError: An argument is malformed, or no region is known. Nothing was sent.
    """
    _check(role, external_id, session_name, duration)
    _check_place(region, session, endpoint_url)
    require_callback("clock", clock, "() -> float")
    if refresh_ahead is not None and not 0 < require_seconds("refresh_ahead", refresh_ahead) < duration:
        raise ConfigurationError("refresh_ahead must be above zero seconds, and below duration.")
    source = boto3.Session() if session is None else session
    where = region or source.region_name or os.environ.get("AWS_REGION") or None
    if where is None:
        raise ConfigurationError(
            f"No AWS region is known to assume {role} in. Give region=, or set AWS_REGION for the service."
        )
    asked = {"RoleArn": role, "RoleSessionName": session_name, "DurationSeconds": duration}
    ahead = min(_AHEAD, duration / 3) if refresh_ahead is None else refresh_ahead
    renewal = _Renewal(
        source=_Source(
            session=source,
            region=where,
            endpoint_url=endpoint_url,
            asked=asked if external_id is None else {**asked, "ExternalId": external_id},
        ),
        clock=clock,
        margin=ahead / 3,
    )
    return _session(renewal.credentials(ahead), profile=source.profile_name, region=where)


def _check(role: object, external_id: object, session_name: object, duration: object) -> None:
    if not (isinstance(role, str) and _ROLE.fullmatch(role)):
        raise ConfigurationError("role is no ARN of a role; it looks like arn:aws:iam::123456789012:role/name.")
    if not (isinstance(session_name, str) and _SESSION_NAME.fullmatch(session_name)):
        raise ConfigurationError(
            "session_name must be a session name: 2 to 64 letters, digits or characters of _+=,.@-"
        )
    if external_id is not None and not (isinstance(external_id, str) and _EXTERNAL_ID.fullmatch(external_id)):
        raise ConfigurationError(
            "external_id must be an external id: 2 to 1224 letters, digits or characters of _+=,.@:/-"
        )
    if not isinstance(duration, int) or isinstance(duration, bool) or not _SHORTEST <= duration <= _LONGEST:
        raise ConfigurationError(f"duration must be a number of seconds that STS gives: {_SHORTEST} to {_LONGEST}.")


def _check_place(region: object, session: object, endpoint_url: object) -> None:
    if region is not None and not (isinstance(region, str) and _REGION.fullmatch(region)):
        raise ConfigurationError("region must be the name of an AWS region, such as eu-central-1.")
    if endpoint_url is not None and not (isinstance(endpoint_url, str) and _ENDPOINT.fullmatch(endpoint_url)):
        raise ConfigurationError("endpoint_url must be a URL, such as https://sts.eu-central-1.amazonaws.com.")
    if session is not None and not callable(getattr(session, "client", None)):
        raise ConfigurationError(f"session must be a boto3 session, not {type(session).__name__}.")


class _RoleProvider(CredentialProvider):  # type: ignore[misc]  # botocore publishes no types
    """Hands a session the credentials that it was made with."""

    METHOD = "assume-role"

    def __init__(self, credentials: RefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> RefreshableCredentials:
        return self._credentials


def _session(credentials: RefreshableCredentials, *, profile: str, region: str) -> Any:
    # The profile brings proxies, CA bundle and endpoints along, but no credentials: the role's, or none.
    core = Session(profile=None if profile == "default" else profile)
    core.register_component("credential_provider", CredentialResolver([_RoleProvider(credentials)]))
    return boto3.Session(botocore_session=core, region_name=region)


# Renewing -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Renewal:
    """Keeps credentials fresh. botocore calls :meth:`fetch` from one thread at a time, under its own lock."""

    source: "_Source"
    clock: Callable[[], float] = field(repr=False)
    """Epoch seconds."""
    margin: float
    """Seconds before expiry from which on the present credentials are of no use."""
    _present: _Credentials | None = field(default=None, repr=False)
    _arrived: deque[_Credentials] = field(default_factory=deque, repr=False)
    """What the thread beside the calls has brought and nobody has taken yet."""
    _thread: threading.Thread | None = field(default=None, repr=False)
    _next: float = 0.0
    """When the next attempt beside the calls may begin."""
    _failure: CommonError | None = field(default=None, repr=False)
    _failed: float = 0.0

    def credentials(self, ahead: float) -> RefreshableCredentials:
        """Return credentials that this keeps fresh from *ahead* seconds before their expiry on; none are fetched yet."""
        return RefreshableCredentials(
            access_key="",
            secret_key="",
            token="",
            expiry_time=_NEVER,
            refresh_using=self.fetch,
            method=_RoleProvider.METHOD,
            time_fetcher=lambda: datetime.fromtimestamp(self.clock(), UTC),
            advisory_timeout=ahead,
            mandatory_timeout=self.margin,
        )

    def fetch(self) -> _Credentials:
        """Return the present credentials while they are good, else new ones.

        Asked although none are due and none have arrived, it fetches new ones: an engine has called the present ones
        expired, which this machine's clock does not know.

        Raises:
            ConfigurationError: The role cannot be assumed.
            Unavailable: STS does not answer.
        """
        arrived = self._take_what_arrived()
        if self._present is None or self._left(self._present) <= self.margin:
            self._renew_now()
        elif self._left(self._present) <= 3 * self.margin:
            self._renew_aside()
        elif not arrived:
            self._present = self._assumed()
        assert self._present is not None  # noqa: S101 - for the type checker: without one it was raised
        return self._present

    def _left(self, credentials: _Credentials) -> float:
        return datetime.fromisoformat(credentials["expiry_time"]).timestamp() - self.clock()

    def _take_what_arrived(self) -> bool:
        arrived = bool(self._arrived)
        while self._arrived:
            self._present = self._arrived.popleft()
        return arrived

    def _renew_now(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._take_what_arrived()
            if self._present is not None and self._left(self._present) > self.margin:
                return
        if self._failure is not None and self.clock() < self._failed + _SHARED:
            raise self._failure
        try:
            self._present = self._assumed()
        except CommonError as failure:
            self._failure, self._failed = failure, self.clock()
            raise
        self._failure = None

    def _renew_aside(self) -> None:
        if (self._thread is not None and self._thread.is_alive()) or self.clock() < self._next:
            return
        self._next = self.clock() + _PAUSE
        thread = threading.Thread(target=self._bring, name="common-dynamo-credentials", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter is ending; the present credentials will do
        self._thread = thread

    def _bring(self) -> None:
        try:
            self._arrived.append(self._assumed())
        except CommonError as failure:
            _log.warning("Credentials were not renewed; the present ones are still good. %s", failure)

    def _assumed(self) -> _Credentials:
        credentials = self.source.assume()
        if self._left(credentials) <= 0:
            raise ConfigurationError(
                f"The credentials of the role {self.source.role} had expired when they came. Set the clock of this machine."
            )
        return credentials


# STS ------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Source:
    """Asks STS for credentials of one role."""

    session: Any = field(repr=False)
    region: str
    endpoint_url: str | None
    asked: Mapping[str, Any] = field(repr=False)
    """The parameters of AssumeRole."""
    _client: Any = field(default=None, repr=False)

    @property
    def role(self) -> str:
        """The role's ARN."""
        return str(self.asked["RoleArn"])

    def assume(self) -> _Credentials:
        """Ask once.

        Raises:
            ConfigurationError: The role cannot be assumed.
            Unavailable: STS does not answer.
        """
        try:
            if self._client is None:
                self._client = self._build_client()
            answer = self._client.assume_role(**self.asked)["Credentials"]
        except ClientError as error:
            raise self._refused(error.response) from None
        except BotoCoreError as error:
            raise self._failed(error) from None
        return {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "token": answer["SessionToken"],
            "expiry_time": answer["Expiration"].isoformat(),
        }

    def _build_client(self) -> Any:
        # The call that waits for credentials is repeated by the data layer, so this makes one attempt.
        config = Config(connect_timeout=1.0, read_timeout=2.0, retries={"total_max_attempts": 1, "mode": "standard"})
        return self.session.client("sts", region_name=self.region, endpoint_url=self.endpoint_url, config=config)

    def _refused(self, response: Mapping[str, Any]) -> CommonError:
        """Return the error that an answer stands for; what STS says in it may name people, so it is not repeated."""
        code = str(response.get("Error", {}).get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status >= 500 or code in _PASSING:
            return self._unavailable(code)
        return ConfigurationError(
            f"The role {self.role} cannot be assumed: STS answered {code}. {_HINTS.get(code, _HINTS[''])}"
        )

    def _failed(self, error: BotoCoreError) -> CommonError:
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return ConfigurationError(
                f"There are no complete AWS credentials to assume the role {self.role} with. Set the AWS_* variables, or "
                "give a session that has some as session=."
            )
        return self._unavailable(type(error).__name__)

    def _unavailable(self, code: str) -> Unavailable:
        return Unavailable(
            f"The role {self.role} could not be assumed: {code} at STS in {self.region}. Repeat the call.",
            engine_code=code,
        )


_PASSING: Final = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError"})
_HINTS: Final[Mapping[str, str]] = {
    "AccessDenied": "Its trust policy must name the caller and the external id, and the caller needs sts:AssumeRole on it.",
    "ExpiredToken": "The source session's own credentials have expired.",
    "InvalidClientTokenId": "The source session's own credentials are not valid.",
    "RegionDisabledException": "STS is switched off in this region for the account of the source session.",
    "SignatureDoesNotMatch": "The source session's own credentials are not valid.",
    "ValidationError": "duration may be longer than the role allows, which is one hour unless the role says otherwise.",
    "": "Compare the role, its trust policy and the source session's credentials.",
}
