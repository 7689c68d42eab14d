"""Every public function and class of the family is annotated and documented."""

import ast
from collections.abc import Iterator
from pathlib import Path

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_nodes(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, Documented]]:
    """Yield the public classes and functions of a module with their dotted names; not what a function defines inside."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, Documented) or node.name.startswith("_"):
            continue
        yield f"{inside}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from public_nodes(node, f"{inside}{node.name}.")


def is_trivial(node: Documented) -> bool:
    """Whether a member needs no docstring: a stub of an overload or protocol, a setter, an override of a documented one."""
    if isinstance(node, ast.ClassDef):
        return False
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    stub = len(node.body) == 1 and ast.unparse(node.body[0]) == "..."
    return stub or bool(decorators & {"overload", "override"}) or any(name.endswith(".setter") for name in decorators)


def sources(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """Yield each public module of the family, parsed."""
    for file in sorted(root.glob("packages/*/src/common/**/*.py")):
        if not any(part.startswith("_") and part != "__init__.py" for part in file.parts):
            yield str(file.relative_to(root)), ast.parse(file.read_text(encoding="utf-8"))


def inherits(node: ast.ClassDef) -> bool:
    """Whether a class has bases, whose methods it may override."""
    return bool(node.bases)


def test_every_public_thing_has_a_docstring(root: Path) -> None:
    """Public modules, classes, functions and methods say what they do."""
    missing = []
    for file, tree in sources(root):
        if ast.get_docstring(tree) is None and tree.body:
            missing.append(f"{file}: the module")
        overrides = {
            f"{name}.{member.name}"
            for name, node in public_nodes(tree)
            if isinstance(node, ast.ClassDef) and inherits(node)
            for member in node.body
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        missing += [
            f"{file}: {name}"
            for name, node in public_nodes(tree)
            if ast.get_docstring(node) is None and not is_trivial(node) and name not in overrides
        ]

    assert [] == missing


def test_every_function_is_annotated(root: Path) -> None:
    """Each public function annotates every argument and what it returns."""
    bare = []
    for file, tree in sources(root):
        for name, node in public_nodes(tree):
            if isinstance(node, ast.ClassDef):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            unnamed = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            if node.returns is None or unnamed:
                bare.append(f"{file}: {name} {unnamed}")

    assert [] == bare


def test_files_and_functions_stay_short(root: Path) -> None:
    """No source file is over 500 lines, no function over 40 lines without its docstring."""
    long = []
    for file in sorted(root.glob("packages/*/src/common/**/*.py")):
        text = file.read_text(encoding="utf-8")
        if (count := len(text.splitlines())) > 500:
            long.append(f"{file.relative_to(root)}: {count} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = node.body[0] if ast.get_docstring(node) else None
                told = 0 if docstring is None else (docstring.end_lineno or 0) - docstring.lineno + 1
                if (size := (node.end_lineno or 0) - node.lineno + 1 - told) > 40:
                    long.append(f"{file.relative_to(root)}: {node.name} has {size} lines")

    assert [] == long
