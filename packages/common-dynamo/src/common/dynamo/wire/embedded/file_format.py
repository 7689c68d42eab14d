"""The database file: how it is opened, told from others, and brought up to date."""

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from common.exceptions import ConfigurationError

APPLICATION_ID: Final = 0x434D4459  # "CMDY", in the header of every file of ours
VERSION: Final = 2
_CHECKED_BYTES: Final = 64 * 1024 * 1024

_LEAST_BYTES: Final = 512  # SQLite's smallest page

_VERSION_1: Final = (
    """
    CREATE TABLE dynamo_tables (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, definition BLOB NOT NULL, created REAL NOT NULL
    )
    """,
    "CREATE TABLE dynamo_tokens (token TEXT PRIMARY KEY, digest BLOB NOT NULL, expires REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX dynamo_tokens_by_expiry ON dynamo_tokens (expires)",
)
_VERSION_2: Final = (
    "CREATE TABLE dynamo_feed (last INTEGER NOT NULL)",
    "INSERT INTO dynamo_feed (last) VALUES (0)",
    # In the first version a table could be made with a stream, and kept nothing.
    "UPDATE dynamo_tables SET definition = CAST(replace(definition, '\"stream\":true', '\"stream\":false') AS BLOB)",
)
_UPGRADES: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType({0: _VERSION_1, 1: _VERSION_2})
"""Version found in the file, to the statements that bring it to the next one; 0 is an empty file."""


class FileRefused(ConfigurationError):
    """The file is not a database of ours that this version can use; it is left as it is."""

    code = "embedded_file_refused"

    def __init__(self, path: str, fault: str, next_step: str) -> None:
        self.path = path
        super().__init__(f"The embedded database {path!r} was not opened: {fault}. {next_step}.")


def make_file(path: str) -> None:
    """Make an empty file for the owner alone, unless *path* exists.

    Raises:
        FileRefused: The folder is missing or may not be written.
    """
    if not isinstance(path, str) or "\0" in path or os.path.isdir(path):
        fault = "it is a folder" if isinstance(path, str) and "\0" not in path else "it is no path"
        raise FileRefused(str(path).replace("\0", ""), fault, "Name a file")
    try:
        if 0 < _size(path) < _LEAST_BYTES:
            # SQLite would take it for an empty file.
            raise FileRefused(path, "it is no database", "Name another file")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise FileRefused(
            path, f"it cannot be made ({error.strerror})", "Name a file in a folder you can write"
        ) from error


def _size(path: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0


def connect(path: str | None, *, fast: bool) -> sqlite3.Connection:
    """Open one connection to the file *path*, or to a new database in memory.

    Raises:
        sqlite3.Error: It cannot be opened, or another process is in the way for the moment.
    """
    uri = "file::memory:" if path is None else f"{Path(path).absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        # FULL waits for the disk at each commit, NORMAL only when the log is folded back into the file.
        connection.execute(f"PRAGMA synchronous={'NORMAL' if fast else 'FULL'}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: str | None) -> None:
    """Check that the database is ours and undamaged, and bring it to this version.

    Raises:
        FileRefused: It is foreign, damaged, or of a newer version.
        sqlite3.Error: It cannot be used, or another process is in the way for the moment.
    """
    name = path or "(memory)"
    # In one transaction, lest another process sets up the file between two looks at it.
    connection.execute("BEGIN")
    try:
        _refuse_foreign(connection, name)
    finally:
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA journal_mode=WAL").fetchone()
    _upgrade(connection, name)
    _refuse_damaged(connection, name)


def refusal(path: str | None, error: sqlite3.Error) -> FileRefused:
    """Return the refusal of a file that SQLite could not open or prepare."""
    name = path or "(memory)"
    if isinstance(error, sqlite3.OperationalError):
        return FileRefused(name, f"it cannot be used ({error})", "Check its permissions, and that no program locks it")
    return FileRefused(name, "it is damaged or no database", "Name another file, or restore it from a copy")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _refuse_foreign(connection: sqlite3.Connection, name: str) -> None:
    application = _number(connection, "application_id")
    objects = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (application or objects):
        raise FileRefused(name, "it belongs to another application", "Name another file")
    version = _number(connection, "user_version")
    if version > VERSION:
        raise FileRefused(
            name, f"its format is {version}, newer than the {VERSION} known here", "Upgrade common-dynamo"
        )


def _upgrade(connection: sqlite3.Connection, name: str) -> None:
    if _number(connection, "user_version") == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been here while this one waited.
        _refuse_foreign(connection, name)
        for version in range(_number(connection, "user_version"), VERSION):
            for statement in _UPGRADES[version]:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _refuse_damaged(connection: sqlite3.Connection, name: str) -> None:
    """Check the structure of the whole file, unless it is so large that opening would take long."""
    if _number(connection, "page_count") * _number(connection, "page_size") > _CHECKED_BYTES:
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise FileRefused(name, "it is damaged", "Restore it from a copy")
