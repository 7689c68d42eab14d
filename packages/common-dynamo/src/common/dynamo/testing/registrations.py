"""Registrations under race: few names and addresses, many who want them (ledger R11, "uniq").

Newcomers sign up with names and addresses that collide, move to other addresses, and leave. In the end a name belongs to
the one who was told so, an address to one user at most, and no lock stands that nobody owns.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from common.dynamo.dao.ledger_types import EMAIL
from common.dynamo.exceptions import (
    AccountNotEmpty,
    LedgerRefusal,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    UniqueViolation,
    VersionConflict,
)
from common.dynamo.testing.history import History, Outcome, Request
from common.dynamo.testing.ledger import LedgerKit
from common.entities import UserCreate, UserStatus
from common.exceptions import CommonError

__all__ = ["Registrations", "check_registrations"]

_NAMES: Final = 40
_REPEATS: Final = 3
_HASTY: Final = 20
"""Calls in a hundred that have no time for a second attempt."""


class Registrations:
    """Newcomers of one process. Thread-safe; each brings its own chance.

    Args:
        ledger: Where they sign up.
        history: What becomes of it.
        prefix: Begins the names and addresses of the run; all processes of a run share it.
    """

    def __init__(self, ledger: LedgerKit, history: History, prefix: str) -> None:
        self.ledger = ledger
        self.history = history
        self.prefix = prefix
        """Of whom comes next; names are never given out again, so a long run changes it now and then."""

    def serve(self, chance: random.Random) -> None:
        """Sign somebody up, move somebody to another address, or close somebody's account."""
        lot, prefix = chance.randrange(100), self.prefix
        name = f"{prefix}-{chance.randrange(_NAMES)}"
        address = f"{prefix}-{chance.randrange(_NAMES)}@example.org"
        try:
            if lot < 60:
                self._register(chance, name, address)
            elif lot < 90:
                self._move(name, address)
            else:
                self._close(name)
        except CommonError as error:
            self.history.violated(f"{type(error).__name__}: {error}")

    def _register(self, chance: random.Random, name: str, address: str) -> None:
        request = Request("register", name, self.ledger.new_id(), detail=address)
        self.history.ask(request)
        wanted = UserCreate(username=request.user, email=request.detail)
        outcome, is_unknown = Outcome.UNKNOWN, False
        for _ in range(_REPEATS):
            deadline = self.ledger.db.deadline(0.01 if chance.randrange(100) < _HASTY else 5.0)
            try:
                self.ledger.users.create(wanted, request_id=request.id, deadline=deadline)
            except UniqueViolation as taken:
                # An address may become free while a copy of an earlier call is still on its way; a name never does.
                outcome = Outcome.UNKNOWN if is_unknown and taken.field == "email" else Outcome.REFUSED
            except Unavailable:
                continue
            except OutcomeUnknown:
                is_unknown = True
                continue
            else:
                outcome = Outcome.OK
            break
        self.history.tell(request, outcome)

    def _move(self, name: str, address: str) -> None:
        try:
            seen = self.ledger.users.get(name)
            if seen is not None and seen.email != address:
                self.ledger.users.change_email(seen, address, request_id=self.ledger.new_id())
        except (LedgerRefusal, NotFound, UniqueViolation, VersionConflict, Unavailable, OutcomeUnknown):
            return

    def _close(self, name: str) -> None:
        try:
            seen = self.ledger.users.get(name)
            if seen is not None:
                self.ledger.users.close(seen, request_id=self.ledger.new_id())
        except (AccountNotEmpty, LedgerRefusal, NotFound, VersionConflict, Unavailable, OutcomeUnknown):
            return


def check_registrations(ledger: LedgerKit, history: History, prefix: str) -> list[str]:
    """Return what is wrong with names and addresses, one sentence each.

    Args:
        ledger: On calls without faults, at rest.
        history: What was asked and told.
        prefix: Of the run's names and addresses.
    """
    return [*_check_names(ledger, history, prefix), *_check_addresses(ledger, prefix)]


def _check_names(ledger: LedgerKit, history: History, prefix: str) -> Iterator[str]:
    for number in range(_NAMES):
        name = f"{prefix}-{number}"
        asked = [told for told in history.of(name) if told.request.kind == "register"]
        winners = [told for told in asked if Outcome.OK in told.outcomes]
        exists = ledger.users.get(name) is not None
        if len(winners) > 1:
            yield "a name was given to two"
        if winners and not exists:
            yield "a user who was told yes is missing"
        if exists and all(set(told.outcomes) == {Outcome.REFUSED} for told in asked):
            yield "a user exists whom everybody was refused"


def _check_addresses(ledger: LedgerKit, prefix: str) -> Iterator[str]:
    locks = ledger.db.dao(EMAIL)
    addresses = [f"{prefix}-{number}@example.org" for number in range(_NAMES)]
    owners = {lock.email: lock.user for lock in locks.batch_get(addresses) if lock is not None}
    used = list(_used_addresses(ledger, [f"{prefix}-{number}" for number in range(_NAMES)]))
    for address, user in owners.items():
        if (address, user) not in used:
            yield "an address is locked by nobody who has it"
    for address, user in used:
        if owners.get(address) != user:
            yield "a user has an address without its lock"


def _used_addresses(ledger: LedgerKit, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        profile = ledger.users.get(name)
        if profile is not None and profile.status is UserStatus.ACTIVE:
            yield profile.email, profile.username
