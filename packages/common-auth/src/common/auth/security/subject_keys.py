"""One key for each person in the audit trail: whoever deletes it erases what the trail says of the person, and no line."""

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from common.auth.exceptions import StoreUnavailable
from common.auth.security.secrets import SecretBytes

__all__ = ["FileSubjectKeys", "MemorySubjectKeys", "SubjectKey", "SubjectKeys"]

_KEY_BYTES: Final = 32
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The key of one person."""

    id: str
    """Stands in the trail in the place of the person; random, so that without the key it leads to nobody."""
    key: SecretBytes


class SubjectKeys(Protocol):
    """Keeps the keys of persons. Called on the threads of sinks and by readers, never on a request's."""

    def obtain(self, subject: str, /) -> SubjectKey:
        """Return the key of *subject*; the first call makes it, whichever process that is."""
        ...

    def find(self, subject: str, /) -> SubjectKey | None:
        """Return the key of *subject*; ``None`` where there is none."""
        ...

    def by_id(self, id: str, /) -> SubjectKey | None:
        """Return the key with this id; ``None`` where there is none."""
        ...

    def erase(self, subject: str, /) -> bool:
        """Delete the key of *subject* for good, and tell whether there was one. A later event gets a new one."""
        ...


def _new_key(random: Callable[[int], bytes]) -> SubjectKey:
    return SubjectKey(f"s:{random(16).hex()}", SecretBytes(random(_KEY_BYTES)))


class MemorySubjectKeys:
    """Keeps keys in this process, for tests: when it ends, everything is erased.

    >>> keys = MemorySubjectKeys()
    >>> keys.obtain("u-ada").id == keys.obtain("u-ada").id
    True
    >>> keys.erase("u-ada"), keys.find("u-ada")
    (True, None)
    """

    def __init__(self, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._keys: dict[str, SubjectKey] = {}

    def obtain(self, subject: str, /) -> SubjectKey:
        """Same as :meth:`SubjectKeys.obtain`."""
        with self._lock:
            return self._keys.setdefault(subject, _new_key(self._random))

    def find(self, subject: str, /) -> SubjectKey | None:
        """Same as :meth:`SubjectKeys.find`."""
        with self._lock:
            return self._keys.get(subject)

    def by_id(self, id: str, /) -> SubjectKey | None:
        """Same as :meth:`SubjectKeys.by_id`."""
        with self._lock:
            return next((key for key in self._keys.values() if key.id == id), None)

    def erase(self, subject: str, /) -> bool:
        """Same as :meth:`SubjectKeys.erase`."""
        with self._lock:
            return self._keys.pop(subject, None) is not None


class FileSubjectKeys:
    """Keeps keys in a folder, two small files for each person; several processes may share it. For POSIX systems.

    Erasing overwrites the key before the file is deleted. Where the disk or its backups keep what was overwritten, so
    does whoever can read those: give the folder a place without snapshots.

    Args:
        folder: Exists, and only the service can read it.
        random: Makes as many random bytes as it is asked for.
    """

    def __init__(self, folder: str | os.PathLike[str], *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._folder = Path(folder)
        self._random = random

    def obtain(self, subject: str, /) -> SubjectKey:
        """Same as :meth:`SubjectKeys.obtain`.

        Raises:
            StoreUnavailable: The folder cannot be written or read.
        """
        found = self.find(subject)
        if found is not None:
            return found
        made = _new_key(self._random)
        with _outages():
            _create(self._key_file(made.id), {"id": made.id, "key": made.key.reveal().hex()})
            try:
                _create(self._person_file(subject), {"id": made.id})
            except FileExistsError:  # another process was first, and its key counts
                self._key_file(made.id).unlink()
                return self.obtain(subject)
        return made

    def find(self, subject: str, /) -> SubjectKey | None:
        """Same as :meth:`SubjectKeys.find`.

        Raises:
            StoreUnavailable: The folder cannot be read.
        """
        with _outages():
            named = _read(self._person_file(subject))
        return None if named is None else self.by_id(named["id"])

    def by_id(self, id: str, /) -> SubjectKey | None:
        """Same as :meth:`SubjectKeys.by_id`.

        Raises:
            StoreUnavailable: The folder cannot be read.
        """
        with _outages():
            kept = _read(self._key_file(id))
        return None if kept is None else SubjectKey(kept["id"], SecretBytes(bytes.fromhex(kept["key"])))

    def erase(self, subject: str, /) -> bool:
        """Same as :meth:`SubjectKeys.erase`.

        Raises:
            StoreUnavailable: The folder cannot be written; repeat the call.
        """
        with _outages():
            named = _read(self._person_file(subject))
            if named is None:
                return False
            _overwrite(self._key_file(named["id"]))
            self._person_file(subject).unlink(missing_ok=True)
        return True

    def _key_file(self, id: str) -> Path:
        return self._folder / f"{hashlib.sha256(id.encode()).hexdigest()}.key"

    def _person_file(self, subject: str) -> Path:
        return self._folder / f"{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}.person"


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable("The folder of subject keys does not answer.", reason="subject_keys") from error
    except (ValueError, KeyError) as error:
        raise StoreUnavailable("A file of a subject key is damaged.", reason="subject_keys") from error


def _create(path: Path, members: dict[str, str]) -> None:
    """Write a file that was not there before, whole or not at all."""
    begun = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        os.write(handle, json.dumps(members).encode())
        os.fsync(handle)
        os.link(begun, path)
    finally:
        os.close(handle)
        begun.unlink()


def _read(path: Path) -> dict[str, str] | None:
    try:
        members: dict[str, str] = json.loads(path.read_bytes())
        return members
    except FileNotFoundError:
        return None


def _overwrite(path: Path) -> None:
    with suppress(FileNotFoundError), path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(b"0" * size)
        file.flush()
        os.fsync(file.fileno())
        path.unlink()
