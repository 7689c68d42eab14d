"""Wrong arguments, by the kind of the parameter, and what every method must do with them.

A table says of which kind each parameter of each public method is; :func:`undescribed` finds what it leaves out, and
:func:`assert_refused` holds a method to the rule: an error of the family, before anything is sent, that names the
parameter and repeats no value.

>>> [wrong.what for wrong in FLAG][:2]
['None', 'an int']
>>> class Switch:
...     def turn(self, on):
...         ...
>>> undescribed(Switch, {"flip": {}})
['Switch.flip: there is no such method', 'Switch.turn: it has no row']
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pytest

from common.dynamo.cost import metered
from common.dynamo.exceptions import InvalidCursor
from common.dynamo.testing.canaries import CANARY, find_canaries, told_by
from common.exceptions import CommonError, ConfigurationError, InvalidInput

__all__ = [
    "ANYTHING",
    "CALLBACK",
    "COUNT",
    "CURSOR",
    "DEADLINE",
    "FLAG",
    "LISTING",
    "MAPPING",
    "MODEL",
    "OBJECT",
    "OPTIONAL_TEXT",
    "TEXT",
    "TEXT_KEY",
    "VERSION",
    "Case",
    "Rows",
    "Wrong",
    "assert_refused",
    "cases",
    "public_methods",
    "undescribed",
    "wrong_values",
]


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong value for a parameter."""

    what: str
    """Names it in the id of a test."""
    value: Any
    error: type[CommonError]
    """The class that the refusal has."""


Kind: TypeAlias = tuple[Wrong, ...]
"""Wrong values for one kind of parameter."""
Rows: TypeAlias = Mapping[str, Mapping[str, Kind]]
"""Of one class: method to parameter to its kind."""

SURROGATE: Final = f"{CANARY} \ud800"


class _Stranger:
    """An object that is nothing to anybody."""


def wrong_values(error: type[CommonError], **values: Any) -> Kind:
    """Return *values*, what each is to the value itself, as wrong ones that *error* is raised for."""
    return tuple(Wrong(what.replace("_", " ").strip(), value, error) for what, value in values.items())


ANYTHING: Final[Kind] = ()
"""Every value is right, or the parameter has a table of its own."""
FLAG: Final = wrong_values(ConfigurationError, None_=None, an_int=1, a_text=CANARY, a_list=[])
DEADLINE: Final = wrong_values(
    ConfigurationError,
    a_text=CANARY,
    a_bool=True,
    NaN=float("nan"),
    infinity=float("inf"),
    a_huge_int=10**400,
    eleven_days=1_000_001,
    a_Decimal=Decimal(1),
    a_list=[1.0],
)
OBJECT: Final = wrong_values(
    ConfigurationError, None_=None, an_int=7, a_text=CANARY, a_stranger=_Stranger(), a_class=_Stranger
)
"""Of an object of the package."""
CALLBACK: Final = wrong_values(ConfigurationError, an_int=7, a_text=CANARY, a_list=[CANARY], a_dict={CANARY: 1})
MAPPING: Final = wrong_values(ConfigurationError, an_int=7, a_text=CANARY, a_list=[CANARY], a_stranger=_Stranger())
LISTING: Final = wrong_values(ConfigurationError, None_=None, an_int=7, a_text=CANARY, bytes_=b"1", a_dict={CANARY: 1})
MODEL: Final = wrong_values(
    InvalidInput, None_=None, an_int=7, a_text=CANARY, a_dict={"id": CANARY}, a_stranger=_Stranger(), a_class=_Stranger
)
COUNT: Final = wrong_values(
    InvalidInput, a_bool=True, zero=0, below_zero=-1, a_text=f"{CANARY}", a_float=2.0, NaN=float("nan"), a_list=[1]
)
VERSION: Final = wrong_values(
    InvalidInput, a_bool=True, below_zero=-1, a_text=CANARY, a_float=2.0, a_Decimal=Decimal(1)
)
OPTIONAL_TEXT: Final = wrong_values(
    InvalidInput, None_=None, an_int=7, bytes_=b"x", a_surrogate=SURROGATE, a_list=[CANARY]
)
"""Of a text that may be empty."""
TEXT: Final = (*wrong_values(InvalidInput, empty=""), *OPTIONAL_TEXT[1:])
"""Of a text that may be absent, but not empty."""
CURSOR: Final = wrong_values(
    InvalidCursor, an_int=7, bytes_=b"AA", empty="", a_text=CANARY, a_surrogate=SURROGATE, a_list=[CANARY], a_bool=True
)
TEXT_KEY: Final = wrong_values(
    InvalidInput,
    None_=None,
    an_int=7,
    a_bool=True,
    a_float=1.5,
    bytes_=b"x",
    a_list=[CANARY],
    empty="",
    a_surrogate=SURROGATE,
    too_long=CANARY * 200,
    too_many_values=(CANARY, CANARY),
    no_values=(),
    an_empty_dict={},
    another_field={CANARY: CANARY},
    a_stranger=_Stranger(),
)
"""Of the key of an item whose one key field is a text."""


