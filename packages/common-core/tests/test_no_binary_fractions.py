"""Money never meets binary floating point: the sources that handle it do not even name the type."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import common.core.validation
import common.entities

PACKAGES = [common.entities, common.core.validation]
SOURCES = [file for package in PACKAGES for file in sorted(Path(package.__path__[0]).glob("**/*.py"))]


def binary_fractions(tree: ast.AST) -> Iterator[str]:
    """Yield what brings binary floating point into a module: the type's name, a literal, ``math``, true division."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="float") | ast.Attribute(attr="from_float" | "float"):
                yield f"line {node.lineno}: the type"
            case ast.Constant(value=float()):
                yield f"line {node.lineno}: a literal"
            case ast.Import(names=[ast.alias(name="math")]) | ast.ImportFrom(module="math"):
                yield f"line {node.lineno}: math"
            case ast.BinOp(op=ast.Div()):
                yield f"line {node.lineno}: true division"


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_no_source_of_money_uses_binary_fractions(source: Path) -> None:
    """No float, no float literal, no division that could make one."""
    assert [] == list(binary_fractions(ast.parse(source.read_text(encoding="utf-8"))))


def test_both_packages_are_looked_at() -> None:
    """The check reads real files of entities and of validation."""
    assert {"user.py", "order.py", "inventory.py", "asset.py", "money.py", "amounts.py"} <= {f.name for f in SOURCES}


@pytest.mark.parametrize(
    "code", ["price: float", "x = float(y)", "Decimal.from_float(y)", "x = 0.1", "import math", "a / b"]
)
def test_the_check_sees_what_it_forbids(code: str) -> None:
    """Each way of bringing a binary fraction in is found, so the check can fail."""
    assert 1 == len(list(binary_fractions(ast.parse(code))))
