"""Finds the files of a trail and reads them: in their order, at once or as they grow."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_line import MAX_LINE

__all__ = ["TrailFiles", "find_trails", "follow", "last_lines", "read_lines"]

_PID: Final = "{pid}"
_LONGEST: Final = 4 * MAX_LINE


@dataclass(frozen=True, slots=True)
class TrailFiles:
    """The files that one process after the other has written, oldest first."""

    path: Path
    """The file that is written; it may be missing for a moment, while files are renamed."""
    pid: str = ""
    """What stood in the place of ``{pid}``."""

    def files(self) -> list[Path]:
        """Return the renamed files in their order, then the one that is written."""
        prefix = f"{self.path.name}."
        names = os.listdir(self.path.parent) if self.path.parent.is_dir() else []
        renamed = sorted(name for name in names if re.fullmatch(re.escape(prefix) + r"\d{6,}", name))
        paths = [self.path.with_name(name) for name in sorted(renamed, key=lambda name: int(name.rpartition(".")[2]))]
        return [*paths, self.path] if self.path.exists() else paths

    def lines(self) -> Iterator[bytes]:
        """Yield all lines with their ends, oldest first, also while files are renamed: none is left out or read twice.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        done: set[Path] = set()
        while True:
            with ExitStack() as stack:
                # Opened first: where no file has been renamed since the last look, it goes on where those end.
                current = stack.enter_context(_opened(self.path)) if self.path.exists() else None
                renamed = [path for path in self.files() if path != self.path and path not in done]
                if not renamed:
                    yield from () if current is None else _lines_of(current)
                    return
            for path in renamed:
                yield from read_lines([path])
                done.add(path)

    def beside(self, template: str) -> Path:
        """Return the path of *template* for the same process."""
        return Path(template.replace(_PID, self.pid))


def find_trails(template: str) -> list[TrailFiles]:
    """Return the trails that *template* names: one, or where it has ``{pid}`` one for each process that has written.

    Raises:
        ConfigurationError: There is no such file.
    """
    if _PID not in template:
        found = [TrailFiles(Path(template))]
    else:
        name = re.compile(re.escape(Path(template).name).replace(re.escape(_PID), r"(?P<pid>\d+)", 1) + r"(\.\d{6,})?")
        folder = Path(template).parent
        matches = (name.fullmatch(each) for each in (os.listdir(folder) if folder.is_dir() else ()))
        pids = {match["pid"] for match in matches if match}
        found = [TrailFiles(Path(template.replace(_PID, pid)), pid) for pid in sorted(pids, key=int)]
    found = [trail for trail in found if trail.files()]
    if not found:
        raise ConfigurationError(f"There is no audit file {Path(template).name!r}. Name the file of a trail.")
    return found


def read_lines(files: Iterable[Path]) -> Iterator[bytes]:
    """Yield the lines of *files* with their ends, one after the other; of what is too long for a line, pieces.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    for path in files:
        with _opened(path) as file:
            yield from _lines_of(file)


def _lines_of(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_LONGEST):
        yield line


def last_lines(lines: Iterable[bytes], count: int, wanted: Callable[[bytes], bool]) -> list[bytes]:
    """Return the last *count* of *lines* that are *wanted*, in their order."""
    return list(deque((line for line in lines if wanted(line)), count))


def follow(path: Path, *, wait: Callable[[], object], begin: int | None = None) -> Iterator[bytes]:
    """Yield the lines that are added to *path* from now on, also when it is renamed and begun anew; it never ends.

    Args:
        path: The file; it need not be there yet.
        wait: Called when there is nothing new; returns when it is time to look again.
        begin: Where to begin, in bytes; ``None``: at the present end.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    offset = begin
    while True:
        if not path.exists():
            offset = 0
            wait()
            continue
        with _opened(path) as file:
            file.seek(*((0, os.SEEK_END) if offset is None else (offset, os.SEEK_SET)))
            yield from _grown(file, path, wait)
        offset = 0


def _grown(file: BinaryIO, path: Path, wait: Callable[[], object]) -> Iterator[bytes]:
    begun = b""
    while True:
        is_moved = _is_moved(file, path)
        while piece := file.readline(_LONGEST):
            begun += piece
            if begun.endswith(b"\n"):
                yield begun
                begun = b""
        # Looked at before the last read, so that nothing is missed between reading and renaming.
        if is_moved:
            return
        wait()


def _is_moved(file: BinaryIO, path: Path) -> bool:
    try:
        return not os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return True


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"Audit file {path.name!r} cannot be read ({type(error).__name__}).") from error
