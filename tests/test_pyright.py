"""pyright reads the types of common.dynamo as mypy does: what must be refused is, and everything else is as it is said.

It is basedpyright, pyright with all that it needs in its wheel; the environment ``typing`` has it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("basedpyright", reason="basedpyright belongs to the environment `typing`")

TYPED = Path(__file__).parent / "typing" / "dynamo.py"
_IGNORED = re.compile(r"  # type: ignore\[.*\]$")


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[int, set[str]]:
    """What pyright finds in the file once no line asks to be ignored: line to rules."""
    bare = tmp_path_factory.mktemp("pyright") / "dynamo.py"
    bare.write_text("\n".join(_IGNORED.sub("", line) for line in _lines()), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "--level", "error"]
    ended = subprocess.run([*command, str(bare)], capture_output=True, check=False, timeout=120)
    found: dict[int, set[str]] = {}
    for diagnostic in json.loads(ended.stdout)["generalDiagnostics"]:
        if diagnostic["severity"] == "error":
            line = diagnostic["range"]["start"]["line"] + 1
            found.setdefault(line, set()).add(diagnostic.get("rule", "syntax"))
    return found


def _lines() -> list[str]:
    return TYPED.read_text(encoding="utf-8").splitlines()


def _line(text: str) -> int:
    (number,) = [number for number, line in enumerate(_lines(), 1) if text in line]
    return number


def test_pyright_refuses_what_mypy_refuses_and_nothing_else(errors: dict[int, set[str]]) -> None:
    """Line by line; the types that are asserted hold for both."""
    refused = [number for number, line in enumerate(_lines(), 1) if _IGNORED.search(line)]

    assert refused == sorted(errors)


def test_pyright_refuses_a_misspelt_field_in_a_condition(errors: dict[int, set[str]]) -> None:
    """As an attribute that the model does not have, in a change too."""
    assert {"reportAttributeAccessIssue"} == errors[_line("it.totl > 5")] == errors[_line("change.set(it.stat,")]


def test_pyright_refuses_to_compare_a_decimal_with_a_text(errors: dict[int, set[str]]) -> None:
    """As an operator that the two do not have."""
    assert {"reportOperatorIssue"} == errors[_line('it.total >= "5"')]
