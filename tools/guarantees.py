"""Check the written guarantees, and the page of features, against the tests that prove them.

    python tools/guarantees.py                      every named test exists
    python tools/guarantees.py --results FOLDER     ... and ran, and passed, in at least one of the JUnit reports there

A guarantee is a row ``| id | sentence | test |`` of a table in ``docs/guarantees/*.md``; its test is written as pytest
names it, without parameters, several separated by ``<br>``. A row whose test is ``not yet`` says in its sentence why.
``docs/features.md`` has the same rows, and some with what others do between the id and the sentence.

A test that was skipped for want of a browser is excused, and counted, unless COMMON_TEST_REQUIRE_BROWSER=1 says that
there has to be one.
"""

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(
    r"^\|\s*(?P<id>[A-Z]+\d+[a-z]?)\s*\|\s*(?P<sentence>[^|]+?(?:\|[^|]+?){0,2})\s*\|\s*(?P<tests>[^|]+?)\s*\|\s*$"
)
NOT_YET = "not yet"
BROWSER = "COMMON_TEST_REQUIRE_BROWSER"
"""Names itself in the reason of every test that was skipped for want of a browser."""
TYPING_TESTS = ROOT / "tests" / "typing"
"""Files that are type-checked and never executed; one report of mypy speaks for all of them."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One row: where it stands, its id, and the tests that prove it (empty: not given yet)."""

    page: str
    id: str
    sentence: str
    tests: tuple[str, ...]


def read_page(page: Path) -> Iterator[Guarantee]:
    """Yield the guarantees of one page in their order."""
    for line in page.read_text(encoding="utf-8").splitlines():
        if row := ROW.match(line):
            named = [test.strip().strip("`") for test in row["tests"].split("<br>")]
            yield Guarantee(page.name, row["id"], row["sentence"], () if named == [NOT_YET] else tuple(named))


def read_guarantees(folder: Path) -> list[Guarantee]:
    """Return the guarantees of every page in *folder*."""
    return [guarantee for page in sorted(folder.glob("*.md")) for guarantee in read_page(page)]


def _test_names(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _test_names(node, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}"


@cache
def _defined_in(path: Path) -> frozenset[str]:
    return frozenset(_test_names(ast.parse(path.read_text(encoding="utf-8"))))


def exists(test: str, root: Path = ROOT) -> bool:
    """Whether the file of *test* is there and defines it. A Markdown file counts as its own doctest."""
    file, _, name = test.partition("::")
    path = root / file
    if not path.is_file():
        return False
    if path.suffix == ".md" or not name:
        return True
    return name.partition("[")[0] in _defined_in(path)


def passed_tests(results: Path) -> set[str]:
    """Return what passed in the JUnit reports (xunit1) of *results*, without parameters, as ``file::[Class::]name``."""
    bad = ("failure", "error", "skipped")
    passed: set[str] = set()
    for case in _cases(results):
        if any(case.find(outcome) is not None for outcome in bad):
            continue
        if case.get("classname") == "mypy":
            passed.update(str(path.relative_to(ROOT)) for path in TYPING_TESTS.glob("*.py"))
        else:
            passed.update((_test_of(case), case.get("file", "")))
    return passed


def excused_tests(results: Path) -> set[str]:
    """Return what was skipped for want of a browser, where none is required."""
    if os.environ.get(BROWSER) == "1":
        return set()
    skips = ((case, case.find("skipped")) for case in _cases(results))
    return {_test_of(case) for case, skip in skips if skip is not None and BROWSER in skip.get("message", "")}


def _cases(results: Path) -> Iterator[ElementTree.Element]:
    for report in sorted(file for file in results.iterdir() if file.is_file()):
        yield from ElementTree.parse(report).getroot().iter("testcase")  # noqa: S314 - written by our own pytest


def _test_of(case: ElementTree.Element) -> str:
    """Return the test of a case, as ``file::[Class::]name``."""
    file = case.get("file", "")
    module = file.removesuffix(".py").replace("/", ".")
    classes = case.get("classname", "").removeprefix(module).strip(".").split(".")
    name = case.get("name", "").partition("[")[0]
    return "::".join([file, *(part for part in classes if part), name])


def faults(guarantees: list[Guarantee], passed: set[str] | None) -> list[str]:
    """Return one line for each guarantee that nothing proves."""
    found = []
    seen: set[tuple[str, str]] = set()
    for guarantee in guarantees:
        where = f"{guarantee.page}: {guarantee.id}"
        if (guarantee.page, guarantee.id) in seen:
            found.append(f"{where}: stands twice")
        seen.add((guarantee.page, guarantee.id))
        for test in guarantee.tests:
            plain = test.partition("[")[0]
            if not exists(test):
                found.append(f"{where}: no such test: {test}")
            elif passed is not None and plain not in passed:
                found.append(f"{where}: did not run or did not pass: {test}")
    return found


def main() -> int:
    """Print what is wrong, then one line with the count; exit 1 if anything is."""
    parser = argparse.ArgumentParser(description="Check the written guarantees against the tests that prove them.")
    parser.add_argument("--results", type=Path, help="folder of JUnit reports; without it only existence is checked")
    arguments = parser.parse_args()
    guarantees = read_guarantees(ROOT / "docs" / "guarantees")
    features = list(read_page(ROOT / "docs" / "features.md"))
    passed, excused = None, set[str]()
    if arguments.results is not None:
        excused = excused_tests(arguments.results)
        passed = passed_tests(arguments.results) | excused
    problems = [*faults(guarantees, passed), *faults(features, passed)]
    print(*problems, sep="\n", end="\n" if problems else "")
    if excused:
        print(f"{len(excused)} tests excused: no browser is installed here")
    proved = sum(bool(guarantee.tests) for guarantee in guarantees)
    print(
        f"{len(guarantees)} guarantees, {proved} proved, {len(guarantees) - proved} not yet; {len(features)} features; "
        f"{len(problems)} problems"
    )
    return 1 if problems or not guarantees or not features else 0


if __name__ == "__main__":
    sys.exit(main())
