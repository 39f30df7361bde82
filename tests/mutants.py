"""Changes the core in small ways and counts the changes that no test notices: `python -m tests.mutants --minutes 10`.

Every change is made in a copy of the tree. The tests of a module run in a child process: it inherits the imported
packages, so that a change costs little more than its tests. The packages of the project itself are imported again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import multiprocessing
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

MODULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "listing": (
        f"{_CLIENT}/listing",
        (
            "tests/unit/lightspeed/test_progress.py",
            "tests/unit/lightspeed/test_split.py",
            "tests/unit/lightspeed/test_children.py",
            "tests/integration/lightspeed/test_client.py",
            "tests/integration/lightspeed/test_cli.py",
            "tests/hostile/test_numbered_lists.py",
            "tests/property/test_reading.py",
        ),
    ),
    "run": (
        f"{_SUBSCRIBE}/run",
        (
            "tests/unit/subscribe/test_cursor.py",
            "tests/unit/subscribe/test_bookmark.py",
            "tests/unit/subscribe/test_journal.py",
            "tests/unit/subscribe/test_lease.py",
            "tests/unit/subscribe/test_reconcile.py",
            "tests/unit/subscribe/test_reconcile_invocations.py",
            "tests/integration/subscribe/test_partial.py",
            "tests/property/test_interleavings.py",
            "tests/unit/subscribe/test_reconcile_crashes.py",
            "tests/property/test_races.py",
        ),
    ),
    "sync": (
        f"{_SUBSCRIBE}/sync",
        (
            "tests/unit/subscribe/test_bookmark.py",
            "tests/unit/subscribe/test_plan.py",
            "tests/integration/subscribe/test_incremental.py",
            "tests/integration/subscribe/test_each_parent.py",
            "tests/integration/subscribe/test_partial.py",
            "tests/property/test_interleavings.py",
            "tests/property/test_races.py",
        ),
    ),
    "publish": (
        f"{_PUBLISH}/batch",
        (
            "tests/unit/publish",
            "tests/integration/publish/test_batches.py",
            "tests/integration/publish/test_lookups.py",
            "tests/integration/publish/test_places.py",
            "tests/integration/publish/test_one_writer.py",
            "tests/integration/publish/test_queue.py",
        ),
    ),
    "idempotency": (
        f"{_PUBLISH}/idempotency.py",
        (
            "tests/integration/publish/test_once.py",
            "tests/integration/publish/test_lost_answers.py",
            "tests/integration/publish/test_queue.py",
        ),
    ),
}
"""By name: what is changed, and the tests that should notice it, the fastest ones first."""

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
_REWRITE = "ignore::pytest.PytestAssertRewriteWarning"
"""The packages of pytest's plugins are imported before pytest runs."""

_SLOWER = 10
"""A change is noticed if the tests take this many times the CPU of the unchanged ones: it made an endless loop."""


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


def _hidden_lines(source: str) -> set[int]:
    """Return the lines whose changes no test can notice: annotations, decorators, bases, and what only mypy reads."""
    hidden: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            parts = [*node.decorator_list, node.returns, *(a.annotation for a in arguments if a is not None)]
        elif isinstance(node, ast.ClassDef):
            parts = [*node.decorator_list, *node.bases, *node.keywords]
        elif (isinstance(node, ast.AnnAssign) and node.value is None) or (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        ):
            parts = [node]
        for part in parts:
            if isinstance(part, ast.expr | ast.stmt | ast.keyword):
                hidden.update(range(part.lineno, (part.end_lineno or part.lineno) + 1))
    return hidden


def mutants(place: str) -> list[Mutant]:
    """Return every change of a file, or of the files of a folder."""
    target = ROOT / place
    operators = [get_operator(f"core/{name}")() for name in _OPERATORS] + [DropCall(), ChangeCode()]
    found = []
    for path in [target] if target.is_file() else sorted(target.glob("*.py")):
        source = path.read_text()
        hidden, tree = _hidden_lines(source), get_ast(source)
        for operator in operators:
            positions = (span for node in ast_nodes(tree) for span in operator.mutation_positions(node))
            for occurrence, (start, _) in enumerate(positions):
                if start[0] not in hidden:
                    found.append(Mutant(str(path.relative_to(ROOT)), start[0], operator, occurrence))
    return found


class Tree:
    """A copy of the project, in which tests run."""

    def __init__(self, folder: Path) -> None:
        """Copy what git would commit."""
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

    def cpu_seconds(self, tests: Sequence[str]) -> float:
        """Return the CPU time of tests of the unchanged project, which must pass."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        if self._run(tests, 900, quiet=False) != 0:
            raise SystemExit(f"tests fail without any change: {' '.join(tests)}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def notices(self, mutant: Mutant, code: str, tests: Sequence[str], cpu_seconds: float) -> bool:
        """Return whether tests fail with a change."""
        changed = self.folder / mutant.path
        changed.write_text(code)
        try:
            return self._run(tests, int(cpu_seconds * _SLOWER) + 10, quiet=True) != 0
        finally:
            shutil.copy2(ROOT / mutant.path, changed)

    def _run(self, tests: Sequence[str], most_cpu_seconds: int, *, quiet: bool) -> int | None:
        child = multiprocessing.get_context("fork").Process(
            target=_test, args=(self.folder, tests, most_cpu_seconds, quiet)
        )
        child.start()
        child.join(20 * most_cpu_seconds)  # a change may also make a test wait for ever
        if child.is_alive():
            child.kill()
            child.join()
        return child.exitcode


def _test(folder: Path, tests: Sequence[str], most_cpu_seconds: int, quiet: bool) -> None:
    """Run tests in this process, and end it with their exit status."""
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (most_cpu_seconds, most_cpu_seconds))
    own = (str(ROOT / "functions"), str(ROOT / "layers"), str(ROOT / "tests"))
    sys.path[:] = [place for place in sys.path if place not in ("", str(ROOT)) and not place.startswith(own)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    words = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-m", "not soak", "-W", _REWRITE, *tests]
    with Path(os.devnull).open("w") as nothing, contextlib.ExitStack() as ends:
        if quiet:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
            ends.enter_context(contextlib.redirect_stdout(nothing))
            ends.enter_context(contextlib.redirect_stderr(nothing))
        status = pytest.main(words)
    os._exit(int(status))


def measure(name: str, tree: Tree, seed: int, most: int, seconds: float) -> tuple[int, list[Mutant]]:
    """Try a sample of a module's changes; return how many, and those that no test noticed."""
    place, tests = MODULES[name]
    found = mutants(place)
    random.Random(f"{seed} {name}").shuffle(found)
    cpu_seconds = tree.cpu_seconds(tests)
    end, tried, survivors = time.monotonic() + seconds, 0, []
    for mutant in found:
        if tried >= most or time.monotonic() > end:
            break
        code = mutant.code()
        if code is None:
            continue
        tried += 1
        if not tree.notices(mutant, code, tests, cpu_seconds):
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
        for name in names:
            some, survivors = measure(name, tree, options.seed, options.most, 60 * options.minutes / len(names))
            tried, survived = tried + some, survived + len(survivors)
    print(f"all: {tried - survived} of {tried} changes noticed ({100 * (tried - survived) / max(1, tried):.0f} %)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
