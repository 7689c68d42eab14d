"""The score of the tests by mutation comes from a tool that finds what no test notices (auth X6)."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULE = '''
"""Not a mutant: 1 + 1."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    LIMIT: int

LIMIT: int = 10


class Gate:
    """Lets some in."""

    def check(self, value: int, *, strict: bool = False) -> str:
        if not 0 <= value < LIMIT:
            raise ValueError(f"{value} is above {LIMIT - 1}")
        self.note(value)
        return "in" if strict or value > 5 else "perhaps"

    def note(self, value: int) -> None:
        print(value)

    def __repr__(self) -> str:
        return "Gate" * 1
'''

SMALL = """
def check(value):
    if value < 10 and value != 0:
        raise ValueError(value)
    return value
"""

GOOD = """
import pytest
from toy_of_mutation import check

def test_all():
    assert [0, 10, 11] == [check(value) for value in (0, 10, 11)]
    for value in (1, 9):
        with pytest.raises(ValueError):
            check(value)
"""

BAD = """
from toy_of_mutation import check

def test_one():
    assert 11 == check(11)
"""

RUN = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import mutation
mutation.ROOT = mutation.TESTS = Path(sys.argv[2])
alive, total = mutation.survivors("toy_of_mutation", [sys.argv[3]], 2)
print(json.dumps([[each.line for each in alive], total]))
"""


@pytest.fixture(scope="module")
def mutation(root: Path) -> ModuleType:
    """The tool, loaded from its file."""
    spec = importlib.util.spec_from_file_location("mutation_tool", root / "tools" / "mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_kind_of_change_is_found(mutation: ModuleType) -> None:
    """Comparisons, conditions, logic, numbers, defaults, checks, errors and results; documentation and wording are left."""
    found = [(each.line, each.text) for each in mutation.mutations(ast.parse(MODULE))]
    texts = [text.partition("→")[2].strip() for _, text in found]

    assert {"Lt", "LtE", "GtE", "And", "without not", "negated", "not raised", "left out", "return None"} <= set(texts)
    assert {"11", "1", "6", "True"} <= set(texts)
    assert not [text for line, text in found if "above" in text and "Sub" in text]
    assert not [line for line, _ in found if line > MODULE[: MODULE.index("__repr__")].count("\n")]


def test_a_mutant_differs_in_one_place(mutation: ModuleType, tmp_path: Path) -> None:
    """Mutation number n is made, and none of the others; without one the code is that of the file."""
    source, file = "def f(a, b):\n    return a < b and a != 0\n", tmp_path / "toy.py"

    def results(number: int) -> list[Any]:
        names: dict[str, Any] = {}
        exec(mutation.mutant_code(source, file, number), names)
        return [names["f"](a, b) for a, b in ((1, 2), (1, 1), (0, 1), (2, 1))]

    unbroken = results(-1)
    mutants = [results(number) for number in range(len(list(mutation.mutations(ast.parse(source)))))]

    assert [True, False, False, False] == unbroken
    assert 5 == len(mutants)
    assert all(mutant != unbroken for mutant in mutants)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder with a small module, and with good and poor tests of it."""
    source = tmp_path / "packages" / "toy" / "src"
    source.mkdir(parents=True)
    (source / "toy_of_mutation.py").write_text(SMALL)
    (tmp_path / "test_good.py").write_text(GOOD)
    (tmp_path / "test_bad.py").write_text(BAD)
    (tmp_path / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(source)!r})\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = thorough: long\n")
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the tool forks")
@pytest.mark.parametrize(("tests", "alive"), [("test_good.py", []), ("test_bad.py", [3, 3, 3, 3, 4])])
def test_what_no_test_notices_survives(toy: Path, root: Path, tests: str, alive: list[int]) -> None:
    """Good tests kill every mutant; poor ones leave some alive, and their lines are told."""
    command = [sys.executable, "-c", RUN, str(root / "tools"), str(toy), tests]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    assert [alive, 8] == json.loads(ended.stdout.splitlines()[-1])
