"""Rules about the sources of common-auth that no run would show."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import common.auth.exceptions

pytestmark = pytest.mark.thorough

SOURCES = sorted(Path(common.auth.exceptions.__file__).parent.rglob("*.py"))

CLOCK_READS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}

SECRET_NAMES = {
    *("password", "secret", "pepper", "token", "signature", "mac", "digest", "tag", "assertion", "presented", "master"),
    *("api_key", "otp", "nonce", "cookie", "key_bytes", "stored", "modular", "expected_mac"),
}
"""Names that hold secrets, or what is compared with one."""


def names_compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and name of everything compared by ``==``, ``!=`` or ``in`` with something that is no constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            sides = [node.left, *node.comparators]
            if not any(isinstance(side, ast.Constant) for side in sides):
                yield from ((node.lineno, name) for side in sides for name in _names(side))


def _names(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id.lstrip("_")
    elif isinstance(node, ast.Attribute):
        yield node.attr.lstrip("_")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield from {"secret"} if node.func.attr == "reveal" else ()
    elif isinstance(node, ast.Subscript):
        yield from _names(node.value)


def clock_reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each call that asks the machine for the time of day."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if any(dotted == read or dotted.endswith(f".{read}") for read in CLOCK_READS):
                yield node.lineno, dotted


def parsed(source: Path) -> ast.AST:
    """Return the syntax tree of a source file."""
    return ast.parse(source.read_text("utf-8"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_secrets_are_never_compared_with_equals(source: Path) -> None:
    """What is secret is compared in constant time (auth X7)."""
    assert [] == [found for found in names_compared(parsed(source)) if found[1] in SECRET_NAMES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nobody_reads_the_clock_but_the_clock(source: Path) -> None:
    """The time of day comes in as an argument everywhere (auth X4)."""
    assert [] == list(clock_reads(parsed(source)))


@pytest.mark.parametrize(
    "code", ["mac == given", "self._token != other", "pepper.reveal() == x", "x == signature[1:]", "known.digest == y"]
)
def test_the_lint_sees_a_forbidden_comparison(code: str) -> None:
    """The rule above can fail."""
    assert any(name in SECRET_NAMES for _, name in names_compared(ast.parse(code)))


@pytest.mark.parametrize("code", ["time.time()", "datetime.now(UTC)", "datetime.datetime.now()", "f(now=time.time)"])
def test_the_lint_sees_a_clock_read(code: str) -> None:
    """The rule above can fail."""
    assert list(clock_reads(ast.parse(code)))
