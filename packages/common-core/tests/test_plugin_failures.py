"""Every failure of a plugin is named; none hides another."""

import logging
from collections.abc import Callable
from types import ModuleType

import pytest

from common.core import Claim, CliCommand, HookRule, Plugins, PluginState, Settings, Shape, hookimpl, hookspec
from common.core.health import CheckContext, CheckSpec, Outcome
from common.core.testing import InstalledDists, RecordingSink, bare_plugins, make_plugin
from common.exceptions import ConfigurationError, PluginFailure, PluginLoadError

HEAD = "from common.core import hookimpl, CliCommand\nfrom common.core.testing import RecordingSink\n"
GOOD = HEAD + "@hookimpl\ndef common_audit_sinks(): return [RecordingSink('good')]\n"


class Check:
    """A health check that passes."""

    def __init__(self, name: str) -> None:
        self.spec = CheckSpec(name)

    def check(self, _ctx: CheckContext, /) -> Outcome:
        return Outcome()


class Hasher:
    """Enough of a password hasher to be accepted."""

    def hash(self, password: str, /) -> str:
        return password

    def verify(self, password: str, stored: str | None, /) -> bool:
        return password == stored


def install(dists: InstalledDists, **sources: str) -> None:
    """Install one distribution per module source; distribution, plugin and keyword have one name."""
    for name, source in sources.items():
        dists.add(name, plugins={name: f"{name}_plugin"}, modules={f"{name}_plugin": source})


def failures_of(load: Callable[[], object]) -> tuple[PluginFailure, ...]:
    """Return the failures of a load that must fail."""
    with pytest.raises(PluginLoadError) as caught:
        load()
    return caught.value.failures


def cause_of(*plugins: object, hookspecs: tuple[ModuleType, ...] = ()) -> str:
    """Return the one cause why these plugins do not load."""
    (failure,) = failures_of(lambda: bare_plugins(*plugins, hookspecs=hookspecs))
    return failure.cause


@pytest.mark.parametrize("on_error", ["warn", "function"])
def test_a_raising_plugin_is_named_and_stops_no_other(
    installed_dists: InstalledDists, caplog: pytest.LogCaptureFixture, on_error: str
) -> None:
    """Plugin, distribution, version, hook and cause are named; the plugin goes, the others stay."""
    install(
        installed_dists,
        ant=HEAD + "@hookimpl\ndef common_audit_sinks(): raise OSError('no disk')\n",
        bee=GOOD,
        cat=HEAD + "@hookimpl\ndef common_audit_sinks():\n    yield RecordingSink('half')\n    raise OSError('late')\n",
    )
    reported: list[PluginLoadError] = []
    plugins = installed_dists.load(on_error="warn" if on_error == "warn" else reported.append)
    first, second = plugins.failures

    assert ["good"] == [sink.name for sink in plugins.audit_sinks()]
    assert ("ant", "ant", "1.0.0", "common_audit_sinks") == (first.plugin, first.dist, first.version, first.hook)
    assert ("OSError: no disk", "OSError: late") == (first.cause, second.cause)
    assert isinstance(first.error, OSError)
    assert first.error.__traceback__ is not None
    text = str(reported[0]) if reported else "\n".join(record.getMessage() for record in caplog.records)
    assert "ant (ant 1.0.0, hook common_audit_sinks): OSError: no disk" in text
    assert "cat (cat 1.0.0, hook common_audit_sinks): OSError: late" in text


