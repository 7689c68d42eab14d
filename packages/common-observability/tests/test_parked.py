"""Work that must not hold anybody up."""

import threading
from concurrent.futures import wait

import pytest

from common.observability.monitoring.parked import ParkedThread


def test_work_is_done_by_the_thread_and_its_error_is_told() -> None:
    """The future ends with the work, well or not, and the thread goes on."""
    thread, names = ParkedThread("parked"), list[str]()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        thread.submit(fail).result(timeout=30)
    thread.submit(lambda: names.append(threading.current_thread().name)).result(timeout=30)
    assert ["parked"] == names


def test_work_that_hangs_is_not_started_twice() -> None:
    """Who asks meanwhile waits for the same piece of work."""
    thread, release = ParkedThread("parked"), threading.Event()
    first, second = thread.submit(release.wait), thread.submit(lambda: pytest.fail("started"))

    assert first is second
    assert not wait([first], timeout=0.01).done
    release.set()
    assert None is first.result(timeout=30)


def test_without_a_thread_the_work_is_done_by_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a forked child that exits, where no thread can be started any more."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    names: list[str] = []

    ParkedThread("parked").submit(lambda: names.append(threading.current_thread().name)).result(timeout=0)
    assert [threading.current_thread().name] == names
