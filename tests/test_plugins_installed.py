"""Plugins as operators meet them: real wheels, built and installed into real environments."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

PROBES = Path(__file__).parent / "probes"

PYPROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.3.{number}"
requires-python = ">=3.11"
dependencies = ["common-core~=1.0"]

[project.entry-points."{group}"]
{name} = "{module}"
"""

SOURCES = {
    "broken-import": "import nowhere_to_be_found\n",
    "broken-signature": "from common.core import hookimpl\n@hookimpl\ndef common_audit_sinks(preferences): return []\n",
    "broken-hook": "from common.core import hookimpl\n@hookimpl\ndef common_audit_sinks(): raise OSError('no disk')\n",
    "good-plugin": (
        "from common.core import hookimpl\n"
        "class Sink:\n"
        "    name, durable = 'good', False\n"
        "    def write(self, record): ...\n"
        "    def flush(self): ...\n"
        "    def close(self): ...\n"
        "@hookimpl\n"
        "def common_audit_sinks(settings): return [Sink()]\n"
    ),
    "stranger": "raise SystemExit('a stranger in common.hookspecs was imported')\n",
}
STRANGERS = tuple(SOURCES)

CAUSES = {
    "broken-import": "broken-import (broken-import 0.3.0): ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    "broken-signature": (
        "broken-signature (broken-signature 0.3.1, hook common_audit_sinks): it takes preferences; the hook gives settings"
    ),
    "broken-hook": "broken-hook (broken-hook 0.3.2, hook common_audit_sinks): OSError: no disk",
    "stranger": (
        "stranger (stranger 0.3.4): the group common.hookspecs is the family's own; a plugin belongs in common.plugins"
    ),
}


@pytest.fixture(scope="session")
def stranger_wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A wheel of each distribution above, built once."""
    folder = tmp_path_factory.mktemp("strangers")
    builds = []
    for number, (name, source) in enumerate(SOURCES.items()):
        project, module = folder / name, name.replace("-", "_")
        group = "common.hookspecs" if name == "stranger" else "common.plugins"
        (project / module).mkdir(parents=True)
        (project / "pyproject.toml").write_text(PYPROJECT.format(name=name, number=number, group=group, module=module))
        (project / module / "__init__.py").write_text(source)
        builds.append(subprocess.Popen(["uv", "build", "--quiet", "--wheel", "--out-dir", folder, project], cwd=folder))
    assert {0} == {build.wait() for build in builds}
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in SOURCES}


class Environment:
    """A virtual environment with wheels installed in it, nothing from the tree and nothing from this interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, *wheels: Path) -> None:
        """Create it; third parties come in the versions that this environment has, for the sake of uv's cache."""
        constraints = self.folder.with_suffix(".txt")
        known = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in known.items() if "+" not in version))
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, self.folder], check=True)
        into: list[str | Path] = ["--python", self.folder, "--constraint", constraints]
        command = ["uv", "pip", "install", "--quiet", "--no-config", *into, *wheels]
        subprocess.run(command, check=True, cwd=self.folder)

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment; of the variables of this process, those of the family are left out."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("COMMON_", "PYTHON"))}
        program, *arguments = command
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            env=environ | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def probe(self, name: str, *arguments: str, **variables: str) -> dict[str, Any]:
        """Run a probe and return what it reports."""
        result = self.run("python", "-P", PROBES / f"{name}.py", *arguments, **variables)
        assert 0 == result.returncode, result.stderr
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer


@pytest.fixture(scope="session")
def everything(
    tmp_path_factory: pytest.TempPathFactory, wheels: Mapping[str, Path], stranger_wheels: Mapping[str, Path]
) -> Environment:
    """The family, acme-plugin, and every stranger above."""
    environment = Environment(tmp_path_factory.mktemp("everything") / "environment")
    environment.install(*wheels.values(), *stranger_wheels.values())
    return environment


TWIN = """
import os
from pydantic import BaseModel
from common.core import hookimpl
from common.dynamo import EntityType, Index, Key

class Twin(BaseModel):
    tenant: str
    number: int
    state: str = "open"

SAFE = {"name": "twin", "key": Key("TWIN#{tenant}", "N#{number:10}")}
CLASHES = {
    "nothing": {},
    "name": {"name": "acme-invoice"},
    "key": {"key": Key("ACMEINV#{tenant}", "N#{number:10}")},
    "prefix": {"key": Key("ACMEINV#{tenant}", "{state}#{number:10}")},
    "slot": {"indexes": [Index("GSI1", Key("TWIN#{tenant}", "{number:10}"), "KEYS_ONLY")]},
}

@hookimpl(optionalhook=True)
def common_entity_types():
    return [EntityType(Twin, **(SAFE | CLASHES[os.environ["TWIN_CLASH"]]))]
"""


