"""Calling one implementation and checking what it returns."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from common.core.hook_rules import HookRule, Shape


class WrongResult(Exception):
    """A hook returned what its rule does not accept; the text is the cause of the failure."""


@dataclass(frozen=True, slots=True)
class BoundImplementation:
    """An implementation as a plain function of the hook's own arguments, however few of them it takes."""

    function: Callable[..., object]
    positions: tuple[int, ...]
    """For each argument of the implementation, its place in the hook's specification."""

    def __call__(self, *arguments: object) -> Any:
        return self.function(*[arguments[position] for position in self.positions])


def contributions_of(rule: HookRule[Any], result: object) -> tuple[object, ...]:
    """Turn the return value of one implementation into contributions.

    Raises:
        WrongResult: It is not what *rule* wants.
        Exception: A generator's body raised.
    """
    refuse_what_never_ran(result, rule.wants)
    if rule.shape is Shape.VALUE:
        return () if result is None else (_accepted(rule, result, "returned"),)
    if rule.shape is Shape.MAPPING:
        if not isinstance(result, Mapping):
            raise WrongResult(f"returned {_type_of(result)} where {rule.wants} is wanted")
        return (_accepted(rule, MappingProxyType(dict(result)), "returned"),)
    return tuple(_accepted(rule, item, "gave") for item in _items(rule, result))


def refuse_what_never_ran(result: object, wants: str) -> None:
    """Refuse the result of an ``async def``: its body has not run, and nobody would run it.

    Raises:
        WrongResult: *result* is awaitable or an asynchronous generator.
    """
    if inspect.iscoroutine(result):
        result.close()  # else Python warns, later and elsewhere, that it was never awaited
    if inspect.isawaitable(result) or inspect.isasyncgen(result):
        raise WrongResult(f"returned {_type_of(result)} where {wants} is wanted; hooks are plain functions, not async")


def _items(rule: HookRule[Any], result: object) -> Iterable[object]:
    if result is None:
        raise WrongResult(f"returned None; return an iterable of {rule.wants}, an empty one to contribute nothing")
    if isinstance(result, str | bytes | Mapping) or not isinstance(result, Iterable):
        raise WrongResult(f"returned {_type_of(result)} where an iterable is wanted, each item {rule.wants}")
    return result


def _accepted(rule: HookRule[Any], value: object, verb: str) -> object:
    refuse_what_never_ran(value, rule.wants)
    if isinstance(value, type):
        raise WrongResult(f"{verb} {_type_of(value)}, not an object of it, where {rule.wants} is wanted")
    try:
        if rule.accepts(value):
            return value
    except Exception as error:
        raise WrongResult(f"{verb} {_type_of(value)}, which raised while it was checked for {rule.wants}") from error
    raise WrongResult(f"{verb} {_type_of(value)} where {rule.wants} is wanted")


def _type_of(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
