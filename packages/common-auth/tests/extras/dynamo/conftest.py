"""The engine that the run asks for (``COMMON_TEST_ENGINE``), and every store on it."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.auth.dynamo import (
    DynamoApiKeyStore,
    DynamoLoginCounterStore,
    DynamoNonceStore,
    DynamoRefreshFamilyStore,
    DynamoRevocationStore,
    LedgerCredentialStore,
)
from common.auth.dynamo.entity_types import AUTH_ENTITY_TYPES
from common.core.passwords import VerifyResult
from common.core.utils import UlidGenerator
from common.dynamo import Database
from common.dynamo.dao import UserDAO
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES

# Imported, not named in `pytest_plugins`: that is for the conftest of the root alone.
from common.dynamo.testing import Engine
from common.dynamo.testing.fixtures import engine, faults, faulty_database, table_name
from common.entities import UserCreate

__all__ = ["engine", "faults", "faulty_database", "table_name"]


@pytest.fixture
def entity_types() -> tuple[Any, ...]:
    """The types of authentication and those of the ledger, in one table."""
    return (*LEDGER_ENTITY_TYPES, *AUTH_ENTITY_TYPES)


@pytest.fixture
def database(engine: Engine, table_name: str, entity_types: tuple[Any, ...]) -> Iterator[Database]:
    """A database on a fresh table, with a key for the cursors of pages."""
    with engine.open(table=table_name, entity_types=entity_types, cursor_keys=["a key for these tests"]) as opened:
        yield opened


class GivenHash:
    """A hasher that gives the hash that it is made with."""

    def __init__(self, stored: str) -> None:
        self.stored = stored

    def hash(self, password: str, /) -> str:
        """Return it."""
        return self.stored

    def verify(self, password: str, stored: str | None, /) -> VerifyResult:
        """Know nothing."""
        return VerifyResult(False)


class Stores:
    """Every store, on one database."""

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        self.db = db
        self.sessions = DynamoRefreshFamilyStore(db, deadline=deadline)
        self.revocations = DynamoRevocationStore(db, deadline=deadline)
        self.counters = DynamoLoginCounterStore(db, deadline=deadline)
        self.api_keys = DynamoApiKeyStore(db, deadline=deadline)
        self.nonces = DynamoNonceStore(db, deadline=deadline)
        self.credentials = LedgerCredentialStore(UserDAO(db), deadline=deadline)
        self.all = (self.sessions, self.revocations, self.counters, self.api_keys, self.nonces, self.credentials)
        self._new_id = UlidGenerator()

    def make_user(self, name: str, stored: str | None = None) -> str:
        """Register a user with a password hash, or without; return the user id."""
        users = UserDAO(self.db, GivenHash(stored or ""))
        password = None if stored is None else "correct horse battery"
        wanted = UserCreate(username=name, email=f"{name}@example.org", password=password)
        return users.create(wanted, request_id=self._new_id()).entry.username


@pytest.fixture
def stores(database: Database) -> Stores:
    """The stores on a fresh table."""
    return Stores(database)


@pytest.fixture
def faulty_stores(faulty_database: Database) -> Stores:
    """The stores on a fresh table whose calls meet what ``faults`` has in store."""
    return Stores(faulty_database)


@pytest.fixture
def impatient_stores(faulty_database: Database) -> Stores:
    """The same, for tests in which no call gets through: they do not wait long for one."""
    return Stores(faulty_database, deadline=0.05)


@pytest.fixture
def patient_stores(faulty_database: Database) -> Stores:
    """The same, for tests in which some calls get through and others do not."""
    return Stores(faulty_database, deadline=0.5)
