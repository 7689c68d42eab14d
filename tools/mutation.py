"""Score the tests of what verifies tokens and requests: break the code in one place at a time, and see who notices.

    python tools/mutation.py                        every module of TARGETS; some ten minutes on two cores
    python tools/mutation.py token_format --jobs 1  one of them
    python tools/mutation.py --sample 20            twenty mutants of each, for an estimate
    python tools/mutation.py --list mac             what would be broken, without a run
    python tools/mutation.py --floor 90             exit 1 where the score is below

A mutant is the module with one change to its syntax tree: a comparison turned round or made sharper, a condition negated,
``and`` for ``or``, a number one higher, a ``raise``, a check or a result left out. It is killed when the module's tests
fail or hang. Nothing is written: each mutant lives in a forked process whose import of the one module is answered by it.
A survivor is a missing test, or a change that changes nothing; each is listed with its line.
"""

import argparse
import ast
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "packages" / "common-auth" / "tests"
_TOKENS = ("test_token_attacks.py", "test_token_validation.py", "test_token_issue.py", "test_token_standards.py")
_GATEWAY = ("gateway/test_assertions.py", "gateway/test_mac.py", "gateway/test_delegation.py")
TARGETS = {
    "common.auth.security.token_format": ("test_token_rules.py", *_TOKENS),
    "common.auth.security.token_claims": ("test_token_rules.py", *_TOKENS, "gateway/test_delegation.py"),
    "common.auth.security.token_manager": (*_TOKENS, "sessions", "test_doctor.py"),
    "common.auth.gateway.header_validator": (
        *_GATEWAY,
        "gateway/test_middleware.py",
        "gateway/test_strict_replay.py",
        "gateway/test_peers.py",
    ),
    "common.auth.gateway.mac": _GATEWAY,
    "common.auth.gateway.assertions": _GATEWAY,
}
"""Modules, and the tests that must notice; those that notice most come first."""

SLOWEST = 5.0
"""A mutant that takes this many times as long as the unbroken module hangs."""
LEAST_SECONDS = 20.0

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_EXCHANGED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.Pow: ast.Mult,
}
_UNTOUCHED = frozenset({"__repr__", "weaknesses"})
"""Functions whose wording no test needs to pin down."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change, not made yet."""

    line: int
    text: str
    make: Callable[[], None]
    """Changes the tree that it was found in."""


def mutations(tree: ast.Module) -> Iterator[Mutation]:
    """Yield every change that can be made to *tree*, in an order that depends on the source alone."""
    for parent, node in _walk(tree):
        for text, make in _changes(parent, node):
            yield Mutation(getattr(node, "lineno", 0), f"{ast.unparse(node).splitlines()[0][:70]}  →  {text}", make)


def _walk(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield each node that runs, with its parent; annotations, documentation and messages do not count."""
    for child in _children(node):
        yield node, child
        yield from _walk(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        runs = (*node.body, *node.args.defaults, *filter(None, node.args.kw_defaults))
        yield from () if node.name in _UNTOUCHED else runs
    elif isinstance(node, ast.ClassDef):
        yield from node.body  # whether a value is frozen is for type checkers
    elif isinstance(node, ast.AnnAssign):
        yield from () if node.value is None else (node.value,)
    elif not isinstance(node, ast.Raise):
        yield from (child for child in ast.iter_child_nodes(node) if not _is_for_type_checkers(child))


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _changes(parent: ast.AST, node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            turned = _TURNED[type(operator)]
            yield turned.__name__, partial(node.ops.__setitem__, index, turned())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield other.__name__, lambda: setattr(node, "op", other())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without not", lambda: _replace(parent, node, node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _EXCHANGED:
        exchanged = _EXCHANGED[type(node.op)]
        yield exchanged.__name__, lambda: setattr(node, "op", exchanged())
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "negated", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.stmt):
        yield from _statements(parent, node)


def _constants(node: ast.Constant) -> Iterator[tuple[str, Callable[[], None]]]:
    value = node.value
    if isinstance(value, bool):
        yield str(not value), lambda: setattr(node, "value", not value)
    elif isinstance(value, int):
        yield str(value + 1), lambda: setattr(node, "value", value + 1)


def _statements(parent: ast.AST, node: ast.stmt) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Raise):
        yield "not raised", lambda: _replace(parent, node, ast.Pass())
    elif isinstance(node, ast.Return) and not _is_nothing(node.value):
        yield "return None", lambda: setattr(node, "value", ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "left out", lambda: _replace(parent, node, ast.Pass())
    elif isinstance(node, ast.Continue):
        yield "break", lambda: _replace(parent, node, ast.Break())


def _is_nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _replace(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, name, new)
        elif isinstance(value, list) and old in value:
            value[value.index(old)] = new


class MutantFinder(MetaPathFinder):
    """Answers the import of one module by changed code; put it in front of :data:`sys.meta_path`."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module = module
        self._code = code

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        """Return where the module is, and ours as what loads it."""
        if fullname != self._module:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path)
            if spec is not None and spec.origin is not None:
                spec.loader = _MutantLoader(fullname, spec.origin, self._code)
                return spec
        return None


