"""Users: registration, sign-in, profiles."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from common.core.passwords import PasswordHasher
from common.core.validation import canonical_email, invalid_input, normalise_user_name
from common.dynamo.arguments import require_text
from common.dynamo.dao.access_patterns import named
from common.dynamo.dao.arguments import require_given
from common.dynamo.dao.authentication import Authentication
from common.dynamo.dao.closing import close_account
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import PROFILE
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.profile_changes import ProfileChange, change_profile, move_email
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.records import Profile
from common.dynamo.dao.registration import Registration, register
from common.dynamo.dao.stored_passwords import StoredPassword, every_hash, renew_hash
from common.dynamo.dao.timing import DeadlineLike
from common.dynamo.exceptions import NotFound
from common.dynamo.requests import Item
from common.entities import USD, User, UserCreate, UserStatus
from common.exceptions import ConfigurationError, FieldError, InvalidInput, MissingPart

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["UserDAO"]

_CREATE: Final = named("UserDAO.create")
_GET: Final = named("UserDAO.get")
_AUTHENTICATE: Final = named("UserDAO.authenticate")
_UPDATE: Final = named("UserDAO.update")
_CHANGE_EMAIL: Final = named("UserDAO.change_email")
_SET_PASSWORD: Final = named("UserDAO.set_password")
_STORED_PASSWORD: Final = named("UserDAO.stored_password")
_REHASH: Final = named("UserDAO.rehash")
_CLOSE: Final = named("UserDAO.close")

_CHANGEABLE: Final = frozenset(User.model_fields) - {"username", "email", "status", "created_at", "updated_at"}
"""What :meth:`UserDAO.update` may change: the others identify the user, or have a method of their own."""


class UserDAO:
    """Users and their passwords. Safe to use from any thread.

    A name is an identity: lower-cased, unique, never given out again. An email address is unique among the users of
    today. Password hashes are stored beside the profile and leave the table only to be compared.

    Every mutation takes *request_id*, the caller's idempotency key (ULID or UUIDv7, made and stored before the call),
    and *deadline*, seconds for all attempts together, 2 by default. Every mutation may raise ``InvalidInput`` (a
    malformed argument, or an id more than 24 hours off that was never used), ``Unavailable`` (nothing was written;
    repeat it with the same id) and ``OutcomeUnknown`` (the answer was lost; repeat it with the same id).
    """

    def __init__(self, db: "Database", hasher: PasswordHasher | None = None) -> None:
        """Work on *db*; passwords are hashed by *hasher*, which ``Plugins.password_hasher()`` gives."""
        self._ledger = Ledger(db, USD)
        if hasher is not None and not callable(getattr(hasher, "verify", None)):
            raise ConfigurationError("hasher must be a PasswordHasher: Plugins.password_hasher() gives the service's.")
        self._hasher = hasher

    def create(self, wanted: UserCreate, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Profile]:
        """Register a user: profile, lock on the email address, and an empty account, all or none.

        One ``TransactWriteItems`` call on three items: 1 round trip, 6 write units. The password is hashed before it.

        Args:
            wanted: Name, email address, and perhaps a password.
            request_id: The idempotency key. A repeat returns the user as they are today; the password is not compared.
            deadline: See the class; hashing is not counted.

        Raises:
            UniqueViolation: The name or the email address is taken; ``field`` tells which. Nothing was written.
            MissingPart: A password is given and no hasher is installed. Nothing was written.
            RequestIdReused: *request_id* has registered this user with other values. Nothing was written.
        """
        require_given(wanted, UserCreate, pointer="/wanted")
        instruction = self._ledger.instruct(wanted.username, request_id, "user", wanted.email, wanted.full_name)
        profile = Profile(
            username=instruction.user,
            email=canonical_email(wanted.email, pointer="/email"),
            full_name=wanted.full_name,
            created_at=instruction.at,
            updated_at=instruction.at,
            version=1,
        )
        password_hash = None
        if wanted.password is not None:
            hasher = self._require_hasher("The user was not created")
            password_hash = hasher.hash(wanted.password.get_secret_value())
        registration = Registration(
            table=self._ledger.table, instruction=instruction, profile=profile, password_hash=password_hash
        )
        with self._ledger.operation(_CREATE, request_id, deadline) as op:
            return register(op, self._ledger, registration)

    def get(self, username: str, *, deadline: DeadlineLike | None = None) -> Profile | None:
        """Return the user, ``None`` where there is none: 1 read unit, 1 round trip, consistent."""
        name = normalise_user_name(username, pointer="/username")
        with self._ledger.operation(_GET, deadline=deadline) as op:
            item = read_item(op, self._ledger.table, PROFILE.item_key(name))
        return None if item is None else PROFILE.decode(item)

    def require(self, username: str, *, deadline: DeadlineLike | None = None) -> Profile:
        """Same as :meth:`get`, for a user who must be there.

        Raises:
            NotFound: There is no such user.
        """
        profile = self.get(username, deadline=deadline)
        if profile is None:
            raise NotFound("The user does not exist.")
        return profile

    def authenticate(self, username: str, password: str, *, deadline: DeadlineLike | None = None) -> Authentication:
        """Check a password: 1 read unit, 1 round trip, consistent.

        An unknown name, a user without a password and a wrong password cost the hasher the same work, so the time of
        the answer does not tell them apart.

        Args:
            username: As the user typed it.
            password: As the user typed it.
            deadline: Seconds for the read, 2 by default; hashing is not counted.

        Returns:
            Whether it matched, and the user where it did.

        Raises:
            MissingPart: No hasher is installed.
        """
        require_text("username", username, may_be_empty=True)
        require_text("password", password, may_be_empty=True)
        hasher = self._require_hasher("The password was not checked")
        item = self._credentials(username, deadline)
        verified = hasher.verify(password, None if item is None else item.get("hash", {}).get("S"))
        if item is None or not verified.ok:
            return Authentication(ok=False, reason=verified.reason)
        profile = PROFILE.decode(item)
        if profile.status is not UserStatus.ACTIVE:
            return Authentication(ok=False, reason="account_closed")
        return Authentication(True, profile, verified.needs_rehash, verified.reason)

    def update(
        self,
        seen: Profile,
        changes: Mapping[str, object],
        *,
        request_id: str,
        deadline: DeadlineLike | None = None,
    ) -> Applied[Profile]:
        """Change fields of a profile that nobody has changed since it was *seen*: 1 write unit, 1 round trip.

        Args:
            seen: As :meth:`get` returned it; its version is compared.
            changes: Field to new value, ``None`` to remove it. The email address has a method of its own.
            request_id: The idempotency key; the profile remembers its last eight requests.
            deadline: See the class.

        Raises:
            VersionConflict: Somebody else has changed the profile; ``stored`` is how it stands. Nothing was written.
            InvalidInput: A value does not fit its field, or the field cannot be changed. Nothing was written.
            NotFound, AccountClosed, RequestIdReused: Nothing was written.
        """
        require_given(seen, Profile, pointer="/seen")
        given = require_given(changes, Mapping, pointer="/changes")  # type: ignore[type-abstract]
        fields = _checked(seen, given)
        told = [part for name in sorted(fields) for part in (name, fields[name])]
        instruction = self._ledger.instruct(seen.username, request_id, "user.update", *told)
        change = ProfileChange(table=self._ledger.table, seen=seen, instruction=instruction, fields=fields)
        with self._ledger.operation(_UPDATE, request_id, deadline) as op:
            return change_profile(op, change)

    def change_email(
        self, seen: Profile, email: str, *, request_id: str, deadline: DeadlineLike | None = None
    ) -> Applied[Profile]:
        """Give the user another email address, and the old one free.

        One ``TransactWriteItems`` call on both locks and the profile: 1 round trip, 6 write units.

        Raises:
            UniqueViolation: The address belongs to another user. Nothing was written.
            VersionConflict: Somebody else has changed the profile since it was seen. Nothing was written.
            InvalidInput: *email* is no address, or the user's already. Nothing was written.
            NotFound, AccountClosed, RequestIdReused: Nothing was written.
        """
        require_given(seen, Profile, pointer="/seen")
        canonical = canonical_email(email, pointer="/email")
        instruction = self._ledger.instruct(seen.username, request_id, "user.email", canonical)
        change = ProfileChange(
            table=self._ledger.table, seen=seen, instruction=instruction, fields={"email": canonical}
        )
        with self._ledger.operation(_CHANGE_EMAIL, request_id, deadline) as op:
            return move_email(op, change, canonical)

    def set_password(
        self, seen: Profile, password: str, *, request_id: str, deadline: DeadlineLike | None = None
    ) -> Applied[Profile]:
        """Store the hash of a new password: 1 write unit, 1 round trip. A repeat does not compare the password.

        Raises:
            MissingPart: No hasher is installed. Nothing was written.
            VersionConflict: Somebody else has changed the profile since it was seen. Nothing was written.
            NotFound, AccountClosed, RequestIdReused: Nothing was written.
        """
        require_given(seen, Profile, pointer="/seen")
        require_text("password", password)
        instruction = self._ledger.instruct(seen.username, request_id, "user.password")
        password_hash = self._require_hasher("The password was not changed").hash(password)
        change = ProfileChange(
            table=self._ledger.table, seen=seen, instruction=instruction, password_hash=password_hash
        )
        with self._ledger.operation(_SET_PASSWORD, request_id, deadline) as op:
            return change_profile(op, change)

    def stored_password(self, username: str, *, deadline: DeadlineLike | None = None) -> StoredPassword | None:
        """Return the hash of a user's password, for whoever verifies it elsewhere: 1 read unit, 1 round trip, consistent.

        ``None`` where there is no such user. :meth:`authenticate` does the whole task; this is a part of it.
        """
        name = normalise_user_name(username, pointer="/username")
        with self._ledger.operation(_STORED_PASSWORD, deadline=deadline) as op:
            item = read_item(op, self._ledger.table, PROFILE.item_key(name))
        return None if item is None else StoredPassword.in_item(item)

    def rehash(self, username: str, *, old: str, new: str, deadline: DeadlineLike | None = None) -> bool:
        """Store *new*, a hash of the password that *old* is a hash of, where *old* is still stored: 1 write unit, 1 round trip.

        A password that was changed between the sign-in and this call stays as it was set, and so does the profile's
        version. It takes no request id, since a repeat finds what it has stored.

        Args:
            username: Whose.
            old: The hash that the password was verified against, as :meth:`stored_password` gave it.
            new: As the hasher made it.
            deadline: Seconds for all attempts together, 2 by default.

        Returns:
            Whether *new* is stored; otherwise the user has another password by now, none, or left.
        """
        name = normalise_user_name(username, pointer="/username")
        require_text("old", old)
        require_text("new", new)
        with self._ledger.operation(_REHASH, deadline=deadline) as op:
            return renew_hash(op, self._ledger.table, name, old=old, new=new)

    def password_hashes(self) -> Iterator[str]:
        """Walk over the hashes of all users, for operators' questions such as which pepper is still needed.

        A scan, named ``Profile.scan.password-hashes``: it examines and pays for the whole table.
        """
        return every_hash(self._ledger.db)

    def close(self, seen: Profile, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Profile]:
        """Close a user's account for good, once it is empty.

        A consistent read of the account and one ``TransactWriteItems`` call on account, email lock and profile: 2 round
        trips, 1 read unit, 6 write units. The email address becomes free and the password is forgotten; the name is never
        given out again. Sessions are for common-auth to end.

        Args:
            seen: As :meth:`get` returned it; its version is compared.
            request_id: The idempotency key.
            deadline: See the class.

        Raises:
            AccountNotEmpty: There is cash or an asset left, free or held by an open order. Nothing was written; once it is
                gone, the same call can succeed.
            AccountClosed: Another request has closed it.
            VersionConflict: Somebody else has changed the profile since it was seen. Nothing was written.
            NotFound, AccountNotFound, RequestIdReused: Nothing was written.
        """
        require_given(seen, Profile, pointer="/seen")
        instruction = self._ledger.instruct(seen.username, request_id, "user.close")
        change = ProfileChange(
            table=self._ledger.table,
            seen=seen,
            instruction=instruction,
            fields={"status": UserStatus.CLOSED},
            forgets_password=True,
        )
        with self._ledger.operation(_CLOSE, request_id, deadline) as op:
            return close_account(op, self._ledger, change)

    def _credentials(self, username: str, deadline: DeadlineLike | None) -> Item | None:
        try:
            key = PROFILE.item_key(normalise_user_name(username))
        except InvalidInput:
            return None  # no such name can exist; the caller still does the hasher's work
        with self._ledger.operation(_AUTHENTICATE, deadline=deadline) as op:
            return read_item(op, self._ledger.table, key)

    def _require_hasher(self, what: str) -> PasswordHasher:
        if self._hasher is None:
            raise MissingPart(f"{what}: no password hasher is installed", dist="common-auth")
        return self._hasher


def _checked(seen: Profile, changes: Mapping[str, object]) -> dict[str, Any]:
    """Return *changes* as the profile's fields keep them."""
    fixed = changes.keys() - _CHANGEABLE
    if fixed or not changes:
        message = f"These fields can be changed: {', '.join(sorted(_CHANGEABLE))}."
        # A name that the profile does not have is the caller's text, and not repeated.
        known = sorted(f"/changes/{name}" for name in fixed & Profile.model_fields.keys())
        raise InvalidInput(errors=[FieldError(pointer, "field_fixed", message) for pointer in known or ["/changes"]])
    try:
        changed = Profile.model_validate({**seen.model_dump(), **changes})
    except ValidationError as error:
        raise invalid_input(error) from None
    return {name: getattr(changed, name) for name in changes}