# Tables ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a parameter of a method, and the wrong values for it."""

    method: str
    parameter: str
    kind: Kind


def cases(rows: Rows) -> list[Any]:
    """Return one pytest parameter per method and parameter of *rows*."""
    return [
        pytest.param(Case(method, parameter, kind), id=f"{method}-{parameter}")
        for method, parameters in rows.items()
        for parameter, kind in parameters.items()
        if kind
    ]


def public_methods(described: type) -> Mapping[str, Callable[..., Any]]:
    """Return what can be called on objects of *described*, by name; of the underscored, iteration alone counts."""
    found: dict[str, Callable[..., Any]] = {}
    for name, member in inspect.getmembers(described):
        own = any(name in vars(each) for each in described.__mro__ if each is not object)
        if own and not name.startswith("_") and callable(member):
            found[name] = member
    return found


def undescribed(described: type, rows: Rows) -> list[str]:
    """Return what *rows* leave out of *described*, and what they name that is not there; empty where they are complete."""
    methods = public_methods(described)
    faults = [f"{described.__name__}.{name}: there is no such method" for name in rows if name not in methods]
    for name, method in methods.items():
        parameters = [each for each in inspect.signature(method).parameters if each not in ("self", "cls")]
        if name not in rows:
            faults.append(f"{described.__name__}.{name}: it has no row")
            continue
        faults += [f"{described.__name__}.{name}({one}): not described" for one in parameters if one not in rows[name]]
        faults += [
            f"{described.__name__}.{name}({one}): no such parameter" for one in rows[name] if one not in parameters
        ]
    return faults


def assert_refused(case: Case, call: Callable[[Any], object], *, named: str | None = None) -> None:
    """Assert that *call* refuses each wrong value of *case* as the module says.

    Args:
        case: Which wrong values are given where.
        call: Gives one.
        named: What messages call the parameter, where that is not its own name.
    """
    for wrong in case.kind:
        with metered() as meter:
            try:
                call(wrong.value)
            except CommonError as error:
                refusal = error
            except Exception as error:
                raise AssertionError(
                    f"{wrong.what}: it raised {type(error).__name__}, which is none of ours"
                ) from error
            else:
                raise AssertionError(f"{wrong.what}: it was not refused")
        faults = _faults(refusal, wrong, named or case.parameter)
        if meter.cost.trips:
            faults.append("something was sent")
        if faults:
            raise AssertionError(f"{wrong.what}: {'; '.join(faults)}: {refusal!r}")


def _faults(refusal: CommonError, wrong: Wrong, name: str) -> list[str]:
    pointers = " ".join(each.pointer for each in getattr(refusal, "errors", ()))
    faults = []
    if not isinstance(refusal, wrong.error):
        faults.append(f"it is no {wrong.error.__name__}")
    if name not in f"{refusal} {pointers}":
        faults.append(f"it does not name {name}")
    if find_canaries({"it": told_by(refusal)}):
        faults.append("it repeats the value")
    return faults
