"""The public face of the plugin system."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, ModuleType
from typing import Any, Literal, TypeAlias, TypeVar, overload

from common.core import hookspecs as core_hooks
from common.core.audit import AuditSink
from common.core.commands import CliCommand
from common.core.health import HealthCheck
from common.core.hook_rules import HookRule
from common.core.json_types import AttributeValue, JSONValue
from common.core.lifecycle import App
from common.core.passwords import PasswordHasher
from common.core.plugins._discovery import Discovery, discover
from common.core.plugins._failing import did_you_mean
from common.core.plugins._family import HOOK_OWNERS
from common.core.plugins._loading import Loading
from common.core.plugins._records import PluginRecord
from common.core.plugins._registry import Registry
from common.core.plugins._selection import Selection
from common.core.plugins._starting import Running
from common.core.plugins._values import Contribution, PluginListing
from common.core.settings import Settings
from common.exceptions import ConfigurationError, PluginFailure, PluginLoadError

T = TypeVar("T")

STOP_WITHIN = 10.0
"""Seconds that plugins have for shutdown where nobody says otherwise."""

_log = logging.getLogger("common.core.plugins")

OnError: TypeAlias = Literal["raise", "warn"] | Callable[[PluginLoadError], None]
"""What :meth:`Plugins.load` does about failures."""


class Plugins:
    """The plugins of one service. There is no global one: the service makes it, loads it once and hands it on.

    >>> from common.core import Plugins, Settings
    >>> plugins = Plugins()
    >>> plugins.load(Settings(service_name="orders"), only=())
    >>> [listing.name for listing in plugins.listing() if listing.dist == "common-core"]
    ['common-core']

    Results are read through one typed method per hook, and with the names of their plugins through
    :meth:`contributions`. They keep one order: the family first, then by distribution and entry-point name, then what
    was registered in code; ``tryfirst`` and ``trylast`` are honoured. Reading them calls no hook.
    """

    def __init__(self, *, hookspecs: Iterable[ModuleType] = ()) -> None:
        """Know the hooks of common-core, and those of *hookspecs*.

        Args:
            hookspecs: Further modules of specifications, for a service or test that loads with
                ``entry_points=False``; else installed distributions of the family bring theirs.
        """
        self._registry = Registry()
        self._waiting: list[tuple[PluginRecord, object]] = []
        self._settings: Settings | None = None
        self._selection = Selection.of(Settings(), (), None)
        self._loaded = False
        self._running: Running | None = None
        for module in (core_hooks, *hookspecs):
            self._registry.add_hookspecs(module)

    def register(self, plugin: object, *, name: str) -> None:
        """Add a plugin that has no entry point: a module, or an object whose methods are implementations.

        Before :meth:`load` it waits for it, so that its failures are collected with all others. After it, its hooks
        are called at once; after :meth:`start`, its ``common_startup`` too. What was handed out before does not
        change.

        Raises:
            PluginLoadError: After :meth:`load`: the plugin is wrong. It is not registered.
            PluginStartError: After :meth:`start`: its ``common_startup`` raised. It is not registered.
        """
        record = PluginRecord(name, None, None)
        if self._settings is None:
            self._waiting.append((record, plugin))
        else:
            self._register_late(record, plugin, self._settings)

    def load(
        self,
        settings: Settings,
        *,
        block: Iterable[str] = (),
        only: Iterable[str] | None = None,
        entry_points: bool = True,
        on_error: OnError = "raise",
    ) -> None:
        """Find, import and register all plugins and collect what their hooks return; once.

        This runs the code of every installed distribution that names the group ``common.plugins`` and is not
        blocked.

        Args:
            settings: Given to the hooks; its ``plugins_block`` and ``plugins_only`` apply too.
            block: Names of plugins not to load, besides those of *settings*.
            only: Plugins from outside the family that may load; ``None`` all, empty none. Where *settings* limits
                them too, a plugin must be in both. Plugins registered in code are never limited.
            entry_points: Where false, nothing is discovered: only what was registered in code is loaded.
            on_error: ``"raise"`` one error for all failures; ``"warn"`` log the same and go on without these
                plugins; a function is called with that error, and loading goes on as for ``"warn"``.

        Raises:
            PluginLoadError: A plugin did not load; ``failures`` names each. Nothing can be read but
                :meth:`listing`.
            ConfigurationError: It is the second call.
        """
        if self._settings is not None:
            raise ConfigurationError("Plugins.load was called a second time. Make new Plugins to load anew.")
        self._settings = settings
        self._selection = Selection.of(settings, block, only)
        discovery = discover() if entry_points else Discovery()
        Loading(self._registry, self._selection).run(discovery, self._waiting, settings)
        self._warn_of_unknown_names()
        self._report(on_error)
        self._loaded = True

    @property
    def loaded(self) -> bool:
        """Whether :meth:`load` has come to its end, so that results can be read."""
        return self._loaded

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """Why plugins did not load; empty where all is well or nothing was loaded yet."""
        return tuple(failure for record in self._registry.records for failure in record.failures)

    def listing(self) -> tuple[PluginListing, ...]:
        """Return every plugin found or registered, loaded or not, in the order of loading."""
        return tuple(record.listing() for record in self._registry.records)

    @overload
    def contributions(self, hook: HookRule[T]) -> tuple[Contribution[T], ...]: ...
    @overload
    def contributions(self, hook: str) -> tuple[Contribution[Any], ...]: ...
    def contributions(self, hook: HookRule[T] | str) -> tuple[Contribution[Any], ...]:
        """Return what *hook* gave, each with the name, distribution and version of its plugin.

        Args:
            hook: The rule beside the hook's specification (``AUDIT_SINKS`` of :mod:`common.core.hookspecs`), which
                gives the result its type; or the hook's name.

        Raises:
            ConfigurationError: Nothing is loaded yet, or no hook has that name.
        """
        name = hook if isinstance(hook, str) else hook.hook
        if not self._loaded:
            raise ConfigurationError(f"{name} was read before plugins were loaded. Call Plugins.load(settings) first.")
        if isinstance(hook, str) and not self._registry.knows(hook) and hook not in HOOK_OWNERS:
            raise ConfigurationError(f"There is no hook {hook!r}{did_you_mean(hook, self._registry.rules)}.")
        return self._registry.contributions(name)

    def results(self, hook: HookRule[T]) -> tuple[T, ...]:
        """Same as :meth:`contributions`, without the names: the objects alone, of the rule's type."""
        return tuple(contribution.value for contribution in self.contributions(hook))

    def health_checks(self) -> tuple[HealthCheck, ...]:
        """Return the health checks; their names are unique."""
        return self.results(core_hooks.HEALTH_CHECKS)

    def audit_sinks(self) -> tuple[AuditSink, ...]:
        """Return the destinations of the audit trail; their names are unique."""
        return self.results(core_hooks.AUDIT_SINKS)

    def password_hasher(self) -> PasswordHasher | None:
        """Return the hasher: one from outside the family, else the family's own, else ``None``."""
        return next(iter(self.results(core_hooks.PASSWORD_HASHER)), None)

    def cli_commands(self) -> tuple[CliCommand, ...]:
        """Return the subcommands of ``common``; their names are unique."""
        return self.results(core_hooks.CLI_COMMANDS)

    def entity_types(self) -> tuple[Any, ...]:
        """Return the entity types (``EntityType`` of common-dynamo); empty without common-dynamo."""
        return self._values("common_entity_types")

    def access_patterns(self) -> tuple[Any, ...]:
        """Return the access patterns (``AccessPattern`` of common-dynamo) of DAOs; empty without common-dynamo."""
        return self._values("common_access_patterns")

    def dynamo_interceptors(self) -> tuple[Any, ...]:
        """Return the interceptors (``Interceptor`` of common-dynamo), in order; empty without common-dynamo."""
        return self._values("common_dynamo_interceptors")

    def token_claims(self) -> tuple[Callable[[Any], Mapping[str, JSONValue]], ...]:
        """Return the implementations of ``common_token_claims`` as plain functions of the token's subject.

        They are called when a token is issued, by common-auth; empty without common-auth.
        """
        return self._values("common_token_claims")

    def breach_checkers(self) -> tuple[Any, ...]:
        """Return all breach checkers (``BreachChecker`` of common-auth); empty without common-auth."""
        return self._values("common_breach_checker")

    def resource_attributes(self) -> Mapping[str, AttributeValue]:
        """Return the resource attributes of all plugins, merged; empty without common-observability."""
        merged: dict[str, AttributeValue] = {}
        for attributes in self._values("common_resource_attributes"):
            merged.update(attributes)
        return MappingProxyType(merged)

    def span_processors(self) -> tuple[Any, ...]:
        """Return the span processors (of the OpenTelemetry SDK), in order; empty without common-observability."""
        return self._values("common_span_processors")

    def start(self, app: App) -> None:
        """Call ``common_startup`` of each plugin, in order; once.

        Raises:
            PluginStartError: A plugin raised. Those started before it were shut down in reverse order.
            ConfigurationError: Nothing is loaded yet, or it is the second call.
        """
        if not self._loaded:
            raise ConfigurationError("Plugins were started before they were loaded. Call Plugins.load(settings) first.")
        if self._running is not None:
            raise ConfigurationError("Plugins.start was called a second time. Make new Plugins to start anew.")
        self._running = Running(self._registry, app)
        try:
            self._running.start_all()
        except BaseException:
            self._running.stop_all(app.stopping_within(STOP_WITHIN))
            raise

    def stop(self, app: App) -> None:
        """Call ``common_shutdown`` of each plugin that started, in reverse order. A second call does nothing.

        What a plugin raises is logged with its name, and the rest still shuts down.

        Args:
            app: With a deadline, see :meth:`common.core.App.stopping_within`; plugins keep to it themselves.
        """
        if self._running is not None:
            self._running.stop_all(app)

    @contextmanager
    def running(self, app: App, *, stop_within: float = STOP_WITHIN) -> Iterator[App]:
        """Start, hand out *app*, and stop within *stop_within* seconds however the block ends."""
        self.start(app)
        try:
            yield app
        finally:
            self.stop(app.stopping_within(stop_within))

    def __repr__(self) -> str:
        states = Counter(str(listing.state) for listing in self.listing())
        return f"<Plugins: {', '.join(f'{count} {state}' for state, count in sorted(states.items())) or 'none'}>"

    def _register_late(self, record: PluginRecord, plugin: object, settings: Settings) -> None:
        record.blocked = self._selection.reason_against(record.name, limited=False)
        self._registry.records.append(record)
        if record.blocked is not None:
            return
        self._registry.register(record, plugin)
        self._registry.collect([record], settings)
        try:
            if record.failures:
                raise PluginLoadError(record.failures, blocked=self._selection.blocked)
            if self._running is not None:
                self._running.start_late(record)
        except BaseException:
            self._registry.forget(record)
            raise

    def _warn_of_unknown_names(self) -> None:
        for sentence in self._selection.unknown_names(record.name for record in self._registry.records):
            _log.warning("%s", sentence)

    def _report(self, on_error: OnError) -> None:
        if not self.failures:
            return
        error = PluginLoadError(self.failures, blocked=self._selection.blocked)
        if on_error == "raise":
            raise error
        if on_error == "warn":
            _log.warning("%s", error)
        else:
            on_error(error)

    def _values(self, hook: str) -> tuple[Any, ...]:
        return tuple(contribution.value for contribution in self.contributions(hook))
