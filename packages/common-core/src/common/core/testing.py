"""What tests of services and plugins need; switched on by ``pytest_plugins = ["common.core.testing"]``.

Nothing else of the family imports this module: it needs pytest, which no distribution depends on.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Self

import pytest

from common.core.audit import AuditRecord
from common.core.markers import hookimpl
from common.core.plugins import OnError, Plugins
from common.core.settings import Settings

__all__ = [
    "EnteredFunctions",
    "InstalledDists",
    "RecordingSink",
    "bare_plugins",
    "functions_entered",
    "installed_dists",
    "make_plugin",
    "recording_sink",
]

_SIBLINGS = ("common-dynamo", "common-auth", "common-observability")


class RecordingSink:
    """An audit sink that keeps its records in memory.

    >>> sink = RecordingSink("first")
    >>> sink.name, sink.durable, sink.records, sink.is_closed
    ('first', True, [], False)
    """

    def __init__(self, name: str = "recording", *, durable: bool = True) -> None:
        self.name = name
        self.durable = durable
        self.records: list[AuditRecord] = []
        self.flushes = 0
        self.is_closed = False

    def write(self, record: AuditRecord, /) -> None:
        """Keep *record*; one whose event id is known already is left out, as every sink must."""
        if all(record.event.id != known.event.id for known in self.records):
            self.records.append(record)

    def flush(self) -> None:
        """Count the call."""
        self.flushes += 1

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True


def make_plugin(**hooks: Callable[..., object]) -> ModuleType:
    """Return a module that implements *hooks*: hook names to functions of the hook's arguments, or of fewer.

    >>> bare_plugins(make_plugin(common_audit_sinks=lambda: [RecordingSink("memory")])).audit_sinks()[0].name
    'memory'
    """
    module = ModuleType("made_plugin")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def bare_plugins(*plugins: object, settings: Settings | None = None, hookspecs: Iterable[ModuleType] = ()) -> Plugins:
    """Load *plugins* alone, strictly, whatever is installed; they are named ``plugin-1``, ``plugin-2`` and so on.

    Args:
        plugins: Modules, or objects whose methods are hook implementations.
        settings: Given to the hooks; ``Settings()`` by default.
        hookspecs: The hook modules of other distributions, such as ``common.dynamo.hookspecs``.

    Raises:
        PluginLoadError: One of them is wrong.

    >>> bare_plugins().health_checks()
    ()
    """
    loaded = Plugins(hookspecs=hookspecs)
    for number, plugin in enumerate(plugins, start=1):
        loaded.register(plugin, name=f"plugin-{number}")
    loaded.load(settings or Settings(), entry_points=False)
    return loaded


class InstalledDists:
    """Distributions written into a folder on ``sys.path``: real metadata, real modules, installed in a millisecond."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: set[str] = set()
        self._plugins: set[str] = set()

    def add(
        self,
        dist: str,
        *,
        version: str = "1.0.0",
        plugins: Mapping[str, str] | None = None,
        hookspecs: Mapping[str, str] | None = None,
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """Install a distribution.

        Args:
            dist: Its name.
            version: Its version.
            plugins: Entry points of the group ``common.plugins``: name to module, or ``module:object``.
            hookspecs: The same for the group ``common.hookspecs``.
            modules: Top-level modules: name to source.
        """
        metadata = self.folder / f"{dist.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        groups = {"common.hookspecs": hookspecs or {}, "common.plugins": plugins or {}}
        (metadata / "entry_points.txt").write_text("".join(map(_group, groups, groups.values())))
        for name, source in (modules or {}).items():
            (self.folder / f"{name}.py").write_text(source)
            self._modules.add(name)
        self._plugins.update(plugins or {}, hookspecs or {})
        importlib.invalidate_caches()

    def load(self, settings: Settings | None = None, *, on_error: OnError = "raise") -> Plugins:
        """Load common-core and the distributions installed here, and no other that this environment may have.

        Raises:
            PluginLoadError: One of them is wrong, and *on_error* is ``"raise"``.
        """
        plugins = Plugins()
        plugins.load(settings or Settings(), block=_SIBLINGS, only=self._plugins, on_error=on_error)
        return plugins

    def forget(self) -> None:
        """Drop the modules that were imported from here."""
        for name in self._modules:
            sys.modules.pop(name, None)


class EnteredFunctions:
    """Counts the Python functions that a block enters in its own thread: a cost that no machine and no neighbour changes.

    Functions of C are not seen, nor is what they do; generators and coroutines count each time they go on.

    >>> with EnteredFunctions() as entered:
    ...     first = sorted("ba", key=lambda letter: letter)[0]
    >>> entered.count
    2
    """

    def __init__(self) -> None:
        self.count = 0
        """Functions entered so far; of the whole block when it has ended."""

    def _enter(self, frame: FrameType, event: str, argument: object) -> None:
        self.count += event == "call"

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        sys.setprofile(self._enter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        sys.setprofile(self._before)
        self.count -= 1  # this one


def functions_entered(call: Callable[[], object], *, warm_ups: int = 2) -> int:
    """Return how many Python functions *call* enters, once what is done once has been done.

    Args:
        call: Made *warm_ups* times before it is counted.
        warm_ups: Calls that are not counted: they import, compile and fill caches.

    >>> functions_entered(lambda: None)
    1
    """
    for _ in range(warm_ups):
        call()
    with EnteredFunctions() as entered:
        call()
    return entered.count


def _group(name: str, entry_points: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in entry_points.items()) + "\n"


@pytest.fixture
def recording_sink() -> RecordingSink:
    """Return a fresh durable sink that keeps its records in memory."""
    return RecordingSink()


@pytest.fixture
def installed_dists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstalledDists]:
    """Give a folder on ``sys.path`` in which a test installs distributions; gone after the test."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    dists = InstalledDists(folder)
    yield dists
    dists.forget()
