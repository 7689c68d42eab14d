"""Entity types and interceptors by entry point (D47), as strangers bring them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from common.core import App, Settings
from common.core.hookspecs import HEALTH_CHECKS
from common.core.testing import bare_plugins, make_plugin
from common.dynamo import (
    DAO,
    Call,
    Database,
    EntityType,
    Index,
    Interceptor,
    Key,
    MultiKey,
    Result,
    Unique,
    hookspecs,
    plugin,
)
from common.dynamo.access import AccessPattern, put
from common.dynamo.commands.access import known_patterns
from common.dynamo.exceptions import AlreadyExists
from common.dynamo.health import TablesCheck, TrafficCheck
from common.dynamo.testing.examples import INVOICE, NOTE, Note, make_invoice
from common.exceptions import ConfigurationError, PluginLoadError


class Gadget(BaseModel):
    id: str
    kind: str = "k"
    version: int = 0


def gadget(name: str = "gadget", key: Key | None = None, **options: Any) -> EntityType[Gadget]:
    return EntityType(Gadget, name, key=key or Key("GADGET#{id}", "GADGET"), **options)


def bringing(*types: object) -> Any:
    """Return a plugin that contributes *types*."""
    return make_plugin(common_entity_types=lambda: types)


def load(*plugins: object) -> Any:
    return bare_plugins(*plugins, hookspecs=[hookspecs])


def connect(*plugins: object, entity_types: tuple[EntityType[Any], ...] = (NOTE,)) -> Database:
    return Database.embedded(plugins=load(*plugins), entity_types=entity_types)


class Priced(BaseModel):
    id: str
    price: Decimal


BROKEN: dict[str, tuple[Callable[[], EntityType[Any]], str]] = {
    "equal discriminators": (lambda: gadget("note", Key("X#{id}", "X")), "'note' is already given"),
    "equal keys": (lambda: gadget(key=Key("NOTE#{id}", "NOTE")), r"NOTE#\{\} / NOTE' is already given"),
    "overlapping keys": (lambda: gadget(key=Key("NOTE#{id}", "{kind}")), "can be that of 'note'"),
    "index slot": (
        lambda: gadget(indexes=[Index("GSI1", Key("{kind}", "X"), "KEYS_ONLY")]),
        "'GSI1' is already given with another value",
    ),
    "index of attributes": (
        lambda: gadget(indexes=[Index("GSI1", MultiKey("kind"))]),
        "key of index 'GSI1' is already given with another value",
    ),
    "reserved attribute": (lambda: gadget(attributes={"kind": "_k"}), "belongs to the layer"),
    "duplicate unique names": (lambda: gadget(unique=[Unique("kind"), Unique("kind")]), "named twice"),
    "missing upcast step": (lambda: gadget(schema=2), "no step from schema 1"),
    "wrong TTL type": (lambda: gadget(ttl="kind"), "the TTL field must be"),
    "decimal without scale": (lambda: EntityType(Priced, "priced", key=Key("PRICED#{id}", "PRICED")), "needs a scale"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_plugin_with_a_faulty_type_is_named(fault: str) -> None:
    """While plugins load, or when the database that would use the type is opened; each fault by itself."""
    make, told = BROKEN[fault]

    with pytest.raises(PluginLoadError, match=told) as caught:
        connect(bringing(NOTE, INVOICE), bringing(make()), entity_types=())
    assert "plugin-2" in {failure.plugin for failure in caught.value.failures}
    assert {"common_entity_types"} == {failure.hook for failure in caught.value.failures}


def test_all_faulty_plugins_are_told_in_one_error() -> None:
    """Every plugin with a fault of its own, and none that is sound."""
    in_company = ("overlapping keys", "index slot", "index of attributes")
    faulty = [bringing(BROKEN[name][0]()) for name in BROKEN if name not in in_company]

    with pytest.raises(PluginLoadError) as caught:
        load(bringing(NOTE), *faulty)
    named = {failure.plugin for failure in caught.value.failures}
    assert "plugin-1" not in named
    assert {f"plugin-{number}" for number in range(4, 9)} <= named


def test_clashes_between_types_are_told_together_with_plugin_and_cause() -> None:
    """What can only be seen when all types are there: one error for the whole service."""
    overlapping = bringing(gadget("a", Key("NOTE#{id}", "{kind}")))
    projecting = bringing(gadget("b", Key("B#{id}", "B"), indexes=[Index("GSI1", Key("{kind}", "X"), "KEYS_ONLY")]))

    with pytest.raises(PluginLoadError) as caught:
        Database.embedded(plugins=load(overlapping, projecting), entity_types=[NOTE, INVOICE])
    told = [(failure.plugin, failure.cause) for failure in caught.value.failures]
    assert ["plugin-1", "plugin-2"] == [name for name, _ in told]
    assert "can be that of 'note' of the service itself" in told[0][1]
    assert "projection KEYS_ONLY here and ALL in 'invoice'" in told[1][1]
    assert "COMMON_PLUGINS_BLOCK" in str(caught.value)


def test_faults_of_the_services_own_types_are_a_configuration_error() -> None:
    """All of them."""
    with pytest.raises(ConfigurationError, match=r"first.*the TTL field.*second.*no step from") as caught:
        Database.embedded(entity_types=[gadget("first", ttl="kind"), gadget("second", Key("S#{id}", "S"), schema=2)])
    assert not isinstance(caught.value, PluginLoadError)


def test_a_plugins_type_gets_a_full_dao() -> None:
    """Like any other; what is no entity type is refused while plugins load."""
    extra = gadget(version="version")
    with connect(bringing(extra)) as db:
        gadgets = db.dao(extra)
        gadgets.create(Gadget(id="1"))
        gadgets.update(gadgets.require("1"), lambda change, it: change.set(it.kind, "new"))

        assert ("new", 2) == (gadgets.require("1").kind, gadgets.require("1").version)
    with pytest.raises(PluginLoadError, match="where an EntityType is wanted"):
        load(bringing(Gadget))


class Watcher:
    """An interceptor that keeps what it sees."""

    def __init__(self) -> None:
        self.requests: list[Call] = []
        self.results: list[tuple[Call, Result]] = []
        self.errors: list[tuple[Call, BaseException]] = []

    def on_request(self, call: Call, /) -> None:
        self.requests.append(call)

    def on_result(self, call: Call, result: Result, /) -> None:
        self.results.append((call, result))

    def on_error(self, call: Call, error: BaseException, /) -> None:
        self.errors.append((call, error))


class BrokenWatcher(Watcher):
    """One that raises in every method."""

    def on_request(self, call: Call, /) -> None:
        raise RuntimeError(f"cannot watch {call.request}")

    on_result = on_error = on_request  # type: ignore[assignment]


def run(notes: DAO[Note], db: Database) -> None:
    notes.create(Note(id="1", text="x"))
    with pytest.raises(AlreadyExists):
        notes.create(Note(id="1", text="x"))
    notes.batch_get([str(number) for number in range(150)])
    with db.transaction() as tx:
        tx.update(notes, "1", lambda change, it: change.set(it.text, "y"))


def test_an_interceptor_sees_every_request_and_its_result() -> None:
    """Single calls, chunks of a batch and transactions, once each, whatever the number of attempts."""
    watcher = Watcher()
    assert isinstance(watcher, Interceptor)
    with connect(make_plugin(common_dynamo_interceptors=lambda settings: [watcher])) as db:
        run(db.dao(NOTE), db)
    watcher.requests = [call for call in watcher.requests if call.pattern != "Database.create_tables"]

    assert ["PutItem", "PutItem", "BatchGetItem", "BatchGetItem", "TransactWriteItems"] == [
        call.request.operation for call in watcher.requests
    ]
    assert "Note.create" == watcher.requests[0].pattern
    assert [(watcher.requests[1], "ConditionFailed")] == [
        (call, type(error).__name__) for call, error in watcher.errors
    ]
    assert 4 == len([call for call, _ in watcher.results if call.pattern != "Database.create_tables"])


def test_a_broken_interceptor_harms_neither_the_call_nor_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged by class, without the text of its exception."""
    watcher = Watcher()
    with connect(make_plugin(common_dynamo_interceptors=lambda: [BrokenWatcher(), watcher])) as db:
        run(db.dao(NOTE), db)

    assert watcher.results
    assert "Interceptor BrokenWatcher raised RuntimeError; the call went on." in caplog.messages
    assert not any("cannot watch" in record.getMessage() for record in caplog.records)


