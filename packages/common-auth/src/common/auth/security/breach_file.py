"""Breached passwords in a file of the operator's: sorted hashes, found by binary search. Nothing is bundled."""

import os
import re
from typing import BinaryIO, Final

from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.security.breaches import BreachHash, PasswordHashes

__all__ = ["BreachFile"]

_LINE: Final = re.compile(rb"([0-9A-F]{32}(?:[0-9A-F]{8})?)(?::([0-9]{1,18}))?")
_LONGEST_LINE: Final = 256
_BUFFER: Final = 4096


class BreachFile:
    """Looks hashes up in a text file: one a line, sorted, in upper or in lower case, each perhaps with ``:`` and a count.

    That is the form in which Pwned Passwords are downloaded. A file of 40 GiB takes some 36 reads of 4 KiB. It is opened
    anew for each look-up, so that another can be moved into its place while the service runs.

    Args:
        path: Of the file; nothing is opened before the first look-up.
        kind: Which hashes it holds.
        name: Of this checker.

    Raises:
        ConfigurationError: The path is empty.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, kind: BreachHash = BreachHash.SHA1, name: str = "breach-file"
    ) -> None:
        if not os.fspath(path):
            raise ConfigurationError("A breach file needs a path.", reason="bad_path")
        self._path = os.fspath(path)
        self._kind = BreachHash(kind)
        self._name = name

    @property
    def name(self) -> str:
        """See :class:`~common.auth.security.breaches.BreachChecker`."""
        return self._name

    def occurrences(self, hashes: PasswordHashes, /) -> int:
        """Return the count beside the hash; 1 where there is none; 0 where the hash is not in the file.

        Raises:
            AuthUnavailable: The file cannot be read, is no such list, or is not sorted where it was looked at.
        """
        sought = hashes.by(self._kind).encode("ascii")
        try:
            with open(self._path, "rb", buffering=_BUFFER) as file:
                return _count(file, sought)
        except (OSError, ValueError) as error:
            raise AuthUnavailable("The breach file cannot be read.", reason="breach_file_unreadable") from error

    def __repr__(self) -> str:
        return f"BreachFile(name={self._name!r}, kind={self._kind.value!r})"


def _count(file: BinaryIO, sought: bytes) -> int:
    """Search the lines that begin in ``[low, high)``; *below* and *above* are the nearest hashes seen on either side."""
    low, high = 0, file.seek(0, os.SEEK_END)
    below, above = b"", b"G"  # digits end with F
    while low < high:
        middle = (low + high) // 2
        begin = _line_start(file, middle)
        line = file.readline(_LONGEST_LINE) if begin < high else b""
        if not line:
            high = middle
            continue
        found, count = _parsed(line, len(sought))
        if not below <= found <= above:
            raise AuthUnavailable("The breach file is not sorted. Sort it by hash.", reason="breach_file_unsorted")
        if found < sought:
            low, below = begin + len(line), found
        elif found > sought:
            high, above = middle, found
        else:
            return count
    return 0


def _line_start(file: BinaryIO, position: int) -> int:
    """Return where the first line begins that begins at *position* or behind it, and stand there."""
    if position == 0:
        return file.seek(0)
    file.seek(position - 1)
    rest = file.readline(_LONGEST_LINE)
    return position - 1 + len(rest)


def _parsed(line: bytes, digits: int) -> tuple[bytes, int]:
    found = _LINE.fullmatch(line.rstrip(b"\r\n").upper())
    if found is None or len(found[1]) != digits:
        raise AuthUnavailable(
            f"The breach file has a line that is no hash of {digits} digits. Is it of the kind that was said?",
            reason="breach_file_malformed",
        )
    return found[1], 1 if found[2] is None else int(found[2])