@pytest.fixture(scope="session")
def acme_and_twin(tmp_path_factory: pytest.TempPathFactory, wheels: Mapping[str, Path]) -> Environment:
    """The family's data layer, acme-plugin, and a second stranger whose entity type clashes as it is told to."""
    folder = tmp_path_factory.mktemp("acme-and-twin")
    project = folder / "acme-twin"
    (project / "acme_twin").mkdir(parents=True)
    content = PYPROJECT.format(name="acme-twin", number=9, group="common.plugins", module="acme_twin")
    (project / "pyproject.toml").write_text(content)
    (project / "acme_twin" / "__init__.py").write_text(TWIN)
    subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", folder, project], check=True, cwd=folder)
    environment = Environment(folder / "environment")
    environment.install(
        wheels["common-core"], wheels["common-dynamo"], wheels["acme-plugin"], next(folder.glob("acme_twin-*.whl"))
    )
    return environment


@pytest.fixture(scope="session")
def core_and_acme(tmp_path_factory: pytest.TempPathFactory, wheels: Mapping[str, Path]) -> Environment:
    """common-core and acme-plugin alone."""
    environment = Environment(tmp_path_factory.mktemp("core-and-acme") / "environment")
    environment.install(wheels["common-core"], wheels["acme-plugin"])
    return environment


def block(*names: str) -> dict[str, str]:
    """Return the variable that blocks *names*."""
    return {"COMMON_PLUGINS_BLOCK": ",".join(names)}


def test_built_ins_are_ordinary_plugins(everything: Environment, dists: tuple[str, ...]) -> None:
    """The family's entity types, checks, commands and hasher arrive by the hooks and entry points of everybody."""
    report = everything.probe("load_plugins", **block(*STRANGERS))

    assert "" == report["error"]
    assert dict.fromkeys(dists, "loaded").items() <= report["states"].items()
    assert "common-dynamo" in report["given"]["common_entity_types"]
    assert ["common-auth"] == report["given"]["common_password_hasher"]
    assert {"common-core", "common-dynamo"} <= set(report["given"]["common_cli_commands"])
    assert "common-dynamo" in report["given"]["common_health_checks"]


def test_a_built_in_is_blocked_like_any_other(everything: Environment) -> None:
    """Without common-auth's plugin there is no hasher, and everything else is as it was."""
    report = everything.probe("load_plugins", **block(*STRANGERS, "common-auth"))

    assert ("", "blocked") == (report["error"], report["states"]["common-auth"])
    assert [] == report["given"]["common_password_hasher"]
    assert "common-dynamo" in report["given"]["common_entity_types"]


