"""Dependencies, versions and changelogs of the members agree with the table of the architecture and with each other."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

TABLE: Mapping[str, Mapping[str, frozenset[str]]] = {
    "common-core": {"": frozenset({"pluggy", "pydantic"})},
    "common-dynamo": {"": frozenset({"common-core", "boto3", "opentelemetry-api", "httptools", "orjson"})},
    "common-auth": {
        "": frozenset({"common-core", "bcrypt", "pyjwt[crypto]"}),
        "dynamo": frozenset({"common-dynamo"}),
        "fastapi": frozenset({"fastapi"}),
    },
    "common-observability": {
        "": frozenset({"common-core", "opentelemetry-sdk"}),
        "otlp": frozenset({"opentelemetry-exporter-otlp-proto-http"}),
        "dev": frozenset({"rich"}),
        "fastapi": frozenset({"fastapi"}),
    },
}


def requirements(project: Mapping[str, Any]) -> dict[str, list[Requirement]]:
    """Return the requirements of a member by extra; the empty name stands for the plain dependencies."""
    extras = project["project"].get("optional-dependencies", {})
    lists = {"": project["project"].get("dependencies", []), **extras}
    return {extra: [Requirement(line) for line in lines] for extra, lines in lists.items()}


def shown(requirement: Requirement) -> str:
    """Return a requirement's name as the table writes it."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name.lower()}{extras}"


@pytest.mark.parametrize("dist", TABLE)
def test_dependencies_are_those_of_the_table(dist: str, pyprojects: Mapping[str, Mapping[str, Any]]) -> None:
    """A distribution declares exactly what the architecture's table says, extras included."""
    declared = {extra: frozenset(map(shown, lines)) for extra, lines in requirements(pyprojects[dist]).items()}

    assert TABLE[dist] == declared


def test_third_party_needs_have_a_floor_and_a_ceiling(pyprojects: Mapping[str, Mapping[str, Any]]) -> None:
    """Every third-party requirement of a distribution says ``>=floor,<next major``."""
    open_ended = [
        f"{dist}: {requirement}"
        for dist in TABLE
        for lines in requirements(pyprojects[dist]).values()
        for requirement in lines
        if requirement.name not in pyprojects
        and sorted(specifier.operator for specifier in requirement.specifier) != ["<", ">="]
    ]

    assert [] == open_ended


def test_tree_satisfies_its_own_pins(pyprojects: Mapping[str, Mapping[str, Any]]) -> None:
    """Sibling pins have the form ``~=1.N`` and accept the version that the tree has."""
    for dist, project in pyprojects.items():
        for lines in requirements(project).values():
            for requirement in lines:
                if (sibling := pyprojects.get(requirement.name)) is None:
                    continue
                assert re.fullmatch(r"~=\d+\.\d+", str(requirement.specifier)), f"{dist}: {requirement}"
                assert requirement.specifier.contains(sibling["project"]["version"]), f"{dist}: {requirement}"


def test_members_are_private_and_support_the_same_pythons(pyprojects: Mapping[str, Mapping[str, Any]]) -> None:
    """No member can be uploaded by accident, and each runs on Python 3.11 and later."""
    for project in pyprojects.values():
        assert "Private :: Do Not Upload" in project["project"]["classifiers"]
        assert SpecifierSet(">=3.11") == SpecifierSet(project["project"]["requires-python"])
        assert "hatchling.build" == project["build-system"]["build-backend"]


def test_changelog_matches_version(
    root: Path, pyprojects: Mapping[str, Mapping[str, Any]], dists: tuple[str, ...]
) -> None:
    """A changelog has Unreleased on top, and its newest release is the version of the pyproject."""
    for dist in dists:
        headings = re.findall(r"^## \[(.+?)\]", (root / "packages" / dist / "CHANGELOG.md").read_text(), re.MULTILINE)
        version = pyprojects[dist]["project"]["version"]

        assert ["Unreleased", version] == headings[:2], dist
        assert Version(version) >= Version("1.0.0")


def test_licences_are_copies_of_the_root_licence(root: Path) -> None:
    """Each member carries the licence of the whole."""
    licence = (root / "LICENSE").read_bytes()
    members = [
        file.parent for file in [*root.glob("packages/*/pyproject.toml"), *root.glob("examples/*/pyproject.toml")]
    ]

    assert members
    assert [] == [member.name for member in members if (member / "LICENSE").read_bytes() != licence]


def test_no_lock_and_one_resolution_date(root: Path, tracked: tuple[Path, ...]) -> None:
    """No lock is committed; one date in the root pins every resolution; tox works without a lock."""
    workspace = tomllib.loads((root / "pyproject.toml").read_text())

    assert "project" not in workspace
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", workspace["tool"]["uv"]["exclude-newer"])
    assert "uv_sync_locked = false" in (root / "tox.ini").read_text()
    assert [] == [file for file in tracked if file.name == "uv.lock"]


def test_no_file_names_a_registry_host_or_a_machine_path(root: Path, tracked: tuple[Path, ...]) -> None:
    """Nothing in the repository points at one registry or at one machine's folders."""
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "npmjs" + ".com")
    folders = re.compile(r"(?<![\w.{}<\"'`])/(?:root|work|home/\w+)/")
    named = [
        f"{file.relative_to(root)}: {line.strip()[:80]}"
        for file in tracked
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if any(host in line for host in hosts) or folders.search(line)
    ]

    assert [] == named
