"""How much is hashed at once, and what happens beyond that (auth P14, P15)."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from common.auth.exceptions import ConfigurationError, HashingOverloaded
from common.auth.security.hashing_pool import HashingPool
from common.auth.testing import quick_passwords

SOON = 20.0
"""Seconds after which a test that hangs gives up."""


@pytest.fixture
def pool() -> Iterator[HashingPool]:
    """Return a pool of two slots in whose queue three may wait for long."""
    made = HashingPool(2, queue=3, wait=SOON)
    yield made
    made.close()


class Gate:
    """Work that begins, and ends when the gate opens."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def pass_through(self) -> str:
        """Count who is inside, and wait."""
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.begun.release()
        assert self.open.wait(SOON)
        with self._lock:
            self.running -= 1
        return "done"


async def until(condition: Callable[[], bool]) -> None:
    """Let others work until *condition* holds."""
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.001)


def test_no_more_runs_at_once_than_there_are_slots(pool: HashingPool) -> None:
    """Five pieces of work on two slots: two run, three wait, all end."""
    gate = Gate()

    async def five() -> list[str]:
        tasks = [asyncio.create_task(pool.arun(gate.pass_through)) for _ in range(5)]
        await until(lambda: pool.stats().busy == 2 and pool.stats().waiting == 3)
        gate.open.set()
        return await asyncio.gather(*tasks)

    assert ["done"] * 5 == asyncio.run(five())
    assert 2 == gate.most
    assert (0, 0, 0) == (pool.stats().busy, pool.stats().waiting, pool.stats().refused)


def test_threads_and_tasks_share_the_slots(pool: HashingPool) -> None:
    """A synchronous call takes a slot of the same two, in its own thread."""
    gate = Gate()
    threads = [threading.Thread(target=pool.run, args=(gate.pass_through,)) for _ in range(2)]
    for thread in threads:
        thread.start()

    async def one_more() -> str:
        task = asyncio.create_task(pool.arun(gate.pass_through))
        await until(lambda: pool.stats().busy == 2 and pool.stats().waiting == 1)
        gate.open.set()
        return await task

    assert "done" == asyncio.run(one_more())
    for thread in threads:
        thread.join()
    assert 2 == gate.most


def test_a_full_queue_refuses_at_once(pool: HashingPool) -> None:
    """The sixth of five places is told to come back later, and nothing of its work begins."""
    gate = Gate()

    async def six() -> None:
        tasks = [asyncio.create_task(pool.arun(gate.pass_through)) for _ in range(5)]
        await until(lambda: pool.stats().busy == 2)
        with pytest.raises(HashingOverloaded) as refused:
            await pool.arun(gate.pass_through)
        with pytest.raises(HashingOverloaded):
            pool.run(gate.pass_through)
        assert "queue_full" == refused.value.reason
        assert SOON == refused.value.retry_after
        gate.open.set()
        await asyncio.gather(*tasks)

    asyncio.run(six())
    assert 2 == pool.stats().refused


def test_waiting_has_an_end() -> None:
    """Who does not get a slot in time is refused."""
    pool = HashingPool(1, queue=1, wait=0)
    gate = Gate()
    thread = threading.Thread(target=pool.run, args=(gate.pass_through,))
    thread.start()
    assert gate.begun.acquire(timeout=SOON)

    with pytest.raises(HashingOverloaded, match="No hashing slot"):
        pool.run(gate.pass_through)

    gate.open.set()
    thread.join()
    assert "done" == pool.run(gate.pass_through)


