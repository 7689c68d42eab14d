"""From what was discovered to registered plugins with collected results, every failure noted."""

from collections.abc import Iterable
from types import ModuleType
from typing import TypeAlias

from common.core.plugins._discovery import Candidate, Discovery
from common.core.plugins._family import HOOKSPECS_GROUP, PLUGINS_GROUP
from common.core.plugins._records import PluginRecord
from common.core.plugins._registry import Registry
from common.core.plugins._selection import Selection
from common.core.settings import Settings

Waiting: TypeAlias = tuple[PluginRecord, object]
"""A plugin registered in code before loading."""


class Loading:
    """One run through the steps; nothing raises but ``KeyboardInterrupt``."""

    def __init__(self, registry: Registry, selection: Selection) -> None:
        self._registry = registry
        self._selection = selection
        self._records: dict[tuple[str, str], PluginRecord] = {}

    def run(self, discovery: Discovery, waiting: Iterable[Waiting], settings: Settings) -> None:
        """Hook specifications first, so that each plugin is validated when it registers; then plugins; then hooks."""
        for candidate in discovery.in_order():
            self._open_record(candidate)
        for candidate in discovery.hookspecs:
            self._add_hookspecs(candidate)
        for candidate in discovery.plugins:
            self._add_plugin(candidate)
        for record, plugin in waiting:
            self._add_registered(record, plugin)
        self._registry.collect(self._registry.records, settings)

    def _open_record(self, candidate: Candidate) -> None:
        if candidate.key in self._records:
            return
        record = PluginRecord(candidate.name, candidate.dist, candidate.version, candidate.is_family)
        record.blocked = self._selection.reason_against(record.name, limited=not record.is_family)
        self._records[candidate.key] = record
        self._registry.records.append(record)

    def _add_hookspecs(self, candidate: Candidate) -> None:
        record = self._records[candidate.key]
        if record.blocked is None and not candidate.is_family:
            record.fail(f"the group {HOOKSPECS_GROUP} is the family's own; a plugin belongs in {PLUGINS_GROUP}")
        elif record.blocked is None:
            try:
                self._registry.add_hookspecs(_module(candidate.import_it()))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever an import raises is this plugin's failure
                record.fail(error)
        if candidate.is_family and not record.is_loaded:
            self._registry.silenced_owners.add(candidate.dist)

    def _add_plugin(self, candidate: Candidate) -> None:
        record = self._records[candidate.key]
        if not record.is_loaded:
            return
        try:
            plugin = candidate.import_it()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit at import, too, must not end the service unnamed
            record.fail(error)
        else:
            self._registry.register(record, plugin)

    def _add_registered(self, record: PluginRecord, plugin: object) -> None:
        record.blocked = self._selection.reason_against(record.name, limited=False)
        self._registry.records.append(record)
        if record.blocked is None:
            self._registry.register(record, plugin)


def _module(imported: object) -> ModuleType:
    if not isinstance(imported, ModuleType):
        raise TypeError(f"an entry point in {HOOKSPECS_GROUP} names a module, not {type(imported).__name__}")
    return imported
