"""Start-up and shutdown, plugin by plugin."""

import logging

from common.core.lifecycle import App
from common.core.plugins._collecting import WrongResult, refuse_what_never_ran
from common.core.plugins._family import SHUTDOWN, STARTUP
from common.core.plugins._records import PluginRecord
from common.core.plugins._registry import Implementation, Registry
from common.exceptions import PluginStartError

_log = logging.getLogger("common.core.plugins")


class Running:
    """The plugins that have started, in that order."""

    def __init__(self, registry: Registry, app: App) -> None:
        self._registry = registry
        self._app = app
        self._started: list[PluginRecord] = []

    def start_all(self) -> None:
        """Start every loaded plugin.

        Raises:
            PluginStartError: One raised; those before it are still to be shut down.
        """
        startups = self._registry.implementations(STARTUP)
        rank = {id(startup.record): startup.rank for startup in startups}
        loaded = [record for record in self._registry.records if record.is_loaded]
        for record in sorted(loaded, key=lambda record: rank.get(id(record), 1)):
            self._start(record, startups)

    def start_late(self, record: PluginRecord) -> None:
        """Start one more plugin.

        Raises:
            PluginStartError: It raised.
        """
        self._start(record, self._registry.implementations(STARTUP))

    def _start(self, record: PluginRecord, startups: list[Implementation]) -> None:
        for startup in startups:
            if startup.record is record:
                try:
                    refuse_what_never_ran(startup.call({"app": self._app}), "None")
                except WrongResult as wrong:
                    raise PluginStartError(record.failure(str(wrong), hook=STARTUP)) from None
                except (Exception, SystemExit) as error:
                    raise PluginStartError(record.failure(error, hook=STARTUP)) from error
        self._started.append(record)

    def stop_all(self, app: App) -> None:
        """Shut down what has started, the last first; what raises is logged, and the rest goes on."""
        shutdowns = self._registry.implementations(SHUTDOWN)
        while self._started:
            record = self._started.pop()
            for shutdown in shutdowns:
                if shutdown.record is record:
                    _shut_down(shutdown, app)


def _shut_down(shutdown: Implementation, app: App) -> None:
    try:
        refuse_what_never_ran(shutdown.call({"app": app}), "None")
    except (Exception, SystemExit):  # noqa: BLE001 - the others still have to shut down
        _log.exception("Plugin %s did not shut down cleanly; the others go on.", shutdown.record.origin)