def test_all_failures_come_in_one_error(installed_dists: InstalledDists) -> None:
    """The operator repairs everything at once, or copies the way past it from the last line."""
    install(installed_dists, ant="import nowhere_to_be_found", bee=GOOD, cat=GOOD, dog="raise SystemExit(3)")
    settings = Settings(plugins_block=("elk",))
    with pytest.raises(PluginLoadError) as caught:
        installed_dists.load(settings)
    lines = str(caught.value).splitlines()

    assert ["ant", "cat", "dog"] == sorted(failure.plugin for failure in caught.value.failures)
    assert "3 plugin failures:" == lines[0]
    assert 5 == len(lines)
    blocked = lines[-1].partition("COMMON_PLUGINS_BLOCK=")[2].split(",")
    assert {"elk", "ant", "cat", "dog"} <= set(blocked)
    remedied = Settings.from_environment({"COMMON_PLUGINS_BLOCK": ",".join(blocked)})
    assert ["good"] == [sink.name for sink in installed_dists.load(remedied).audit_sinks()]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        pytest.param("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'", id="missing module"),
        pytest.param("raise SystemExit(3)", "SystemExit: 3", id="exit at import"),
        pytest.param("class Panic(BaseException): ...\nraise Panic('rust')", "Panic: rust", id="panic at import"),
        pytest.param("def f(:", "SyntaxError", id="syntax"),
        pytest.param(
            HEAD + "@hookimpl\ndef common_audit_sinks(setings): ...\n",
            "it takes setings; the hook gives settings",
            id="signature",
        ),
        pytest.param(HEAD + "@hookimpl\ndef common_audit_sink(): ...\n", "did you mean common_audit_sinks?", id="slip"),
        pytest.param(
            HEAD + "@hookimpl\nclass common_audit_sinks: ...\n", "no function marked with @hookimpl", id="class as hook"
        ),
        pytest.param("def common_audit_sinks(): return []\n", "no function marked with @hookimpl", id="no marker"),
        pytest.param(
            HEAD + "@hookimpl(wrapper=True)\ndef common_audit_sinks(): return (yield)\n",
            "wrappers are refused",
            id="wrapper",
        ),
        pytest.param(
            HEAD + "@hookimpl(hookwrapper=True)\ndef common_audit_sinks(): yield\n",
            "wrappers are refused",
            id="old wrapper",
        ),
        pytest.param(HEAD + "@hookimpl\nasync def common_audit_sinks(): return []\n", "it is async", id="async"),
        pytest.param(HEAD + "@hookimpl\ndef common_startup(app): yield\n", "would never run", id="generator start-up"),
        pytest.param(HEAD + "@hookimpl\ndef common_audit_sinks(): exit(1)\n", "SystemExit: 1", id="exit in the hook"),
    ],
)
def test_a_broken_module_is_a_failure_with_its_cause(installed_dists: InstalledDists, source: str, cause: str) -> None:
    """Whatever is wrong with a plugin's module ends in one line that says so."""
    install(installed_dists, ant=source)
    (failure,) = failures_of(installed_dists.load)

    assert "ant" == failure.plugin
    assert cause in failure.cause
    assert "\n" not in failure.cause


@pytest.mark.parametrize(
    ("hook", "result", "cause"),
    [
        pytest.param("common_health_checks", None, "returned None; return an iterable", id="forgotten return"),
        pytest.param("common_health_checks", 7, "returned an int where an iterable is wanted", id="no iterable"),
        pytest.param("common_health_checks", "ab", "returned a str where an iterable is wanted", id="text"),
        pytest.param("common_health_checks", {}, "returned a dict where an iterable is wanted", id="mapping"),
        pytest.param("common_health_checks", [7], "gave an int where a HealthCheck", id="wrong item"),
        pytest.param("common_health_checks", [Check], "gave the class Check, not an object of it", id="class"),
        pytest.param("common_audit_sinks", [Check("a")], "gave a Check where an AuditSink", id="check as sink"),
        pytest.param("common_audit_sinks", [RecordingSink("")], "gave a RecordingSink where", id="sink without name"),
        pytest.param("common_password_hasher", 7, "returned an int where a PasswordHasher", id="hasher"),
        pytest.param("common_password_hasher", [Hasher()], "returned a list where a PasswordHasher", id="hashers"),
        pytest.param("common_cli_commands", ["run"], "gave a str where a CliCommand is wanted", id="command"),
    ],
)
def test_a_wrong_result_is_a_failure(hook: str, result: object, cause: str) -> None:
    """A hook that returns what nobody can use fails at start-up, not in the first request."""
    assert cause in cause_of(make_plugin(**{hook: lambda: result}))