class _MutantLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, code: CodeType) -> None:
        super().__init__(fullname, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code


def source_of(module: str) -> Path:
    """Return the file of *module*, without importing it or its package."""
    for package in (ROOT / "packages").iterdir():
        file = package / "src" / f"{module.replace('.', '/')}.py"
        if file.is_file():
            return file
    raise SystemExit(f"There is no module {module}.")


def mutant_code(source: str, file: Path, number: int) -> CodeType:
    """Return the code of *source* with its mutation *number* made, as if it came from *file*; ``-1`` makes none."""
    tree = ast.parse(source)
    for index, mutation in enumerate(mutations(tree)):
        if index == number:
            mutation.make()
            break
    return compile(ast.fix_missing_locations(tree), str(file), "exec")


@cache
def _loaded_once() -> tuple[ModuleType, ModuleType]:
    """Import what every child needs and no mutant changes; the first call is made before the forks."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("bcrypt", "jwt", "pluggy", "pydantic", "cryptography.hazmat.primitives.serialization", "joserfc.jwt"):
        with suppress(ImportError):  # then the tests that need it do not run either
            import_module(name)
    return import_module("hypothesis"), import_module("pytest")


def fork_tests(module: str, code: CodeType, tests: Sequence[str]) -> int:
    """Run *tests* against *code* in a forked process; return its id."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(quiet, descriptor)
        os._exit(_run_tests(module, code, tests))
    return child


def _run_tests(module: str, code: CodeType, tests: Sequence[str]) -> int:
    hypothesis, pytest = _loaded_once()
    sys.meta_path.insert(0, MutantFinder(module, code))
    calm = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck)}  # a busy machine kills no mutant
    hypothesis.settings.register_profile("mutation", database=None, derandomize=True, max_examples=25, **calm)
    hypothesis.settings.load_profile("mutation")
    os.chdir(ROOT)
    options = ["-x", "-q", "-m", "not thorough", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options += ["-p", "no:cacheprovider", "-p", "no:faulthandler"]
    try:
        return int(pytest.main([*options, *(str(TESTS / test) for test in tests)]))
    except BaseException:  # noqa: BLE001 - a mutant may raise anything while it is imported
        return 1


@dataclass(slots=True)
class Run:
    """A mutant that is being tried."""

    number: int
    begun: float


def survivors(module: str, tests: Sequence[str], jobs: int, sample: int | None = None) -> tuple[list[Mutation], int]:
    """Return the mutations of *module* that *tests* do not notice, and how many were tried.

    Args:
        module: Its full name.
        tests: Files and folders below :data:`TESTS`.
        jobs: Mutants at once.
        sample: Try that many, spread evenly over the module; ``None`` tries all.

    Raises:
        SystemExit: The tests fail without any mutation.
    """
    _loaded_once()
    file = source_of(module)
    source = file.read_text("utf-8")  # once, so that it may be edited meanwhile
    found = list(mutations(ast.parse(source)))
    begun = time.monotonic()
    if os.waitpid(fork_tests(module, mutant_code(source, file, -1), tests), 0)[1] != 0:
        raise SystemExit(f"{module}: its tests fail without any mutation.")
    limit = max(LEAST_SECONDS, SLOWEST * jobs * (time.monotonic() - begun))
    tried = min(sample or len(found), len(found))
    waiting = [index * len(found) // tried for index in range(tried)][::-1]
    alive, running = [], dict[int, Run]()
    while waiting or running:
        while waiting and len(running) < jobs:
            number = waiting.pop()
            running[fork_tests(module, mutant_code(source, file, number), tests)] = Run(number, time.monotonic())
        for number in _ended(running, limit):
            alive.append(number)
            print(f"{file.relative_to(ROOT)}:{found[number].line}: {found[number].text}", flush=True)
        time.sleep(0.01)
    return [found[number] for number in sorted(alive)], tried


def _ended(running: dict[int, Run], limit: float) -> Iterator[int]:
    """Take out what has ended or hangs; yield the numbers of those that nobody noticed."""
    for child, run in list(running.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended and time.monotonic() - run.begun > limit:
            os.killpg(child, signal.SIGKILL)
            ended, status = os.waitpid(child, 0)
        if ended:
            del running[child]
            if status == 0:
                yield run.number


def score(modules: Sequence[str], jobs: int, sample: int | None) -> float:
    """Try every mutant of *modules*, print the survivors and a table; return the share that was killed, in per cent."""
    rows = []
    for module in modules:
        alive, total = survivors(module, TARGETS[module], jobs, sample)
        rows.append((module, total, total - len(alive)))
    print(f"\n{'module':42}{'mutants':>9}{'killed':>9}{'score':>9}")
    total, killed = sum(row[1] for row in rows), sum(row[2] for row in rows)
    for module, count, dead in (*rows, ("all", total, killed)):
        print(f"{module:42}{count:9}{dead:9}{100 * dead / max(1, count):8.1f}%")
    return 100 * killed / max(1, total)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", help="names of modules, or their last parts (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at once (default: processors)")
    parser.add_argument("--sample", type=int, help="try that many mutants of each module, spread evenly (default: all)")
    parser.add_argument("--floor", type=float, default=0.0, help="exit 1 where fewer per cent are killed")
    parser.add_argument("--list", action="store_true", help="print the mutations and run nothing")
    arguments = parser.parse_args(argv)
    wanted = [
        name for name in TARGETS if not arguments.modules or {name, name.rpartition(".")[2]} & {*arguments.modules}
    ]
    if not wanted or not hasattr(os, "fork"):
        parser.error("no such module" if not wanted else "this needs a system that forks")
    if arguments.list:
        for module in wanted:
            for mutation in mutations(ast.parse(source_of(module).read_text("utf-8"))):
                print(f"{source_of(module).relative_to(ROOT)}:{mutation.line}: {mutation.text}")
        return 0
    return int(score(wanted, max(1, arguments.jobs), arguments.sample) < arguments.floor)


if __name__ == "__main__":
    raise SystemExit(main())
