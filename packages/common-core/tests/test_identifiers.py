"""ULIDs and UUIDv7s: their form, their order, from many threads and across a fork."""

import gc
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.utils.clock import FrozenClock, epoch_milliseconds
from common.core.utils.identifiers import (
    ULID_PATTERN,
    UUID7_PATTERN,
    UlidGenerator,
    Uuid7Generator,
    _MonotonicSequence,
    _sequences,
    first_ulid,
    identifier_time,
    is_identifier,
    last_ulid,
    to_ulid,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Generator = Callable[[], str]
GENERATORS = pytest.mark.parametrize("generator", [UlidGenerator, Uuid7Generator])


def ones(size: int) -> bytes:
    """Return the highest number there is, in place of chance."""
    return b"\xff" * size


@GENERATORS
def test_an_identifier_carries_its_time(generator: type[UlidGenerator] | type[Uuid7Generator]) -> None:
    """The millisecond of the injected clock can be read back."""
    clock = FrozenClock(NOON + timedelta(microseconds=1999))
    made = generator(clock=clock)()

    assert NOON + timedelta(milliseconds=1) == identifier_time(made)


@GENERATORS
def test_identifiers_of_one_millisecond_grow(generator: type[UlidGenerator] | type[Uuid7Generator]) -> None:
    """While the clock stands still, every identifier sorts after the one before it."""
    new_id = generator(clock=FrozenClock(NOON))
    made = [new_id() for _ in range(1000)]

    assert sorted(set(made)) == made


@GENERATORS
def test_a_clock_set_back_does_not_break_the_order(generator: type[UlidGenerator] | type[Uuid7Generator]) -> None:
    """The generator stays at the latest millisecond it has seen."""
    clock = FrozenClock(NOON)
    new_id = generator(clock=clock)
    before = new_id()
    clock.advance(timedelta(hours=-1))
    after = [new_id() for _ in range(10)]

    assert sorted([before, *after]) == [before, *after]
    assert {NOON} == {identifier_time(made) for made in after}


def test_a_spent_millisecond_borrows_the_next_one() -> None:
    """When the random part cannot grow any more, order is kept by moving the time on."""
    sequence = _MonotonicSequence(2, FrozenClock(NOON), ones)
    now = epoch_milliseconds(NOON)

    assert [(now, 1), (now, 2), (now, 3), (now + 1, 1)] == [sequence.next() for _ in range(4)]


def test_a_uuid7_is_one_by_the_standard() -> None:
    """Version, variant and text are those of RFC 9562, whatever chance gives."""
    made = uuid.UUID(Uuid7Generator(clock=FrozenClock(NOON), random=ones)())

    assert (7, uuid.RFC_4122) == (made.version, made.variant)
    assert epoch_milliseconds(NOON) == made.int >> 80


@GENERATORS
def test_threads_share_a_generator(generator: type[UlidGenerator] | type[Uuid7Generator]) -> None:
    """Eight threads get no identifier twice, and each sees its own in order."""
    new_id = generator()
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: [new_id() for _ in range(2000)], range(8)))

    assert all(sorted(run) == run for run in runs)
    assert 16_000 == len({made for run in runs for made in run})


def test_a_thread_waits_while_another_begins_a_millisecond() -> None:
    """A thread that comes while chance is drawn counts on from the new number, never from the old one."""
    drawing, overtaken = Event(), Event()
    draws = iter([b"\x7f\xff", b"\0\0"])

    def draw(size: int) -> bytes:
        drawn = next(draws)
        if drawn == b"\0\0":
            drawing.set()
            overtaken.wait(0.2)  # in vain, since the other thread has to wait
        return drawn

    def overtake() -> list[tuple[int, int]]:
        assert drawing.wait(5)
        first = sequence.next()
        overtaken.set()
        return [first, sequence.next()]

    clock = FrozenClock(NOON)
    sequence = _MonotonicSequence(16, clock, draw)
    sequence.next()
    clock.advance(timedelta(milliseconds=1))
    now = epoch_milliseconds(clock.now())
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(overtake)

        assert (now, 0) == pool.submit(sequence.next).result()
        assert [(now, 1), (now, 2)] == other.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@GENERATORS
