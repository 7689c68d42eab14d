"""The public face of the plugin system."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, TypeVar, overload

from common.core import hookspecs as core_hooks
from common.core.audit import AuditSink
from common.core.commands import CliCommand
from common.core.health import HealthCheck
from common.core.hook_rules import HookRule
from common.core.json_types import AttributeValue, JSONValue
from common.core.lifecycle import App
from common.core.passwords import PasswordHasher
from common.core.plugins._values import Contribution, PluginListing
from common.core.settings import Settings
from common.exceptions import PluginFailure, PluginLoadError

T = TypeVar("T")

OnError: TypeAlias = Literal["raise", "warn"] | Callable[[PluginLoadError], None]


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

    def __init__(self, *, hookspecs: Iterable[object] = ()) -> None:
        """Know the hooks of common-core, and those of *hookspecs*.

        Args:
            hookspecs: Further modules of specifications, for a service or test that loads with
                ``entry_points=False``; else installed distributions of the family bring theirs.
        """
        raise NotImplementedError

    def register(self, plugin: object, *, name: str) -> None:
        """Add a plugin that has no entry point: a module, or an object whose methods are implementations.

        Before :meth:`load` it waits for it, so that its failures are collected with all others. After it, its hooks
        are called at once; after :meth:`start`, its ``common_startup`` too. What was handed out before does not
        change.

        Raises:
            PluginLoadError: After :meth:`load`: the plugin is wrong. It is not registered.
            PluginStartError: After :meth:`start`: its ``common_startup`` raised. It is not registered.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    @property
    def loaded(self) -> bool:
        """Whether :meth:`load` has come to its end, so that results can be read."""
        raise NotImplementedError

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """Why plugins did not load; empty where all is well or nothing was loaded yet."""
        raise NotImplementedError

    def listing(self) -> tuple[PluginListing, ...]:
        """Return every plugin found or registered, loaded or not, in the order of loading."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    def span_processors(self) -> tuple[Any, ...]:
        """Return the span processors (of the OpenTelemetry SDK), in order; empty without common-observability."""
        return self._values("common_span_processors")

    def start(self, app: App) -> None:
        """Call ``common_startup`` of each plugin, in order; once.

        Raises:
            PluginStartError: A plugin raised. Those started before it were shut down in reverse order.
            ConfigurationError: Nothing is loaded yet, or it is the second call.
        """
        raise NotImplementedError

    def stop(self, app: App) -> None:
        """Call ``common_shutdown`` of each plugin that started, in reverse order. A second call does nothing.

        What a plugin raises is logged with its name, and the rest still shuts down.

        Args:
            app: With a deadline, see :meth:`common.core.App.stopping_within`; plugins keep to it themselves.
        """
        raise NotImplementedError

    @contextmanager
    def running(self, app: App, *, stop_within: float = 10.0) -> Iterator[App]:
        """Start, hand out *app*, and stop within *stop_within* seconds however the block ends."""
        self.start(app)
        try:
            yield app
        finally:
            self.stop(app.stopping_within(stop_within))

    def _values(self, hook: str) -> tuple[Any, ...]:
        return tuple(contribution.value for contribution in self.contributions(hook))