def test_no_wheel_brings_a_pytest_plugin(wheels: Mapping[str, Path]) -> None:
    """Test kits are switched on by name: installing a part changes nobody's test run."""
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            (entry_points,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
            text = archive.read(entry_points).decode()

        assert "[common.plugins]" in text
        assert "pytest11" not in text


@pytest.mark.parametrize("name", CAUSES)
def test_a_broken_wheel_is_named_with_its_cause(everything: Environment, name: str) -> None:
    """Import error, wrong signature, raising hook, stranger among the hooks: plugin, dist, version, hook and cause."""
    report = everything.probe("load_plugins", **block(*(other for other in STRANGERS if other != name)))
    first, failure, *_ = report["error"].splitlines()

    assert "1 plugin failure:" == first
    assert CAUSES[name] == failure.strip()
    assert "failed" == report["states"][name]


def test_all_broken_wheels_are_named_in_one_error(everything: Environment) -> None:
    """Four broken at once and a good one beside them: one error, and its last line is the way past it."""
    report = everything.probe("load_plugins")
    first, *failures, last = report["error"].splitlines()
    remedied = everything.probe("load_plugins", **block(*last.partition("COMMON_PLUGINS_BLOCK=")[2].split(",")))

    assert "4 plugin failures:" == first
    assert sorted(CAUSES.values()) == sorted(failure.strip() for failure in failures)
    assert "" == remedied["error"]
    assert "good-plugin" in remedied["given"]["common_audit_sinks"]


def test_with_warnings_the_good_ones_load(everything: Environment) -> None:
    """``on_error="warn"`` goes on without the broken ones, and nothing else is lost."""
    strict = everything.probe("load_plugins", **block(*CAUSES))
    warned = everything.probe("load_plugins", "warn")

    assert "" == warned["error"]
    assert strict["given"] == warned["given"]
    assert dict.fromkeys(CAUSES, "failed").items() <= warned["states"].items()


def test_acme_is_found_called_listed_and_blocked(everything: Environment) -> None:
    """A stranger's distribution contributes a sink, a check and an entity type by being installed."""
    loaded = everything.probe("load_plugins", **block(*STRANGERS))
    blocked = everything.probe("load_plugins", **block(*STRANGERS, "acme-plugin"))
    hooks = ("common_audit_sinks", "common_health_checks", "common_entity_types")

    assert ("loaded", "acme-plugin 1.0.0") == (loaded["states"]["acme-plugin"], loaded["dists"]["acme-plugin"])
    assert all("acme-plugin" in loaded["given"][hook] for hook in hooks)
    assert "blocked" == blocked["states"]["acme-plugin"]
    assert not any("acme-plugin" in given for given in blocked["given"].values())


def test_acmes_entity_type_gets_a_full_dao(everything: Environment) -> None:
    """Every verb, every rule, pages, capacity, spans, tables, policy and stream, without a line in the data layer."""
    assert {
        "written": {
            "total": "12.50",
            "versions": [1, 2, 1, 1],
            "refusals": {"again": "AlreadyExists", "unique": "UniqueViolation", "stale": "VersionConflict"},
            "gone": True,
        },
        "told": {"indexes": ["GSI1", "GSI2", "GSI9"], "exported": True, "policy": True, "streamed": [1, 2, 3, 5]},
        "read": {"state": "paid", "cost": [1.0, 1], "pages": [[1], [3]], "before": [1, 2, 3], "after": [1, 3]},
        "spans": [
            "Database.transaction",
            *(f"Invoice.{verb}" for verb in ("create", "delete", "get", "put", "query", "require", "update", "upsert")),
        ],
    } == everything.probe("acme_invoice", **block(*STRANGERS))


def test_acmes_entity_type_is_in_the_listings_of_the_command(everything: Environment) -> None:
    """With its keys and the distribution that brought it; in what its calls cost, its table and its policy too."""
    entities = json.loads(everything.run("common", "dynamo", "entities", "--json", **block(*STRANGERS)).stdout)
    [acme] = [entity for entity in entities if entity["name"] == "acme-invoice"]
    explained = everything.run("common", "dynamo", "explain", "Invoice.create", **block(*STRANGERS))
    exported = everything.run("common", "dynamo", "tables", "export", "--table", "app", **block(*STRANGERS))

    assert ("acme-plugin", "acme-plugin", "1.0.0") == (acme["plugin"], acme["dist"], acme["dist_version"])
    assert ["ACMEINV#{tenant}", "N#{number:10}"] == acme["key"]
    assert (0, "") == (explained.returncode, explained.stderr)
    assert "Invoice.create" in explained.stdout
    assert "GSI1" in exported.stdout


CLASHES = {
    "name": ("entity type 'acme-invoice' is already given by acme-plugin (acme-plugin 1.0.0)"),
    "key": ("key 'ACMEINV#{} / N#{}' is already given by acme-plugin (acme-plugin 1.0.0)"),
    "prefix": ("can be that of 'acme-invoice' of plugin acme-plugin (acme-plugin 1.0.0)"),
    "slot": ("projection of index 'GSI1' is already given with another value by"),
}


@pytest.mark.parametrize("clash", CLASHES)
def test_a_clash_of_entity_types_names_both_plugins(acme_and_twin: Environment, clash: str) -> None:
    """Equal names, equal or overlapping keys, one index with two projections: each tells who, of which version, and whose."""
    report = acme_and_twin.probe("open_database", TWIN_CLASH=clash)
    [failure] = [line.strip() for line in report["error"].splitlines() if line.startswith("  ")]

    assert failure.startswith("acme-twin (acme-twin 0.3.9, hook common_entity_types): ")
    assert CLASHES[clash] in failure
    assert "COMMON_PLUGINS_BLOCK=acme-twin" in report["error"]


def test_without_a_clash_both_types_live_in_one_table(acme_and_twin: Environment) -> None:
    """The twin's own type, beside Acme's and the family's."""
    report = acme_and_twin.probe("open_database", TWIN_CLASH="nothing")

    assert "" == report["error"]
    assert {"acme-invoice", "twin", "order"} <= set(report["types"])


def test_acme_without_dynamo(core_and_acme: Environment) -> None:
    """The same wheel serves a service that has common-core alone: hooks of absent parts are left aside."""
    report = core_and_acme.probe("load_plugins")

    assert "" == report["error"]
    assert {"common-core": "loaded", "acme-plugin": "loaded"} == report["states"]
    assert ["acme-plugin"] == report["given"]["common_audit_sinks"]
    assert [] == report["given"]["common_entity_types"]


def test_the_listing_of_the_command(everything: Environment) -> None:
    """``common plugins`` exits 1 while a plugin is broken, 0 once it is blocked, and lists both times."""
    broken = everything.run("common", "plugins", "--json")
    healthy = everything.run("python", "-P", "-m", "common.core", "plugins", "--json", **block(*CAUSES))
    states = [{entry["name"]: entry["state"] for entry in json.loads(run.stdout)} for run in (broken, healthy)]

    assert (1, 0) == (broken.returncode, healthy.returncode)
    assert dict.fromkeys(CAUSES, "failed").items() <= states[0].items()
    assert dict.fromkeys(CAUSES, "blocked").items() <= states[1].items()
    assert all(cause in broken.stderr for cause in CAUSES.values())
    assert "" == healthy.stderr
