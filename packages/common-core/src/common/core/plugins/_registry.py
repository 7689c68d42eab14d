"""The plugins of one service: registered with pluggy, called and checked one by one by us.

pluggy keeps specifications and implementations and validates signatures. It never calls a hook here: in a call of its
own, one raising implementation silences all others and is not named.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pluggy import HookImpl, PluginManager

from common.core.hook_rules import HookRule, Shape
from common.core.markers import PROJECT
from common.core.plugins._collecting import BoundImplementation, WrongResult, contributions_of
from common.core.plugins._failing import did_you_mean
from common.core.plugins._family import HOOK_OWNERS, LIFECYCLE
from common.core.plugins._records import PluginRecord
from common.core.plugins._settling import settle_claims
from common.core.plugins._values import Contribution
from common.core.settings import Settings
from common.exceptions import ConfigurationError

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Implementation:
    """One implementation of one hook, and the plugin that has it."""

    record: PluginRecord
    hook: str
    details: HookImpl

    @property
    def rank(self) -> int:
        if self.details.tryfirst:
            return 0
        return 2 if self.details.trylast else 1

    def call(self, arguments: dict[str, object]) -> object:
        """Call it with those of *arguments* that it names."""
        return self.details.function(*[arguments[name] for name in self.details.argnames])


class Registry:
    """Specifications, rules and records."""

    def __init__(self) -> None:
        self._manager = PluginManager(PROJECT)
        self._spec_modules: list[ModuleType] = []
        self._registered: dict[str, PluginRecord] = {}
        self.rules: dict[str, HookRule[Any]] = {}
        self.records: list[PluginRecord] = []
        self.silenced_owners: set[str] = set()
        """Distributions of the family that are blocked or broken: implementations of their hooks are no mistake."""

    # Specifications

    def add_hookspecs(self, module: ModuleType) -> None:
        """Take the specifications of *module* and its ``RULES``; a module already known is left alone.

        Raises:
            ConfigurationError: A specification has no rule, or takes what loading cannot give.
            ValueError: There is none in it, or another module has the same hook.
        """
        if any(known is module for known in self._spec_modules):
            return
        self._manager.add_hookspecs(module)
        self._spec_modules.append(module)
        rules: Iterable[HookRule[Any]] = getattr(module, "RULES", ())
        self.rules.update((rule.hook, rule) for rule in rules)
        for name in sorted(self._hooks_of(module) - LIFECYCLE):
            self._check_specification(name)

    def _hooks_of(self, module: ModuleType) -> set[str]:
        return {name for name in dir(module) if self._manager.parse_hookspec_opts(module, name) is not None}

    def _check_specification(self, hook: str) -> None:
        rule = self.rules.get(hook)
        if rule is None:
            raise ConfigurationError(f"hook {hook} has no HookRule in RULES of its module")
        beyond = set(self.arguments_of(hook)) - {"settings"}
        if beyond and rule.shape is not Shape.BOUND:
            raise ConfigurationError(f"hook {hook} takes {', '.join(sorted(beyond))}; loading gives settings alone")

    def arguments_of(self, hook: str) -> tuple[str, ...]:
        """Return the arguments in the hook's specification, in order."""
        specification = getattr(self._manager.hook, hook).spec
        return tuple(specification.argnames)

    def knows(self, hook: str) -> bool:
        """Whether the hook has a specification here."""
        caller = vars(self._manager.hook).get(hook)
        return caller is not None and caller.has_spec()

    # Registration

    def register(self, record: PluginRecord, plugin: object) -> None:
        """Register *plugin* as that of *record* and check its implementations; what is wrong is noted in *record*."""
        if isinstance(plugin, type):
            record.fail(f"it is the class {plugin.__qualname__}; name a module, or an object of the class")
            return
        namesake = self._registered.get(record.name)
        if namesake is not None:
            record.fail(f"the plugin name {record.name!r} is already taken by {namesake.origin}")
            return
        try:
            for hook, cause in self._wrong_signatures(plugin):
                record.fail(cause, hook=hook)
            if record.failures:
                return
            self._manager.register(plugin, record.name)
        except Exception as error:  # noqa: BLE001 - a wrong signature, or a stranger's attribute that raises
            self._manager.unregister(name=record.name)
            record.fail(error)
            return
        self._registered[record.name] = record
        self._check_implementations(record, plugin)

    def unregister(self, record: PluginRecord) -> None:
        """Take the plugin out again, with all that it contributed."""
        if self._registered.get(record.name) is record:
            self._manager.unregister(name=record.name)
            del self._registered[record.name]
        record.collected.clear()

    def forget(self, record: PluginRecord) -> None:
        """Same as :meth:`unregister`, and no listing shows the plugin any more."""
        self.unregister(record)
        self.records.remove(record)

    def _wrong_signatures(self, plugin: object) -> Iterator[tuple[str, str]]:
        # pluggy checks them too, and stops at the first one.
        for name in dir(plugin):
            options = self._manager.parse_hookimpl_opts(plugin, name)
            hook = name if options is None else options.get("specname") or name
            if options is not None and self.knows(hook):
                given = self.arguments_of(hook)
                beyond = [wanted for wanted in _wanted_arguments(getattr(plugin, name)) if wanted not in given]
                if beyond:
                    yield hook, f"it takes {', '.join(beyond)}; the hook gives {', '.join(given) or 'no arguments'}"

    def _check_implementations(self, record: PluginRecord, plugin: object) -> None:
        mine = [implementation for implementation in self._all() if implementation.record is record]
        record.hooks = tuple(sorted({implementation.hook for implementation in mine}))
        for implementation in mine:
            cause = self._cause_against(implementation)
            if cause is not None:
                record.fail(cause, hook=implementation.hook)
        for name in self._mistaken(plugin):
            record.fail("it is named like a hook and is no function marked with @hookimpl", hook=name)

    def _cause_against(self, implementation: Implementation) -> str | None:
        details = implementation.details
        if details.wrapper or details.hookwrapper:
            return "hook wrappers are refused: no plugin may change what another returns"
        if inspect.iscoroutinefunction(details.function) or inspect.isasyncgenfunction(details.function):
            return "it is async; hooks are plain functions"
        if implementation.hook in LIFECYCLE and inspect.isgeneratorfunction(details.function):
            return "it is a generator function: its body would never run"
        if details.optionalhook or self.knows(implementation.hook):
            return None
        return self._cause_of_unknown(implementation.hook)

    def _cause_of_unknown(self, hook: str) -> str | None:
        owner = HOOK_OWNERS.get(hook)
        if owner is None:
            specified = [name for name in vars(self._manager.hook) if self.knows(name)]
            return f"there is no hook of this name{did_you_mean(hook, {*specified, *HOOK_OWNERS})}"
        if owner in self.silenced_owners:
            return None
        return (
            f"its owner {owner} is not loaded: add it to the service's dependencies (see Installing in the README), "
            "or mark the implementation with optionalhook=True"
        )

    def _mistaken(self, plugin: object) -> Iterator[str]:
        """Yield the attributes that bear a hook's name and that pluggy passes over in silence."""
        for name in dir(plugin):
            if self.knows(name) and self._manager.parse_hookimpl_opts(plugin, name) is None:
                attribute = inspect.getattr_static(plugin, name, None)
                if not hasattr(attribute, f"{PROJECT}_spec"):
                    yield name

    # Implementations

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the implementations of *hook*: ``tryfirst`` ones, the rest, ``trylast`` ones, each by order of load."""
        if not self.knows(hook):
            return []
        position = {id(record): index for index, record in enumerate(self.records)}
        return sorted(self._of(hook), key=lambda found: (found.rank, position[id(found.record)]))

    def _all(self) -> Iterator[Implementation]:
        for hook in tuple(vars(self._manager.hook)):
            yield from self._of(hook)

    def _of(self, hook: str) -> Iterator[Implementation]:
        for details in getattr(self._manager.hook, hook).get_hookimpls():
            yield Implementation(self._registered[details.plugin_name], hook, details)

    # Results

    def collect(self, newcomers: Sequence[PluginRecord], settings: Settings) -> None:
        """Call every hook that has results, each implementation of *newcomers* by itself, and settle the names."""
        new = frozenset(map(id, newcomers))
        for rule in self.rules.values():
            for implementation in self.implementations(rule.hook):
                if id(implementation.record) in new and self._cause_against(implementation) is None:
                    self._collect_from(implementation, rule, settings)
        settle_claims(self.records, newcomers)
        for record in newcomers:
            if not record.is_loaded:
                self.unregister(record)

    def _collect_from(self, implementation: Implementation, rule: HookRule[Any], settings: Settings) -> None:
        record = implementation.record
        try:
            for value in self._values(implementation, rule, settings):
                record.keep(rule, implementation.rank, value)
        except KeyboardInterrupt:
            raise
        except WrongResult as wrong:
            record.fail(str(wrong), hook=rule.hook)
        except BaseException as error:  # noqa: BLE001 - SystemExit and panics of extension modules too; it is named
            record.fail(error, hook=rule.hook)

    def _values(self, implementation: Implementation, rule: HookRule[Any], settings: Settings) -> tuple[object, ...]:
        if rule.shape is Shape.BOUND:
            order = self.arguments_of(rule.hook)
            positions = tuple(order.index(name) for name in implementation.details.argnames)
            return (BoundImplementation(implementation.details.function, positions),)
        return contributions_of(rule, implementation.call({"settings": settings}))

    def contributions(self, hook: str) -> tuple[Contribution[Any], ...]:
        """Return what *hook* gave: ``tryfirst`` plugins, the rest, ``trylast`` ones, each by order of load."""
        found = [(record, item) for record in self.records for item in record.collected if item.rule.hook == hook]
        if any(item.rule.family_yields and not record.is_family for record, item in found):
            found = [(record, item) for record, item in found if not record.is_family]
        return tuple(item.contribution for _, item in sorted(found, key=lambda pair: pair[1].rank))


def _wanted_arguments(function: Callable[..., object]) -> list[str]:
    """Return what cannot be left out in a call: a parameter with a default is the plugin's own affair."""
    return [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in _COLLECTING
    ]
