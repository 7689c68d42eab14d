"""The operator's file of breached hashes is searched, not read (auth P19)."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.security.breach_file import BreachFile, _count
from common.auth.security.breaches import BreachHash, PasswordHashes

pytestmark = pytest.mark.thorough

PASSWORDS = [f"password number {number}" for number in range(2000)]


def sha1(text: str) -> str:
    """Return the hash as lists have it."""
    return PasswordHashes.of(text).sha1


Writer = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Writer:
    """Return a function that writes lines to a file."""

    def write(lines: Any, ending: str = "\n") -> Path:
        path = tmp_path / "breaches.txt"
        path.write_bytes("".join(f"{line}{ending}" for line in lines).encode())
        return path

    return write


FORMS: dict[str, tuple[Callable[[int, str], str], str]] = {
    "as downloaded": (lambda number, digits: f"{digits}:{number + 1}", "\r\n"),
    "hashes alone": (lambda number, digits: digits, "\n"),
    "lower case": (lambda number, digits: f"{digits.lower()}:{number + 1}", "\n"),
}


@pytest.mark.parametrize("kind", BreachHash)
@pytest.mark.parametrize(("form", "ending"), FORMS.values(), ids=FORMS)
def test_every_hash_of_the_file_is_found_and_no_other(
    written: Writer, kind: BreachHash, form: Callable[[int, str], str], ending: str
) -> None:
    """The first, the last and all between, with their count."""
    hashes = sorted(PasswordHashes.of(password).by(kind) for password in PASSWORDS)
    checker = BreachFile(written((form(number, digits) for number, digits in enumerate(hashes)), ending), kind=kind)
    has_counts = ":" in form(0, "")

    for password in PASSWORDS:
        place = hashes.index(PasswordHashes.of(password).by(kind))
        assert (place + 1 if has_counts else 1) == checker.occurrences(PasswordHashes.of(password))
        assert 0 == checker.occurrences(PasswordHashes.of(password + "!"))


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 40), max_size=12), st.integers(0, 40), st.booleans())
def test_files_of_every_size_are_searched_to_the_line(
    tmp_path_factory: pytest.TempPathFactory, members: set[int], sought: int, ends: bool
) -> None:
    """None, one, few; with or without an end of the last line; lines of different lengths."""
    hashes = {number: hashlib.sha1(str(number).encode()).hexdigest().upper() for number in range(41)}
    lines = [f"{hashes[number]}:{10**number}" for number in sorted(members, key=hashes.__getitem__) if number < 18]
    text = "\n".join(lines) + ("\n" if ends and lines else "")
    path = tmp_path_factory.mktemp("breaches") / "list"
    path.write_text(text)
    count = BreachFile(path).occurrences(PasswordHashes(hashes[sought], "0" * 32))

    assert (10**sought if sought in members and sought < 18 else 0) == count


def test_a_look_up_reads_a_few_blocks(written: Writer) -> None:
    """Half of what remains is left out by each line: some 20 lines of 200,000, not all."""
    hashes = sorted(hashlib.sha1(str(number).encode()).hexdigest().upper() for number in range(200_000))
    path = written(hashes)

    class Counted:
        """The real file, and how many lines were read."""

        def __init__(self) -> None:
            self.file = open(path, "rb")  # noqa: SIM115 - closed below
            self.lines = 0

        def readline(self, limit: int) -> bytes:
            self.lines += 1
            return self.file.readline(limit)

        def seek(self, *place: int) -> int:
            return self.file.seek(*place)

    counted = Counted()
    assert 1 == _count(counted, hashes[77_777].encode())  # type: ignore[arg-type]
    counted.file.close()
    assert counted.lines <= 2 * 24


def test_a_new_file_counts_from_the_next_question(written: Writer, tmp_path: Path) -> None:
    """It is moved into the place of the old one while the service runs."""
    checker = BreachFile(written([sha1("old")]))
    assert checker.occurrences(PasswordHashes.of("old"))
    newer = tmp_path / "newer"
    newer.write_text(sha1("new") + "\n")
    os.replace(newer, tmp_path / "breaches.txt")

    assert checker.occurrences(PasswordHashes.of("new"))
    assert not checker.occurrences(PasswordHashes.of("old"))


USELESS: dict[str, tuple[list[str], str]] = {
    "other kind": ([PasswordHashes.of("x").ntlm], "breach_file_malformed"),
    "words": (["password", "qwerty"], "breach_file_malformed"),
    "long lines": (["0" * 5000], "breach_file_malformed"),
    "binary": (["\0\x01\x02"], "breach_file_malformed"),
    "unsorted": (sorted(map(sha1, PASSWORDS[:50]), key=lambda digits: digits[::-1]), "breach_file_unsorted"),
    "backwards": (sorted(map(sha1, PASSWORDS[:50]), reverse=True), "breach_file_unsorted"),
}


@pytest.mark.parametrize(("lines", "reason"), USELESS.values(), ids=USELESS)
def test_a_file_that_is_no_such_list_is_told(written: Writer, lines: list[str], reason: str) -> None:
    """A wrong file must not say that every password is fresh."""
    checker = BreachFile(written(lines))
    reasons = set()
    for password in PASSWORDS[:20]:
        try:
            checker.occurrences(PasswordHashes.of(password))
        except AuthUnavailable as error:
            reasons.add(error.reason)

    assert {reason} == reasons


@pytest.mark.parametrize("path", ["nowhere/at/all", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_told(path: str) -> None:
    """When somebody asks, not at the start: a list may come later."""
    with pytest.raises(AuthUnavailable):
        BreachFile(path).occurrences(PasswordHashes.of("x"))


def test_an_empty_file_knows_nothing_and_no_path_is_refused(written: Writer) -> None:
    """Nothing breached is a list too."""
    assert 0 == BreachFile(written([])).occurrences(PasswordHashes.of("x"))
    with pytest.raises(ConfigurationError):
        BreachFile("")
