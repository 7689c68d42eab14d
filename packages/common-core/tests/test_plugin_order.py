"""Plugins load, and their results stand, in one order."""

import itertools
from importlib import metadata

import pytest

from common.core import Plugins, hookimpl
from common.core.health import CheckContext, CheckSpec, Outcome
from common.core.passwords import VerifyResult
from common.core.testing import InstalledDists, bare_plugins, make_plugin

CHECK = """
from common.core import hookimpl
from common.core.health import CheckSpec, Outcome

class Check:
    spec = CheckSpec({name!r})
    def check(self, ctx): return Outcome()

@hookimpl{options}
def common_health_checks():
    return [Check()]
"""


class Check:
    """A health check that passes."""

    def __init__(self, name: str) -> None:
        self.spec = CheckSpec(name)

    def check(self, _ctx: CheckContext, /) -> Outcome:
        return Outcome()


class Hasher:
    """A password hasher for tests that store nothing."""

    def hash(self, password: str, /) -> str:
        return password[::-1]

    def verify(self, password: str, stored: str | None, /) -> VerifyResult:
        return VerifyResult(stored == self.hash(password))


def names(plugins: Plugins) -> list[str]:
    """Return the names of the checks, in order."""
    return [check.spec.name for check in plugins.health_checks()]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_order_does_not_depend_on_the_disk(
    installed_dists: InstalledDists, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    """However the metadata of installed distributions is come upon, plugins stand by distribution and name."""
    for dist in ("zebra", "ant", "bee"):
        installed_dists.add(
            dist,
            plugins={f"b-{dist}": f"b_{dist}", f"a-{dist}": f"a_{dist}"},
            modules={f"{x}_{dist}": CHECK.format(name=f"{x}-{dist}", options="") for x in "ab"},
        )
    found = list(metadata.distributions(path=[str(installed_dists.folder)]))
    shuffled = [found[index] for index in order] + [
        dist for dist in metadata.distributions() if dist.metadata["Name"] == "common-core"
    ]
    monkeypatch.setattr(metadata, "distributions", lambda **_: iter(shuffled))
    plugins = installed_dists.load()

    assert ["a-ant", "b-ant", "a-bee", "b-bee", "a-zebra", "b-zebra"] == names(plugins)
    assert "common-core" == plugins.listing()[0].name


def test_the_family_loads_before_strangers(installed_dists: InstalledDists) -> None:
    """A stranger's name that sorts early does not come before the family's own plugins."""
    installed_dists.add("aaa", plugins={"aaa": "aaa_plugin"}, modules={"aaa_plugin": ""})
    listed = [listing.name for listing in installed_dists.load().listing()]

    assert listed.index("common-core") < listed.index("aaa")


def test_tryfirst_and_trylast_are_honoured(installed_dists: InstalledDists) -> None:
    """A plugin may ask to stand first or last; several that ask keep the common order among themselves."""
    wishes = {
        "ant": "(trylast=True)",
        "bee": "",
        "cat": "(tryfirst=True)",
        "dog": "(trylast=True)",
        "elk": "(tryfirst=True)",
    }
    for dist, options in wishes.items():
        source = CHECK.format(name=dist, options=options)
        installed_dists.add(dist, plugins={dist: f"{dist}_plugin"}, modules={f"{dist}_plugin": source})

    assert ["cat", "elk", "bee", "ant", "dog"] == names(installed_dists.load())


def test_plugins_registered_in_code_come_last() -> None:
    """They keep the order of their registration."""
    plugins = bare_plugins(*(make_plugin(common_health_checks=lambda name=name: [Check(name)]) for name in ("b", "a")))
    plugins.register(make_plugin(common_health_checks=lambda: [Check("0")]), name="late")

    assert ["b", "a", "0"] == names(plugins)


def test_one_plugin_may_implement_a_hook_twice() -> None:
    """With ``specname`` two functions of one module serve one hook, each at the place it asks for."""

    class Pair:
        @hookimpl(specname="common_health_checks", trylast=True)
        def slow_checks(self) -> list[Check]:
            return [Check("slow")]

        @hookimpl
        def common_health_checks(self) -> list[Check]:
            return [Check("fast")]

    assert ["fast", "slow"] == names(bare_plugins(Pair()))


def test_a_strangers_hasher_goes_before_the_familys_own(installed_dists: InstalledDists) -> None:
    """A service replaces the family's password hasher by installing another one; nothing is blocked for it."""
    source = (
        "from common.core import hookimpl\n"
        "class Hasher:\n"
        "    origin = {name!r}\n"
        "    def hash(self, password): return password\n"
        "    def verify(self, password, stored): return None\n"
        "@hookimpl\n"
        "def common_password_hasher(): return Hasher()\n"
    )
    installed_dists.add(
        "common-auth", version="9", plugins={"family-auth": "own"}, modules={"own": source.format(name="own")}
    )
    own = installed_dists.load().password_hasher()
    installed_dists.forget()
    installed_dists.add("zebra", plugins={"zebra": "other"}, modules={"other": source.format(name="other")})
    plugins = installed_dists.load()

    assert "own" == getattr(own, "origin", None)
    assert "other" == getattr(plugins.password_hasher(), "origin", None)
    assert ["zebra"] == [contribution.plugin for contribution in plugins.contributions("common_password_hasher")]


def test_none_leaves_hashing_to_another_plugin() -> None:
    """A plugin may decide by the settings that it has no hasher to give."""
    hasher = Hasher()
    gives, declines = (
        make_plugin(common_password_hasher=lambda: hasher),
        make_plugin(common_password_hasher=lambda: None),
    )

    assert bare_plugins(declines, gives).password_hasher() is hasher
    assert bare_plugins(declines).password_hasher() is None
