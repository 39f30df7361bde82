"""Changes the core in small ways and counts the changes that no test notices: `python -m tests.mutants --minutes 10`.

Every change is made in a copy of the tree. First all tests of the modules run once, to see which lines each one
reaches. Then only the tests that reach a change run against it, the fastest ones first, until one fails. They run in a
child process: it inherits the imported packages. The packages of the project itself are imported again.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import coverage
import hypothesis  # noqa: F401 - imported once, for every child
import moto.dynamodb
import moto.s3
import moto.secretsmanager
import moto.sqs  # noqa: F401
import parso
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[1]
_CLIENT, _PUBLISH, _SUBSCRIBE = "layers/lightspeed/lightspeed", "functions/publish", "functions/subscribe"
_LISTING = (
    *(f"tests/unit/lightspeed/test_{name}.py" for name in ("children", "id_log", "list_requests", "opening", "parts")),
    *(f"tests/unit/lightspeed/test_{name}.py" for name in ("closed_window", "proof", "reader", "records", "split")),
    *(f"tests/integration/lightspeed/test_{name}.py" for name in ("cli", "client", "estimate_and_reader", "tap")),
    "tests/hostile",
    "tests/property/test_reading.py",
)
_RUNS = (
    "tests/unit/subscribe",
    "tests/integration/subscribe",
    "tests/hostile",
    *(f"tests/property/test_{name}.py" for name in ("chains", "clock_worlds", "interleavings", "never_updated")),
    *(f"tests/property/test_{name}.py" for name in ("races", "unproved_runs")),
)
_PUBLISH_TESTS = ("tests/unit/publish", "tests/integration/publish")

MODULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "listing": (f"{_CLIENT}/listing", (*_LISTING, *_RUNS)),
    "run": (f"{_SUBSCRIBE}/run", _RUNS),
    "sync": (f"{_SUBSCRIBE}/sync", _RUNS),
    "reconcile": (f"{_SUBSCRIBE}/reconcile", _RUNS),
    "publish": (f"{_PUBLISH}/batch", _PUBLISH_TESTS),
    "idempotency": (f"{_PUBLISH}/idempotency.py", _PUBLISH_TESTS),
}
"""By name: what is changed, and the tests that may notice it."""

_PAIRS = (
    "Comparison:Eq_NotEq NotEq_Eq Lt_LtE LtE_Lt Gt_GtE GtE_Gt Lt_GtE LtE_Gt Gt_LtE GtE_Lt Is_IsNot IsNot_Is",
    "Binary:Add_Sub Sub_Add Mul_FloorDiv FloorDiv_Mul Div_Mul Mod_Sub BitAnd_BitOr BitOr_BitAnd BitXor_BitAnd",
    "Unary:Delete_Not Delete_USub",
)
_OPERATORS = [
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
] + [f"Replace{kind}Operator_{pair}" for kind, pairs in (line.split(":") for line in _PAIRS) for pair in pairs.split()]
_CODE = re.compile(r'"[A-Za-z_#/][\w.:/-]*"')
_READ_BY_MYPY = re.compile(r"if TYPE_CHECKING:|\w+ = (TypeVar\(|Literal\[)")
_REWRITE = "ignore::pytest.PytestAssertRewriteWarning"
"""The packages of pytest's plugins are imported before pytest runs."""

_BEHIND = 6
"""Lines behind a change that show which tests tell the changed way from the other one."""

_MAX_SECONDS = 60
"""A change that the first tests accept for so long counts as not noticed."""


class DropCall(Operator):  # type: ignore[misc]
    """Leaves out a call whose result is not used."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        """Yield the position of the call, if the node is one."""
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "power"):
            call = node.children[0]
            if call.children[-1].type == "trailer" and call.children[-1].children[0].value == "(":
                yield call.start_pos, call.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - the base's
        """Return a statement that does nothing."""
        call = node.children[0]
        node.children[0] = parso.python.tree.Name("pass", call.start_pos, call.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """Return none; the base asks for them."""
        return ()


class ChangeCode(Operator):  # type: ignore[misc]
    """Changes a text that is a code or a key, not a sentence."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        """Yield the position of the text, if the node is one."""
        if node.type == "string" and _CODE.fullmatch(node.value):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - the base's
        """Return another text."""
        node.value = f'"other {node.value[1:]}'
        return node

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """Return none; the base asks for them."""
        return ()


@dataclass(frozen=True)
class Mutant:
    """A change.

    Attributes:
        path: Of the file, relative to the root.
        line: Number of the line.
        operator: Makes the change, at one of its positions in the file, counted from 0.
    """

    path: str
    line: int
    operator: Operator
    occurrence: int

    def code(self) -> str | None:
        """Return the changed file; `None` if it is the same, or if the change cannot be made."""
        source = (ROOT / self.path).read_text()
        try:
            changed: str | None = mutate_code(source, self.operator, self.occurrence)
        except AttributeError:  # cosmic-ray cannot replace the name of an exception that has a dot
            return None
        return None if changed == source else changed

    def __str__(self) -> str:
        """Return the place, and the line before and after."""
        before, after = (ROOT / self.path).read_text().splitlines(), (self.code() or "").splitlines()
        return f"{self.path}:{self.line}\n  - {before[self.line - 1].strip()}\n  + {after[self.line - 1].strip()}"


def _hidden(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where no test can notice a change, each as the line and column of its begin and of its end.

    These are annotations, decorators, bases and what only mypy reads, and the `strict` of a `zip`, which makes no
    difference where both are as long as it states.
    """
    hidden: list[Any] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            hidden += [*node.decorator_list, node.returns, *(a.annotation for a in arguments if a is not None)]
        elif isinstance(node, ast.ClassDef):
            hidden += [*node.decorator_list, *node.bases, *node.keywords]
        elif isinstance(node, ast.AnnAssign):
            hidden.append(node.annotation)
        elif isinstance(node, ast.If | ast.Assign) and _READ_BY_MYPY.match(ast.unparse(node)):
            hidden.append(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "zip":
            hidden += node.keywords
    return [
        ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)) for node in hidden if node is not None
    ]


