"""What the guarantees promise is proved by tests that exist; that they ran is checked by the environment of that name."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def guarantees(root: Path) -> ModuleType:
    """The checker, loaded from its file."""
    spec = importlib.util.spec_from_file_location("guarantees_checker", root / "tools" / "guarantees.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_named_test_exists(root: Path, guarantees: ModuleType) -> None:
    """Each guarantee names tests that are there, and none stands twice."""
    rows = guarantees.read_guarantees(root / "docs" / "guarantees")

    assert len(rows) > 100
    assert [] == guarantees.faults(rows, None)


def test_every_feature_names_tests_that_exist(root: Path, guarantees: ModuleType) -> None:
    """The page of features says nothing that a test does not show, or says that it is not proved yet."""
    rows = list(guarantees.read_page(root / "docs" / "features.md"))

    assert [] == guarantees.faults(rows, None)
    assert {f"DG{number}" for number in range(1, 18)} <= {row.id for row in rows if row.tests}


def test_features_and_guarantees_say_the_same(root: Path, guarantees: ModuleType) -> None:
    """A feature is proved by tests of the guarantee with its id; where those are not given yet, neither is the feature."""
    proofs: dict[str, set[str]] = {}
    for row in guarantees.read_guarantees(root / "docs" / "guarantees"):
        if row.page.startswith(("dynamo", "engines")):
            proofs.setdefault(row.id.rstrip("abcdefghijklmnopqrstuvwxyz"), set()).update(row.tests)
    features = [row for row in guarantees.read_page(root / "docs" / "features.md") if not row.id.startswith("DG")]
    wanted = [
        f"{part}{number}" for part, last in (("D", 51), ("W", 14), ("P", 4), ("K", 7)) for number in range(1, last + 1)
    ]

    assert wanted == [row.id for row in features]
    assert [] == [row.id for row in features if not set(row.tests) <= proofs.get(row.id, set())]
    assert [] == [row.id for row in features if bool(row.tests) is not bool(proofs.get(row.id))]


def test_a_row_without_a_real_test_is_found(tmp_path: Path, guarantees: ModuleType) -> None:
    """The checker itself can fail: a missing test and a test that did not pass are both reported."""
    page = tmp_path / "page.md"
    page.write_text(
        "| X1 | Nothing proves this. | tests/test_guarantees.py::test_no_such_test |\n"
        "| X2 | This test has not run. | tests/test_guarantees.py::test_every_named_test_exists |\n"
        "| X3 | Left out because it is an example. | not yet |\n"
        "| X4 | What others do. | What this does. | tests/test_guarantees.py::test_no_such_test |\n"
    )
    rows = list(guarantees.read_page(page))

    assert 2 == len(guarantees.faults(rows, None))
    assert 3 == len(guarantees.faults(rows, set()))


def test_results_are_read_by_file_class_and_name(tmp_path: Path, guarantees: ModuleType) -> None:
    """A passed case counts under its pytest name without parameters; a skipped one does not count."""
    (tmp_path / "one").write_text(
        '<testsuite><testcase classname="tests.test_a.TestB" name="test_c[1]" file="tests/test_a.py"/>'
        '<testcase classname="tests.test_a" name="test_d" file="tests/test_a.py"><skipped/></testcase></testsuite>'
    )

    assert {"tests/test_a.py", "tests/test_a.py::TestB::test_c"} == guarantees.passed_tests(tmp_path)


def test_stage_one_of_each_spec_has_a_page(root: Path) -> None:
    """Each part of the family has a page of guarantees."""
    pages: Mapping[str, str] = {page.stem: page.read_text() for page in (root / "docs" / "guarantees").glob("*.md")}

    assert {"family", "dynamo", "engines", "ledger", "auth", "observability"} <= {
        name.partition("-")[0] for name in pages
    }


def test_what_was_skipped_for_want_of_a_browser_is_excused_unless_one_is_required(
    tmp_path: Path, guarantees: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without a browser proves the rest; one that has to have it, all. No other skip is excused."""
    (tmp_path / "browser").write_text(
        '<testsuite><testcase classname="tests.test_a" name="test_b" file="tests/test_a.py">'
        '<skipped message="not installed (COMMON_TEST_REQUIRE_BROWSER=1 makes this fail)"/></testcase>'
        '<testcase classname="tests.test_a" name="test_c" file="tests/test_a.py"><skipped message="other"/></testcase>'
        "</testsuite>"
    )
    monkeypatch.delenv("COMMON_TEST_REQUIRE_BROWSER", raising=False)
    assert {"tests/test_a.py::test_b"} == guarantees.excused_tests(tmp_path)
    assert set() == guarantees.passed_tests(tmp_path)
    monkeypatch.setenv("COMMON_TEST_REQUIRE_BROWSER", "1")

    assert set() == guarantees.excused_tests(tmp_path)