def test_a_broken_interceptor_is_refused_where_it_is_no_interceptor() -> None:
    """While plugins load."""
    with pytest.raises(PluginLoadError, match="an object with `on_request`"):
        load(make_plugin(common_dynamo_interceptors=lambda: [object()]))


NOTES_TAKEN = AccessPattern.of("Notes.take", put(NOTE), wcu=1)


def test_a_plugin_describes_its_own_daos() -> None:
    """Its types are then explained by what it says alone; the others by their declarations."""
    plugins = load(
        make_plugin(common_entity_types=lambda: [NOTE, gadget()], common_access_patterns=lambda: [NOTES_TAKEN])
    )
    known = [pattern.name for pattern in known_patterns(plugins)]

    assert (NOTES_TAKEN,) == plugins.access_patterns()
    assert ["Notes.take"] == [name for name in known if name.startswith("Note")]
    assert "Gadget.create" in known


def test_what_is_no_access_pattern_is_refused() -> None:
    """While plugins load; and so is a title that another plugin has."""
    with pytest.raises(PluginLoadError, match="an AccessPattern"):
        load(make_plugin(common_access_patterns=lambda: ["Notes.take"]))
    with pytest.raises(PluginLoadError, match=r"access pattern 'Notes\.take'"):
        load(make_plugin(common_access_patterns=lambda: [NOTES_TAKEN, NOTES_TAKEN]))


def test_the_distributions_own_plugin_brings_types_checks_and_commands() -> None:
    """By the hooks that strangers use."""
    plugins = load(plugin)

    assert {"account", "order"} <= {entity.name for entity in plugins.entity_types()}
    assert [TablesCheck, TrafficCheck] == [type(one.value) for one in plugins.contributions(HEALTH_CHECKS)]
    assert "dynamo tables create" in [command.name for command in plugins.cli_commands()]


def test_start_up_tells_the_checks_of_the_databases_that_the_service_provides() -> None:
    """A database that was opened without plugins is watched all the same."""
    plugins = load(plugin)
    with Database.embedded(entity_types=[INVOICE]) as db:
        db.dao(INVOICE).create(make_invoice())
        app = App(settings=Settings(), plugins=plugins, provides=(db,))
        with plugins.running(app):
            watched = [check for check in plugins.health_checks() if isinstance(check, TrafficCheck)]

            assert [(db,)] == [tuple(check._databases) for check in watched]
