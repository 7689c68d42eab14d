"""Value classes are the standard library's frozen dataclasses with slots, made sooner."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from common.dynamo import requests, value_classes

T = TypeVar("T")


def classes(decorate: Any) -> dict[str, Any]:
    """Return classes of every kind, decorated by one of both decorators."""

    @decorate(frozen=True, slots=True)
    class Point(Generic[T]):
        """Defaults, one of them shared by nobody."""

        kind: ClassVar[str] = "point"
        x: T
        y: int = 0
        tags: list[str] = field(default_factory=list)

    @decorate(frozen=True, slots=True, kw_only=True)
    class Named:
        """By keyword alone; something kept out of sight, and something that does not count."""

        name: str
        secret: str = field(repr=False)
        note: str = field(default="", compare=False)

    @decorate(frozen=True, slots=True)
    class Mixed:
        """Both, and what nobody gives."""

        first: int
        second: int = field(kw_only=True)
        total: int = field(init=False)
        count: int = field(init=False, default=7)
        seen: list[int] = field(init=False, default_factory=list)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", self.first + self.second)

    @decorate(frozen=True, slots=True)
    class Own:
        """With methods of its own."""

        value: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and self.value.lower() == other.value.lower()

        def __hash__(self) -> int:
            return hash(self.value.lower())

        def __repr__(self) -> str:
            return "own"

    @decorate(frozen=True, slots=True)
    class Below(Point[T]):
        """Derived."""

        z: int = 1

    @decorate(frozen=True, slots=True)
    class Empty:
        """Nothing at all."""

    return {each.__name__: each for each in (Point, Named, Mixed, Own, Below, Empty)}


OURS, THEIRS = classes(value_classes.dataclass), classes(dataclasses.dataclass)
CALLS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "by place": lambda made: made["Point"](1, 2, ["t"]),
    "by default": lambda made: made["Point"](1),
    "by name": lambda made: made["Point"](y=2, x=1),
    "by keyword": lambda made: made["Named"](name="n", secret="s"),
    "mixed": lambda made: made["Mixed"](1, second=2),
    "own methods": lambda made: made["Own"]("A"),
    "derived": lambda made: made["Below"](1, 2, ["t"], 3),
    "empty": lambda made: made["Empty"](),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_value_is_what_the_standard_library_makes(call: Callable[[dict[str, Any]], Any]) -> None:
    """Text, fields, conversions, signature and slots are the same."""
    ours, theirs = call(OURS), call(THEIRS)

    assert repr(theirs).replace("dataclasses.", "") == repr(ours)
    assert asdict(theirs) == asdict(ours)
    assert [each.name for each in fields(theirs)] == [each.name for each in fields(ours)]
    assert type(theirs).__match_args__ == type(ours).__match_args__
    assert type(theirs).__slots__ == type(ours).__slots__
    assert [(p.name, p.kind) for p in inspect.signature(type(theirs)).parameters.values()] == [
        (p.name, p.kind) for p in inspect.signature(type(ours)).parameters.values()
    ]
    assert is_dataclass(ours)
    assert not hasattr(ours, "__dict__")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_equal_values_are_equal(call: Callable[[dict[str, Any]], Any]) -> None:
    """Copies too; those of another class are not."""
    one, other = call(OURS), call(OURS)

    assert one == other
    assert one == copy.copy(one) == copy.deepcopy(one)
    assert one != call(THEIRS)
    assert one != OURS["Named"](name="m", secret="s")


def test_what_does_not_count_is_not_compared() -> None:
    """In hashes neither."""
    one, other = (OURS["Named"](name="n", secret="s", note=note) for note in ("a", "b"))

    assert (one, hash(one)) == (other, hash(other))
    assert one != OURS["Named"](name="n", secret="t")


def test_a_value_of_lists_has_no_hash() -> None:
    """As with the standard library's."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(OURS["Point"](1))


def test_defaults_are_made_anew() -> None:
    """No two values share a list."""
    assert OURS["Point"](1).tags is not OURS["Point"](1).tags


def test_a_value_does_not_change() -> None:
    """It is replaced by another one."""
    point = OURS["Point"](1, 2)

    with pytest.raises(FrozenInstanceError, match="x"):
        point.x = 5
    with pytest.raises(FrozenInstanceError, match="x"):
        del point.x
    with pytest.raises(FrozenInstanceError, match="other"):
        point.other = 5
    assert (5, 2) == (replace(point, x=5).x, replace(point, x=5).y)


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "one too few": lambda made: made["Point"](),
    "one too many": lambda made: made["Point"](1, 2, [], 4),
    "unknown": lambda made: made["Point"](1, z=2),
    "twice": lambda made: made["Point"](1, x=2),
    "by place": lambda made: made["Named"]("n", "s"),
    "what nobody gives": lambda made: made["Mixed"](1, second=2, total=3),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_told_alike(call: Callable[[dict[str, Any]], Any]) -> None:
    """In the words of Python."""
    with pytest.raises(TypeError) as theirs:
        call(THEIRS)
    with pytest.raises(TypeError) as ours:
        call(OURS)

    assert str(theirs.value) == str(ours.value)


def test_a_value_goes_through_pickle() -> None:
    """To another process and back."""
    request = requests.GetItem(table="t", key={"pk": {"S": "1"}})

    assert request == pickle.loads(pickle.dumps(request))


def test_a_value_can_be_matched() -> None:
    """By place, as it is made."""
    Point = OURS["Point"]  # noqa: N806

    match Point(1, 2):
        case Point(1, found):
            assert 2 == found
        case _:
            pytest.fail("no match")


def test_other_classes_are_the_standard_librarys() -> None:
    """Those that change, that have no slots, or that ask for more."""
    Changing: Any = value_classes.dataclass(slots=True)(type("Changing", (), {"__annotations__": {"x": int}}))  # noqa: N806
    changing = Changing(1)
    changing.x = 2
    Ordered: Any = value_classes.dataclass(frozen=True, slots=True, order=True)(  # noqa: N806
        type("Ordered", (), {"__annotations__": {"x": int}})
    )

    assert 2 == changing.x
    assert Ordered(1) < Ordered(2)