def test_a_forked_child_repeats_nothing(generator: type[UlidGenerator] | type[Uuid7Generator]) -> None:
    """Parent and child go on from different random parts, even within one millisecond."""
    new_id = generator(clock=FrozenClock(NOON))
    earlier = new_id()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, "".join(new_id() for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    os.close(writer)
    size = len(earlier)
    of_child = [text[at : at + size] for at in range(0, len(text), size)]

    assert 50 == len(of_child)
    assert set(of_child).isdisjoint(new_id() for _ in range(50))
    assert all(earlier < made for made in of_child)


def test_a_dropped_generator_is_forgotten() -> None:
    """A service that makes many generators does not keep them all for the sake of forks."""
    gc.collect()
    before = len(_sequences)
    for _ in range(100):
        UlidGenerator()()
    gc.collect()

    assert before == len(_sequences)


@given(st.binary(min_size=16, max_size=16))
def test_ulid_text_sorts_as_its_number(content: bytes) -> None:
    """The text of a ULID is 128 bits in Crockford's base 32 and decodes to them."""
    # Version and variant as the standard wants them, and a time before the year 6429.
    number = int.from_bytes(content, "big") & ~(1 << 127 | 0xF << 76 | 0b11 << 62) | 0x7 << 76 | 0b10 << 62
    text = to_ulid(str(uuid.UUID(int=number)))

    assert ULID_PATTERN.fullmatch(text)
    assert number == sum("0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(c) << 5 * (25 - i) for i, c in enumerate(text))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=20))
def test_both_kinds_sort_by_time_in_ulid_form(steps: list[tuple[bool, int]]) -> None:
    """A UUIDv7 and a ULID of different milliseconds compare as their times do, once both are ULID text."""
    clock = FrozenClock(NOON)
    kinds: dict[bool, Generator] = {True: UlidGenerator(clock=clock), False: Uuid7Generator(clock=clock)}
    made = []
    for is_ulid, pause in steps:
        clock.advance(timedelta(milliseconds=pause + 1))
        made.append(to_ulid(kinds[is_ulid]()))

    assert sorted(made) == made


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30)))  # noqa: DTZ001
def test_a_range_of_ulids_holds_its_millisecond(naive: datetime) -> None:
    """Every ULID of a millisecond lies between the first and the last one, ends included."""
    moment = naive.replace(tzinfo=UTC)
    made = UlidGenerator(clock=FrozenClock(moment))()

    assert first_ulid(moment) <= made <= last_ulid(moment) < first_ulid(moment + timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01J0B3V1MMEEDTX9CPDGKFHBC",
        "01J0B3V1MMEEDTX9CPDGKFHBCHH",
        "01j0b3v1mmeedtx9cpdgkfhbch",
        "81J0B3V1MMEEDTX9CPDGKFHBCH",
        "01J0B3V1MMEEDTX9CPDGKFHBCI",
        "01J0B3V1MMEEDTX9CPDGKFHBC\n",
        "01J0B3V1MMEEDTX9CPDGKFHBCH\n",
        "0190163D-8694-739B-AEA5-966C26F8AD91",
        "0190163d-8694-439b-aea5-966c26f8ad91",
        "0190163d-8694-739b-cea5-966c26f8ad91",
        "0190163d8694739baea5966c26f8ad91",
        "{0190163d-8694-739b-aea5-966c26f8ad91}",
        "٠190163d-8694-739b-aea5-966c26f8ad91",
    ],
)
def test_other_spellings_are_no_identifiers(text: str) -> None:
    """One identifier has one text: other cases, letters, versions and digits are refused."""
    assert not is_identifier(text)
    with pytest.raises(ValueError, match="neither"):
        to_ulid(text)


def test_a_time_beyond_the_calendar_is_refused() -> None:
    """The last identifier of the year 9999 passes; the next one is refused before anything overflows."""
    last = datetime.max.replace(tzinfo=UTC)
    beyond = str(uuid.UUID(int=(epoch_milliseconds(last) + 1) << 80 | 0x7 << 76 | 0b10 << 62))

    assert 9999 == identifier_time(last_ulid(last)).year
    assert 9999 == identifier_time("e677d21f-dbff-7fff-bfff-ffffffffffff").year
    assert not is_identifier(beyond)
    assert not is_identifier("7" + "Z" * 25)


def test_published_values_agree() -> None:
    """The example of RFC 9562, appendix A.6, has the time that the standard gives."""
    example = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"

    assert UUID7_PATTERN.fullmatch(example)
    assert datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC) == identifier_time(example)
    assert identifier_time(example) == identifier_time(to_ulid(example))
