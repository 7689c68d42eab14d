"""A password is in no text, no error, no traceback and no log of ours (auth P21)."""

import asyncio
import gc
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import common.auth.exceptions
from common.auth.plugin import RefusingHasher
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.password_manager import PasswordManager
from common.auth.security.password_octets import SealedPassword
from common.auth.testing import quick_passwords
from common.exceptions import CommonError

CANARY = "canary-\u00e9-7d1f0c"
OURS = str(Path(common.auth.exceptions.__file__).parent)


class FullPool(HashingPool):
    """A pool in which nobody finds a place."""

    def __init__(self) -> None:
        super().__init__(1, queue=0, wait=0)
        self._free.acquire()
        self._busy = 1


def broken(password: bytes, salt: bytes) -> bytes:
    """Fail as a damaged bcrypt would."""
    raise RuntimeError("bcrypt is broken")


FAULTY: dict[str, Callable[[], object]] = {
    "hash, pool full": lambda: quick_passwords(pool=FullPool()).hash(CANARY),
    "verify, pool full": lambda: quick_passwords(pool=FullPool()).verify(CANARY, None),
    "ahash, pool full": lambda: asyncio.run(quick_passwords(pool=FullPool()).ahash(CANARY)),
    "averify, pool full": lambda: asyncio.run(quick_passwords(pool=FullPool()).averify(CANARY, None)),
    "hash, too long": lambda: quick_passwords().hash(CANARY * 100),
    "hash, lone surrogate": lambda: quick_passwords().hash(CANARY + "\ud800"),
    "hash, bcrypt broken": lambda: quick_passwords(digest=broken).hash(CANARY),
    "averify, bcrypt broken": lambda: asyncio.run(quick_passwords(digest=broken).averify(CANARY, None)),
    "verify, hash unusable": lambda: quick_passwords().verify(CANARY, "$2x$04$" + "." * 53),
    "verify, hash damaged": lambda: quick_passwords().verify(CANARY.encode(), "damaged"),
    "policy": lambda: quick_passwords().validate_strength("password" + CANARY[:0] + "password").require(),
    "no pepper": lambda: RefusingHasher().hash(CANARY),
    "no pepper, verify": lambda: RefusingHasher().verify(CANARY, None),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def our_locals(error: BaseException) -> Iterator[str]:
    """Yield what a tool would print of the locals in each frame of ours."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in captured.stack:
        if frame.filename.startswith(OURS):
            yield from (frame.locals or {}).values()


@pytest.mark.parametrize("fail", FAULTY.values(), ids=FAULTY)
def test_errors_and_tracebacks_do_not_show_the_password(fail: Callable[[], object]) -> None:
    """Neither the texts of the whole chain, nor arguments of exceptions, nor the locals of our frames do."""
    with pytest.raises(Exception) as raised:
        fail()

    for error in chain(raised.value):
        told = [str(error), repr(error), repr(vars(error)), *our_locals(error)]
        assert not [text for text in told if "canary" in text]


def test_frames_of_ours_were_looked_at() -> None:
    """The check above sees locals at all."""
    with pytest.raises(CommonError) as raised:
        quick_passwords(pool=FullPool()).hash(CANARY)

    assert any("SealedPassword" in text for text in our_locals(raised.value))


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Hashing and verifying, right or wrong, leave no log record."""
    caplog.set_level(logging.DEBUG)
    manager = quick_passwords()
    manager.verify(CANARY, manager.hash(CANARY))
    manager.verify(CANARY, None)

    assert [] == caplog.records


def test_no_object_of_ours_shows_the_password() -> None:
    """``repr`` of whatever is alive while a password waits to be hashed does not tell it."""
    manager: PasswordManager = quick_passwords(pool=HashingPool(1, queue=4))
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go.wait(20)

    holder = threading.Thread(target=manager.pool.run, args=(hold,))
    holder.start()
    assert begun.wait(20)
    waiting = threading.Thread(target=manager.hash, args=(CANARY,))
    waiting.start()
    while not manager.pool.stats().waiting:
        pass
    shown = [repr(thing) for thing in gc.get_objects() if isinstance(thing, SealedPassword)]
    go.set()
    holder.join()
    waiting.join()

    assert shown
    assert not [text for text in shown if "canary" in text]
    assert "canary" not in repr(manager)