def test_a_coroutine_is_a_wrong_result_and_leaves_no_warning() -> None:
    """A hook that hands on a coroutine fails; the coroutine is closed, so that Python warns of nothing later."""

    async def checks() -> list[Check]:
        return []

    assert "returned a coroutine" in cause_of(make_plugin(common_health_checks=lambda: checks()))


def test_an_object_that_raises_while_it_is_looked_at_is_a_failure() -> None:
    """A property that raises on the returned object is the plugin's failure too."""

    class Hostile:
        @property
        def spec(self) -> CheckSpec:
            raise OSError("trap")

        def check(self, _ctx: CheckContext, /) -> None: ...

    class Mute(Exception):
        def __str__(self) -> str:
            raise OSError("trap")

    def raises() -> None:
        raise Mute

    assert "gave a Hostile, which raised" in cause_of(make_plugin(common_health_checks=lambda: [Hostile()]))
    assert "Mute" == cause_of(make_plugin(common_health_checks=raises))


def test_claims_that_cannot_be_read_are_a_failure() -> None:
    """A rule may refuse an object while it reads its names; the plugin is named with the reason."""

    def refuse(value: object) -> list[Claim]:
        raise ConfigurationError(f"{value} has no initial")

    rule: HookRule[object] = HookRule("common_greetings", wants="any", accepts=lambda value: True, claims=refuse)
    cause = cause_of(make_plugin(common_greetings=lambda: ["hello"]), hookspecs=(hooks_module(common_greetings=rule),))

    assert "ConfigurationError: hello has no initial" == cause


@pytest.mark.parametrize(
    "where", ["raise KeyboardInterrupt", HEAD + "@hookimpl\ndef common_audit_sinks(): raise KeyboardInterrupt\n"]
)
def test_an_interrupt_is_nobodys_failure(installed_dists: InstalledDists, where: str) -> None:
    """Ctrl-C while plugins load ends loading at once; it is not blamed on the plugin at hand."""
    install(installed_dists, ant=where)

    with pytest.raises(KeyboardInterrupt):
        installed_dists.load()


def test_a_long_cause_is_cut() -> None:
    """One line stays readable, however much an exception has to say; the exception itself is kept whole."""

    def complain() -> None:
        raise ValueError("no " * 1000)

    (failure,) = failures_of(lambda: bare_plugins(make_plugin(common_health_checks=complain)))

    assert len(failure.cause) < 600
    assert failure.cause.endswith("…")
    assert 3000 == len(str(failure.error))


def test_a_class_is_no_plugin() -> None:
    """An entry point that names a class instead of an object is told so, not met with a missing ``self``."""

    class Forgotten:
        @hookimpl
        def common_health_checks(self) -> list[Check]:
            return []

    assert "it is the class" in cause_of(Forgotten)
    assert () == bare_plugins(Forgotten()).health_checks()


def test_a_hook_of_an_absent_part_must_be_optional() -> None:
    """A plugin that also serves common-dynamo says so; else the error names the missing part and how to go on."""

    class Extra:
        @hookimpl(optionalhook=True)
        def common_entity_types(self) -> list[object]:
            raise AssertionError

    cause = cause_of(make_plugin(common_entity_types=lambda: ()))

    assert "its owner common-dynamo is not loaded" in cause
    assert "optionalhook=True" in cause
    assert () == bare_plugins(Extra()).entity_types()


# Names that only one plugin may give: one test per row of the hook table that core owns


def duplicate_of(hook: str, make: Callable[[], object]) -> str:
    """Return the cause when two plugins contribute what *make* makes."""
    return cause_of(make_plugin(**{hook: make}), make_plugin(**{hook: make}))


def test_two_health_checks_of_one_name_name_both_plugins() -> None:
    """Nobody could tell which of the two failed."""
    cause = duplicate_of("common_health_checks", lambda: [Check("disk")])

    assert "health check 'disk' is already given by plugin-1 (registered in code)" == cause


