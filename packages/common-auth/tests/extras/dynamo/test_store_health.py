"""The health check of the stores: there when the environment asks for it, and true (auth 1.3)."""

import time
from typing import Any

import pytest

from common.auth import plugin
from common.auth.dynamo.entity_types import AUTH_ENTITY_TYPES
from common.auth.dynamo.health import StoresCheck
from common.auth.settings import StoreSettings
from common.core import App, Plugins, Settings
from common.core.health import CheckContext, Status
from common.dynamo import Database, hookspecs
from common.dynamo import plugin as data_layer
from common.dynamo.cost import metered
from common.dynamo.testing import Engine, FaultPlan, FaultRates, fresh_table_name
from common.exceptions import ConfigurationError


def settings(**variables: str) -> Settings:
    """Return settings with variables of ours."""
    environ = {f"COMMON_AUTH_{name}": value for name, value in {"PASSWORDS": "off", **variables}.items()}
    return Settings(service_name="orders", environ=environ)


def loaded(wanted: Settings) -> Plugins:
    """Return the plugins of common-auth and of the data layer."""
    plugins = Plugins(hookspecs=[hookspecs])
    plugins.register(plugin, name="common-auth")
    plugins.register(data_layer, name="common-dynamo")
    plugins.load(wanted, entry_points=False)
    return plugins


def outcome(check: Any, *, seconds: float = 5.0) -> tuple[Status, str]:
    """Run a check, and return its status and reason."""
    found = check.check(CheckContext(deadline=time.monotonic() + seconds))
    return found.status, found.reason


def checks(plugins: Plugins) -> list[StoresCheck]:
    """Return our checks of a table."""
    return [check for check in plugins.health_checks() if isinstance(check, StoresCheck)]


def test_the_environment_asks_for_the_check() -> None:
    """Else there is none: a service without sessions need not be allowed to read them."""
    assert [] == checks(loaded(settings()))
    assert 1 == len(checks(loaded(settings(STORES="table"))))
    with pytest.raises(ConfigurationError, match="COMMON_AUTH_STORES"):
        StoreSettings.of(settings(STORES="file"))


def test_a_database_of_the_service_is_found(engine: Engine) -> None:
    """By the plugins it is opened with, or by start-up; before, the check warns."""
    plugins = loaded(settings(STORES="table"))
    (check,) = checks(plugins)
    assert (Status.WARN, "not-connected") == outcome(check)

    with engine.open(table=fresh_table_name(), plugins=plugins) as db:
        assert (Status.PASS, "") == outcome(check)
    assert (Status.WARN, "not-connected") == outcome(check)

    with engine.open(table=fresh_table_name(), entity_types=AUTH_ENTITY_TYPES) as db:
        data_layer.common_startup(App(settings=settings(), plugins=plugins, provides=(db,)))
        with metered() as meter:
            assert (Status.PASS, "") == outcome(check)
        assert (0.5, 1) == (meter.cost.rcu, meter.cost.trips)


def test_a_table_that_does_not_answer_fails_the_check(faulty_database: Database, faults: FaultPlan) -> None:
    """Within the check's own time, by a code that shows nothing."""
    check = StoresCheck()
    check.attach(faulty_database)
    assert (Status.PASS, "") == outcome(check)
    faults.rates = FaultRates(refuse=1.0)

    assert (Status.FAIL, "unavailable") == outcome(check, seconds=0.05)
    assert not check.spec.critical


def test_a_table_that_is_missing_fails_the_check(engine: Engine) -> None:
    """The code of the engine says why."""
    check = StoresCheck()
    with Database.connect(table=fresh_table_name(), wire=engine.wire(), entity_types=AUTH_ENTITY_TYPES) as db:
        check.attach(db)

        assert (Status.FAIL, "refused") == outcome(check)
