"""Anchors in a file of their own, on another disk or another host's share than the trail. For POSIX systems."""

import os

from common.auth.security.audit_anchor import read_anchor
from common.auth.security.audit_sinks.owned_file import OwnedFile, path_template

__all__ = ["AnchorFile"]

_TWO_ANCHORS = 2048


class AnchorFile:
    """Appends each anchor to a file that this process alone writes, and brings it to the disk at once.

    An anchor that a crash has torn is cut off when the file is opened next: nobody had been told that it was stored.

    Args:
        path: The file; its folder exists. ``{pid}`` stands for the process id.
        name: Name of the sink, for logs.

    Raises:
        ConfigurationError: *path* has braces other than ``{pid}``.

    >>> AnchorFile("/mnt/witness/orders-{pid}.anchors")
    AnchorFile('/mnt/witness/orders-{pid}.anchors')
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str = "anchors") -> None:
        self._path = path_template(path, "AnchorFile")
        self._template = os.fspath(path)
        self.name = name
        self._file: OwnedFile | None = None

    def last(self) -> bytes | None:
        """Return the last anchor in the file.

        Raises:
            OSError: The file cannot be opened.
            ConfigurationError: Another process writes the file, or it is no regular file.
        """
        lines = self._current().tail(_TWO_ANCHORS).split(b"\n")[:-1]
        return lines[-1] if lines and read_anchor(lines[-1]) else None

    def write(self, line: bytes, /) -> None:
        """Append *line* and bring it to the disk.

        Raises:
            OSError: The file cannot be opened or written, or the disk does not take it.
            ConfigurationError: Another process writes the file, or it is no regular file.
        """
        file = self._current()
        file.append(line)
        file.synchronise()

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __repr__(self) -> str:
        return f"AnchorFile({self._template!r})"

    def _current(self) -> OwnedFile:
        if self._file is not None and not self._file.is_ours:
            self.close()
        if self._file is None:
            self._file = OwnedFile(self._path())
            self._file.drop_torn()
        return self._file