def test_two_audit_sinks_of_one_name_name_both_plugins() -> None:
    """Counters and log records of the two would be one."""
    cause = duplicate_of("common_audit_sinks", lambda: [RecordingSink("file")])

    assert "audit sink 'file' is already given by plugin-1 (registered in code)" == cause


def test_two_commands_of_one_name_name_both_plugins() -> None:
    """One of the two could never be called."""
    cause = duplicate_of("common_cli_commands", lambda: [CliCommand("greet", "Greet.")])

    assert "command 'greet' is already given by plugin-1 (registered in code)" == cause


def test_two_hashers_from_outside_the_family_name_both_plugins() -> None:
    """Which of the two hashes passwords must not depend on a sort order."""
    cause = duplicate_of("common_password_hasher", lambda: Hasher())

    assert "password hasher is already given by plugin-1 (registered in code)" == cause


def test_two_plugins_of_one_name_name_both_dists(installed_dists: InstalledDists) -> None:
    """The block list goes by plugin name; two of one name are an error that names both distributions."""
    for dist in ("ant", "bee"):
        installed_dists.add(dist, plugins={"same": f"{dist}_plugin"}, modules={f"{dist}_plugin": ""})
    (failure,) = failures_of(installed_dists.load)

    assert "bee" == failure.dist
    assert "the plugin name 'same' is already taken by same (ant 1.0.0)" == failure.cause


def test_one_object_under_two_names_is_refused() -> None:
    """The same module registered twice would contribute everything twice."""
    twice = make_plugin(common_health_checks=lambda: ())

    assert "already registered" in cause_of(twice, twice)


def test_a_name_given_twice_by_one_plugin_is_a_failure_of_its_own() -> None:
    """The message does not accuse another plugin."""
    assert "health check 'disk' is given twice" == cause_of(
        make_plugin(common_health_checks=lambda: [Check("disk"), Check("disk")])
    )


def test_a_plugin_that_failed_holds_no_name() -> None:
    """What a broken plugin claimed is free for the next one."""
    broken = make_plugin(common_health_checks=lambda: [Check("disk")], common_audit_sinks=lambda: 7)
    good = make_plugin(common_health_checks=lambda: [Check("disk")])
    plugins = Plugins()
    plugins.register(broken, name="broken")
    plugins.register(good, name="good")
    plugins.load(Settings(), entry_points=False, on_error=lambda error: None)

    assert ["good"] == [contribution.plugin for contribution in plugins.contributions("common_health_checks")]
    assert ["broken"] == [failure.plugin for failure in plugins.failures]


# Hooks of other distributions


def hooks_module(**rules: HookRule[object]) -> ModuleType:
    """Return a module that specifies one hook per rule, and another distribution could bring."""
    module = ModuleType("other_hookspecs")

    def of_settings(settings: Settings) -> None: ...
    def of_subject(subject: object) -> None: ...

    for name, rule in rules.items():
        setattr(module, name, hookspec(of_subject if rule.shape is Shape.BOUND else of_settings))
    module.RULES = tuple(rules.values())  # type: ignore[attr-defined]
    return module


GREETINGS: HookRule[object] = HookRule(
    "common_greetings",
    wants="a greeting (str)",
    accepts=lambda value: isinstance(value, str),
    claims=lambda value: (Claim("greeting", str(value)), Claim("initial", str(value)[:1])),
)
LABELS: HookRule[dict[str, str]] = HookRule(
    "common_labels",
    wants="labels (a mapping)",
    accepts=lambda value: True,
    shape=Shape.MAPPING,
    claims=lambda labels: [Claim("label", key, value) for key, value in labels.items()],
)


def test_another_distribution_brings_its_own_rule() -> None:
    """Type check and unique names of a hook are declared by its owner; core knows none of its types."""
    module = hooks_module(common_greetings=GREETINGS)
    plugins = bare_plugins(make_plugin(common_greetings=lambda: ["hello"]), hookspecs=[module])

    assert ("hello",) == plugins.results(GREETINGS)
    assert "gave an int where a greeting (str) is wanted" == cause_of(
        make_plugin(common_greetings=lambda: [7]), hookspecs=(module,)
    )
    assert "initial 'h' is already given by plugin-1 (registered in code)" == cause_of(
        make_plugin(common_greetings=lambda: ["hello"]),
        make_plugin(common_greetings=lambda: ["hi"]),
        hookspecs=(module,),
    )


