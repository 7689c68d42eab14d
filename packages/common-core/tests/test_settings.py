"""Settings come from an environment once, typed, and show no value."""

import dataclasses
from collections.abc import Callable

import pytest

from common.core import Secret, Section, Settings
from common.exceptions import ConfigurationError

CANARY = "hunter2-canary"


def section(**variables: str) -> Section:
    """Return the section ``ACME_`` of an environment with these variables, given without the prefix."""
    return Settings.from_environment({f"ACME_{name}": value for name, value in variables.items()}).section("ACME_")


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    """A service starts without any variable, and nothing is laxer for it."""
    settings = Settings.from_environment({})

    assert Settings() == settings
    assert ("unknown_service", "", "production", "INFO") == (
        settings.service_name,
        settings.service_version,
        settings.environment,
        settings.log_level,
    )
    assert ((), None) == (settings.plugins_block, settings.plugins_only)


def test_each_variable_reaches_its_field() -> None:
    """White space around values and list entries does not count, nor does the case of a level."""
    settings = Settings.from_environment(
        {
            "COMMON_SERVICE_NAME": " orders ",
            "COMMON_SERVICE_VERSION": "1.4.0",
            "COMMON_ENVIRONMENT": "staging",
            "COMMON_LOG_LEVEL": "debug",
            "COMMON_PLUGINS_BLOCK": "a, b,",
            "COMMON_PLUGINS_ONLY": "c",
        }
    )

    assert ("orders", "1.4.0", "staging", "DEBUG") == (
        settings.service_name,
        settings.service_version,
        settings.environment,
        settings.log_level,
    )
    assert (("a", "b"), ("c",)) == (settings.plugins_block, settings.plugins_only)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the variables of the process count, as they are at that moment."""
    monkeypatch.setenv("COMMON_SERVICE_NAME", "orders")
    settings = Settings.from_environment()
    monkeypatch.setenv("COMMON_SERVICE_NAME", "changed")

    assert "orders" == settings.service_name
    assert "orders" == settings.section("COMMON_SERVICE_").text("NAME")


def test_settings_are_frozen() -> None:
    """Nobody changes settings for others: neither a field nor a raw variable."""
    environ = {"ACME_LIMIT": "3"}
    settings = Settings.from_environment(environ)
    environ["ACME_LIMIT"] = "4"

    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.service_name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.environ["ACME_LIMIT"] = "5"  # type: ignore[index]
    assert 3 == settings.section("ACME_").integer("LIMIT")
    assert isinstance(hash(settings), int)


def test_no_repr_shows_a_value() -> None:
    """Settings, sections and secrets can be logged whole."""
    settings = Settings.from_environment({"ACME_KEY": CANARY})
    section = settings.section("ACME_")
    secret = section.secret("KEY")

    for shown in (
        repr(settings),
        str(settings),
        repr(section),
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>9}",
    ):
        assert CANARY not in shown
    assert CANARY == secret.reveal()
    assert Secret(CANARY) == secret


@pytest.mark.parametrize(
    ("read", "raw", "value"),
    [
        pytest.param(lambda s: s.text("X"), "  two words ", "two words", id="text"),
        pytest.param(lambda s: s.flag("X"), "Yes", True, id="flag on"),
        pytest.param(lambda s: s.flag("X"), "off", False, id="flag off"),
        pytest.param(lambda s: s.integer("X", minimum=0, maximum=9), "9", 9, id="integer"),
        pytest.param(lambda s: s.number("X", minimum=0.0), "2.5", 2.5, id="number"),
        pytest.param(lambda s: s.choice("X", ["File", "none"]), "FILE", "File", id="choice"),
        pytest.param(lambda s: s.items("X"), "b, a,,b", ("b", "a", "b"), id="items"),
        pytest.param(lambda s: s.secret("X").reveal(), CANARY, CANARY, id="secret"),
    ],
)
def test_a_getter_reads_its_type(read: Callable[[Section], object], raw: str, value: object) -> None:
    """Each getter turns the text of a variable into a value of its type."""
    assert value == read(section(X=raw))


GETTERS = [
    pytest.param(lambda s, *default: s.text("X", *default), id="text"),
    pytest.param(lambda s, *default: s.secret("X", *default), id="secret"),
    pytest.param(lambda s, *default: s.flag("X", *default), id="flag"),
    pytest.param(lambda s, *default: s.integer("X", *default), id="integer"),
    pytest.param(lambda s, *default: s.number("X", *default), id="number"),
    pytest.param(lambda s, *default: s.choice("X", ["a"], *default), id="choice"),
    pytest.param(lambda s, *default: s.items("X", *default), id="items"),
]


@pytest.mark.parametrize("raw", [None, "", "  "])
@pytest.mark.parametrize("read", GETTERS)
def test_a_missing_variable_is_named_or_defaulted(read: Callable[..., object], raw: str | None) -> None:
    """A variable without text counts as not set; without a default the error names it whole."""
    acme = section() if raw is None else section(X=raw)

    assert read(acme, None) is None
    with pytest.raises(ConfigurationError, match=r"^ACME_X is not set"):
        read(acme)


@pytest.mark.parametrize(
    ("read", "what"),
    [
        pytest.param(lambda s: s.flag("X"), "is not one of 1, true", id="flag"),
        pytest.param(lambda s: s.integer("X"), "is not a whole number", id="integer"),
        pytest.param(lambda s: s.number("X"), "is not a finite number", id="number"),
        pytest.param(lambda s: s.choice("X", ["file", "none"]), "is not one of file, none", id="choice"),
    ],
)
def test_a_malformed_variable_is_named_without_its_value(read: Callable[[Section], object], what: str) -> None:
    """The value may be a secret that was put into the wrong variable."""
    with pytest.raises(ConfigurationError) as caught:
        read(section(X=CANARY))

    assert f"ACME_X {what}" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("raw", "what"),
    [("-1", "is below 0"), ("11", "is above 10"), ("nan", "not a"), ("inf", "not a"), ("1_000_000", "is above")],
)
def test_bounds_are_part_of_the_message(raw: str, what: str) -> None:
    """A number out of bounds is told which bound it crossed; what is no number is never compared."""
    for read in (section(X=raw).integer, section(X=raw).number):
        with pytest.raises(ConfigurationError, match=what):
            read("X", minimum=0, maximum=10)


def test_a_wrong_log_level_is_named() -> None:
    """The family's own variables are checked when settings are made."""
    with pytest.raises(ConfigurationError, match="COMMON_LOG_LEVEL is not one of DEBUG, INFO"):
        Settings.from_environment({"COMMON_LOG_LEVEL": "loud"})


def test_a_section_lists_its_own_names_only() -> None:
    """Names come sorted, without the prefix, and without those that are empty."""
    settings = Settings.from_environment({"ACME_B": "1", "ACME_A": "2", "ACME_C": " ", "OTHER_D": "4"})
    acme = settings.section("ACME_")

    assert ("A", "B") == acme.names()
    assert acme.has("A")
    assert not acme.has("C")
    assert not acme.has("D")


@pytest.mark.parametrize("prefix", ["", "_", "ACME"])
def test_a_section_is_never_the_whole_environment(prefix: str) -> None:
    """A prefix ends in an underscore, so that ACME never reads ACMES_."""
    with pytest.raises(ConfigurationError, match="no prefix"):
        Settings().section(prefix)