def _files(place: str) -> list[str]:
    """Return the path of a file, or of the files of a folder."""
    target = ROOT / place
    return [place] if target.is_file() else [f"{place}/{path.name}" for path in sorted(target.glob("*.py"))]


def mutants(place: str) -> list[Mutant]:
    """Return every change of a file, or of the files of a folder."""
    operators = [get_operator(f"core/{name}")() for name in _OPERATORS] + [DropCall(), ChangeCode()]
    found = []
    for path in _files(place):
        source = (ROOT / path).read_text()
        hidden, tree = _hidden(source), get_ast(source)
        for operator in operators:
            positions = (span for node in ast_nodes(tree) for span in operator.mutation_positions(node))
            for occurrence, (start, _) in enumerate(positions):
                if not any(begin <= start < end for begin, end in hidden):
                    found.append(Mutant(path, start[0], operator, occurrence))
    return found


class Tree:
    """A copy of the project, in which tests run: every file that git would commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the git of this machine
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def reach(self, places: Sequence[str], tests: Sequence[str]) -> Reach:
        """Run tests of the unchanged project, and return which lines of the places each one reaches."""
        found = Path(self.folder / "reach.json")
        self._run(_trace, (self.folder, places, tests, found))
        reach = Reach(**json.loads(found.read_text()))
        for test in reach.failed:
            print(f"fails without any change, so it is left out: {test}")
        return reach

    def notices(self, mutant: Mutant, code: str, tests: Mapping[str, float]) -> bool:
        """Return whether one of the tests fails with a change."""
        changed = self.folder / mutant.path
        changed.write_text(code)
        try:
            return self._run(_test, (self.folder, tests)) != 0
        finally:
            shutil.copy2(ROOT / mutant.path, changed)

    @staticmethod
    def _run(target: Callable[..., None], args: tuple[Any, ...]) -> int | None:
        child = multiprocessing.get_context("fork").Process(target=target, args=args)
        child.start()
        child.join()
        return child.exitcode


@dataclass(frozen=True)
class Reach:
    """Which tests reach a line.

    Attributes:
        lines: The tests by line by path. Line 0 is for the statements that run when a module is imported.
        seconds: How long each test takes.
        failed: The tests that fail without any change.
    """

    lines: Mapping[str, Mapping[str, Sequence[str]]]
    seconds: Mapping[str, float]
    failed: Sequence[str]

    def tests(self, mutant: Mutant) -> dict[str, float]:
        """Return the tests that reach a change, and how long each takes.

        The first ones are fast, and reach a line shortly behind the change that few tests reach.
        """
        lines = self.lines.get(mutant.path, {})
        begin, end = _statement((ROOT / mutant.path).read_text(), mutant.line)
        found = {test for line in range(begin, end + 1) for test in lines.get(str(line), ())}
        if begin == 0 or found == {""}:  # on import: those that reach the file, or else its folder
            folder = [each for path, each in self.lines.items() if Path(path).parent == Path(mutant.path).parent]
            found = _all(lines) - {""} or set().union(*map(_all, folder))
        behind = [lines.get(str(line), ()) for line in range(begin, end + _BEHIND)]
        shared = {test: min((len(tests) for tests in behind if test in tests), default=1) for test in found}
        cost = {test: round(math.log2(self.seconds[test] * shared[test])) for test in found - {"", *self.failed}}
        ranked = sorted(cost, key=lambda test: (cost[test], test))
        totals = accumulate(self.seconds[test] for test in ranked)
        return {test: self.seconds[test] for test, total in zip(ranked, totals, strict=True) if total < _MAX_SECONDS}


def _all(lines: Mapping[str, Sequence[str]]) -> set[str]:
    return {test for tests in lines.values() for test in tests}


class _Tracer:
    """Notes for pytest which test runs, how long it takes, and whether it fails."""

    def __init__(self, traced: coverage.Coverage) -> None:
        self.traced = traced
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.traced.switch_context(item.nodeid)
        began = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - began
        self.traced.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


class _Chooser:
    """Lets pytest run some tests only, in their order. A test that takes far too long ends the process."""

    def __init__(self, tests: Mapping[str, float]) -> None:
        self.tests = tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        places = {test: place for place, test in enumerate(self.tests)}
        items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        _end_after(self.tests[item.nodeid])


def _end_after(seconds: float) -> None:
    """Let a signal end this process if it takes ten times the time, so that an endless loop or wait is noticed."""
    signal.setitimer(signal.ITIMER_PROF, 10 * seconds + 2)
    signal.setitimer(signal.ITIMER_REAL, 20 * seconds + 30)


def _statement(source: str, line: int) -> tuple[int, int]:
    """Return the first and last line of the statement at a line, without its body; 0 if it runs on import."""
    begin, end, on_import = 0, 0, True
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and begin <= node.lineno <= line <= (node.end_lineno or node.lineno):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            if isinstance(node, ast.FunctionDef) and line > last:
                on_import = False
            begin, end = node.lineno, max(node.lineno, last)
    return (0, 0) if on_import else (begin, max(end, line))


def _prepare(folder: Path) -> None:
    """Let this process import the project from its copy."""
    os.chdir(folder)
    own = (str(ROOT / "functions"), str(ROOT / "layers"), str(ROOT / "tests"))
    sys.path[:] = [place for place in sys.path if place not in ("", str(ROOT)) and not place.startswith(own)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


_WORDS = ["-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not soak", "-W", _REWRITE]


def _trace(folder: Path, places: Sequence[str], tests: Sequence[str], found: Path) -> None:
    """Run tests in this process, and write what `Reach` holds."""
    _prepare(folder)
    include = [str(folder / path) for place in places for path in _files(place)]
    traced = coverage.Coverage(data_file=None, include=include, config_file=False)
    tracer = _Tracer(traced)
    traced.start()
    pytest.main([*_WORDS, *tests], [tracer])
    traced.stop()
    data, lines = traced.get_data(), {}
    for path in data.measured_files():
        lines[str(Path(path).relative_to(folder))] = data.contexts_by_lineno(path)
    found.write_text(json.dumps({"lines": lines, "seconds": tracer.seconds, "failed": tracer.failed}))
    os._exit(0)


def _test(folder: Path, tests: Mapping[str, float]) -> None:
    """Run tests in this process, and end it with their exit status."""
    _prepare(folder)
    _end_after(10)
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    os._exit(int(pytest.main([*_WORDS, "-x", *files], [_Chooser(tests)])))


def measure(name: str, tree: Tree, reach: Reach, seed: int, most: int, seconds: float) -> tuple[int, list[Mutant]]:
    """Try a sample of a module's changes; return how many, and those that no test noticed."""
    found = mutants(MODULES[name][0])
    random.Random(f"{seed} {name}").shuffle(found)
    end, tried, survivors = time.monotonic() + seconds, 0, []
    for mutant in found:
        if tried >= most or time.monotonic() > end:
            break
        code = mutant.code()
        if code is None:
            continue
        tried += 1
        tests = reach.tests(mutant)
        if not tests or not tree.notices(mutant, code, tests):
            survivors.append(mutant)
            print(mutant, flush=True)
    noticed = tried - len(survivors)
    share = 100 * noticed / max(1, tried)
    print(f"{name}: {noticed} of {tried} changes noticed ({share:.0f} %), {len(found):,} possible", flush=True)
    return tried, survivors


def main(argv: Sequence[str]) -> int:
    """Measure modules and print their scores."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description="Count the small changes of the core that no test notices."
    )
    parser.add_argument("modules", nargs="*", choices=[*MODULES, []], metavar="MODULE", help=", ".join(MODULES))
    parser.add_argument("--seed", type=int, default=1, help="decides the sample (1)")
    parser.add_argument("--most", type=int, default=30, help="changes of each module (30)")
    parser.add_argument("--minutes", type=float, default=10, help="for all modules together, in equal shares (10)")
    options = parser.parse_args(argv)
    names = options.modules or list(MODULES)
    tried = survived = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Tree(Path(folder))
        tests = sorted({test for name in names for test in MODULES[name][1]})
        reach = tree.reach([MODULES[name][0] for name in names], tests)
        for name in names:
            some, survivors = measure(name, tree, reach, options.seed, options.most, 60 * options.minutes / len(names))
            tried, survived = tried + some, survived + len(survivors)
    print(f"all: {tried - survived} of {tried} changes noticed ({100 * (tried - survived) / max(1, tried):.0f} %)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