def test_two_plugins_may_agree_and_not_differ_on_a_key() -> None:
    """Equal values merge; different ones fail and name both, without showing a value."""
    module = hooks_module(common_labels=LABELS)  # type: ignore[arg-type]
    one, same = (make_plugin(common_labels=lambda: {"team": "red"}) for _ in range(2))
    other = make_plugin(common_labels=lambda: {"team": "blue"})
    cause = cause_of(one, other, hookspecs=(module,))

    assert 2 == len(bare_plugins(one, same, hookspecs=[module]).results(LABELS))
    assert "label 'team' is already given with another value by plugin-1 (registered in code)" == cause


def test_a_bound_hook_is_a_plain_function_later() -> None:
    """Implementations of a hook that runs per request are collected unrun, and called with what they name."""
    rule: HookRule[Callable[[str], object]] = HookRule(
        "common_claims", wants="a function", accepts=callable, shape=Shape.BOUND
    )
    module = hooks_module(common_claims=rule)  # type: ignore[arg-type]
    takes, ignores = (
        make_plugin(common_claims=lambda subject: {"for": subject}),
        make_plugin(common_claims=lambda: {"for": None}),
    )
    first, second = bare_plugins(takes, ignores, hookspecs=[module]).results(rule)

    assert {"for": "u-1"} == first("u-1")
    assert {"for": None} == second("u-1")


def test_a_hook_without_rule_is_refused() -> None:
    """A specification whose results nobody checks is a mistake of the family's own, found at once."""
    module = hooks_module(common_greetings=GREETINGS)
    module.RULES = ()  # type: ignore[attr-defined]

    with pytest.raises(ConfigurationError, match="common_greetings has no HookRule"):
        Plugins(hookspecs=[module])


def test_a_stranger_may_not_bring_hooks(installed_dists: InstalledDists) -> None:
    """The group ``common.hookspecs`` is the family's own; a stranger in it is refused, unimported, and can be blocked."""
    installed_dists.add("ant", hookspecs={"ant": "ant_hooks"}, modules={"ant_hooks": "raise SystemExit(3)"})
    (failure,) = failures_of(installed_dists.load)
    plugins = installed_dists.load(Settings(plugins_block=("ant",)))

    assert "the group common.hookspecs is the family's own; a plugin belongs in common.plugins" == failure.cause
    assert [PluginState.BLOCKED] == [listing.state for listing in plugins.listing() if listing.name == "ant"]


def test_broken_hooks_of_a_part_are_its_failure_alone(installed_dists: InstalledDists) -> None:
    """Where a part's own hooks do not load, plugins that implement them are not accused as well."""
    source = HEAD + "@hookimpl\ndef common_token_claims(): return {}\n"
    installed_dists.add("common-auth", version="9.9", plugins={"family": "nowhere"}, hookspecs={"family": "nowhere"})
    install(installed_dists, ant=source)
    (failure,) = failures_of(installed_dists.load)

    assert ("family", "common-auth") == (failure.plugin, failure.dist)


def test_failures_are_logged_below_one_logger(
    installed_dists: InstalledDists, caplog: pytest.LogCaptureFixture
) -> None:
    """With ``on_error="warn"`` one record of ``common.core.plugins`` says what the error would have said."""
    install(installed_dists, ant="import nowhere_to_be_found")
    plugins = installed_dists.load(on_error="warn")
    records = [record for record in caplog.records if "nowhere_to_be_found" in record.getMessage()]

    assert [("common.core.plugins", logging.WARNING)] == [(record.name, record.levelno) for record in records]
    assert plugins.loaded
    assert [PluginState.FAILED] == [listing.state for listing in plugins.listing() if listing.name == "ant"]