def test_a_cancelled_waiter_leaks_no_slot(pool: HashingPool) -> None:
    """Clients that hang up while they wait, or while their password is hashed, give their place back."""
    gate = Gate()

    async def hang_up() -> list[str]:
        tasks = [asyncio.create_task(pool.arun(gate.pass_through)) for _ in range(5)]
        await until(lambda: pool.stats().busy == 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gate.open.set()
        await until(lambda: pool.stats().busy == 0 and pool.stats().waiting == 0)
        return await asyncio.gather(*(pool.arun(gate.pass_through) for _ in range(5)))

    assert ["done"] * 5 == asyncio.run(hang_up())


def test_work_that_raises_gives_its_slot_back(pool: HashingPool) -> None:
    """An error is the caller's, the slot is everybody's."""
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            pool.run(lambda: 1 // 0)

    assert (0, 0) == (pool.stats().busy, pool.stats().waiting)


def test_the_default_executor_stays_free() -> None:
    """Forty logins at once keep nobody from the threads that everything else in the process uses."""
    pool = HashingPool(2, queue=64, wait=SOON)
    gate = Gate()

    async def logins() -> set[str]:
        tasks = [asyncio.create_task(pool.arun(gate.pass_through)) for _ in range(40)]
        await until(lambda: pool.stats().busy == 2)
        names = {await asyncio.to_thread(lambda: threading.current_thread().name) for _ in range(20)}
        gate.open.set()
        await asyncio.gather(*tasks)
        return names

    assert all(not name.startswith("common-auth-hashing") for name in asyncio.run(logins()))
    pool.close()


def test_hashing_runs_in_threads_of_the_pool() -> None:
    """``ahash`` and ``averify`` give what ``hash`` and ``verify`` give."""
    manager = quick_passwords()

    async def round_trip() -> tuple[bool, bool, str]:
        stored = await manager.ahash("violet window")
        yes, no = await asyncio.gather(manager.averify("violet window", stored), manager.averify("other", None))
        return yes.ok, no.ok, no.reason

    assert (True, False, "unknown_user") == asyncio.run(round_trip())
    assert any(thread.name.startswith("common-auth-hashing") for thread in threading.enumerate())
    manager.close()


def test_the_event_loop_runs_on_while_a_password_is_hashed() -> None:
    """bcrypt lets other threads run: the loop turns many times during one hash of cost 12."""
    manager = quick_passwords(cost=12)

    async def turns_while_hashing() -> int:
        task = asyncio.create_task(manager.ahash("violet window"))
        await until(lambda: manager.pool.stats().busy == 1)
        turns = 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        await task
        return turns

    assert asyncio.run(turns_while_hashing()) > 50
    manager.close()


def test_a_closed_pool_refuses(pool: HashingPool) -> None:
    """After close nothing begins any more, and closing twice is harmless."""
    pool.close()
    pool.close()

    with pytest.raises(HashingOverloaded, match="closed"):
        pool.run(int)
    with pytest.raises(HashingOverloaded, match="closed"):
        asyncio.run(pool.arun(int))
    assert (0, 0) == (pool.stats().busy, pool.stats().waiting)


def test_closing_ends_what_has_begun_and_refuses_what_waits() -> None:
    """Nobody who waits at the end hangs."""
    pool = HashingPool(1, queue=5, wait=SOON)
    gate = Gate()

    async def close_under_load() -> list[str | BaseException]:
        tasks = [asyncio.create_task(pool.arun(gate.pass_through)) for _ in range(3)]
        await until(lambda: pool.stats().busy == 1)
        closing = asyncio.create_task(asyncio.to_thread(pool.close))
        gate.open.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await closing
        return answers

    first, *rest = asyncio.run(close_under_load())
    assert "done" == first
    assert all(answer == "done" or isinstance(answer, HashingOverloaded) for answer in rest)
    assert (0, 0) == (pool.stats().busy, pool.stats().waiting)


def test_the_default_is_one_slot_per_processor_and_at_most_four() -> None:
    """More threads than cores hash nothing faster."""
    assert 1 <= HashingPool().stats().slots <= 4


@pytest.mark.parametrize("limits", [{"slots": 0}, {"queue": -1}, {"wait": -1.0}])
def test_a_pool_needs_sane_limits(limits: dict[str, float]) -> None:
    """A pool that could never run anything is refused."""
    with pytest.raises(ConfigurationError):
        HashingPool(**limits)  # type: ignore[arg-type]
