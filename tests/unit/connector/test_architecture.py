"""Imports point one way, and importing opens nothing and reads no environment."""

import ast
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LAYER = ROOT / "layers" / "lightspeed"
FUNCTIONS = ROOT / "functions"
FILES = sorted([*LAYER.rglob("*.py"), *FUNCTIONS.rglob("*.py")])
OF_AWS = {"boto3", "botocore", "aws_lambda_powertools", "moto"}
HANDLERS = {folder.name for folder in FUNCTIONS.iterdir() if (folder / "app.py").exists()}


def module_of(path: Path) -> str:
    base = LAYER if path.is_relative_to(LAYER) else FUNCTIONS
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, only_at_run_time: bool = False) -> Iterator[str]:
    """Yield the full name of everything that a file imports."""
    waiting: list[ast.AST] = [tree(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and only_at_run_time:
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def package(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("path", [p for p in FILES if module_of(p).startswith("lightspeed")], ids=module_of)
def test_lightspeed_knows_nothing_of_aws(path: Path) -> None:
    found = {package(name) for name in imports(path)}

    assert not found & (OF_AWS | {"connector", "jsonata"} | HANDLERS)


@pytest.mark.parametrize("path", [p for p in FILES if module_of(p).startswith("connector")], ids=module_of)
def test_the_connector_knows_no_function(path: Path) -> None:
    assert not {package(name) for name in imports(path)} & HANDLERS


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(FUNCTIONS)], ids=module_of)
def test_a_function_knows_no_other_function(path: Path) -> None:
    others = HANDLERS - {package(module_of(path))}

    assert not {package(name) for name in imports(path)} & others


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_imports_a_handler_at_run_time(path: Path) -> None:
    for name in imports(path, only_at_run_time=True):
        assert not any(name.startswith(f"{handler}.app") for handler in HANDLERS), name


PROBE = """
import os, socket, sys, builtins, importlib

class Environment(dict):
    def __getitem__(self, key):
        self.seen(key)
        return super().__getitem__(key)
    def get(self, key, default=None):
        self.seen(key)
        return super().get(key, default)
    def seen(self, key):
        frame = sys._getframe(2)
        if frame.f_code.co_filename.startswith(ours):
            raise SystemExit(f"{frame.f_code.co_filename}:{frame.f_lineno} reads {key} while it is imported")

def refuse(*arguments, **more):
    raise SystemExit("a connection is opened while a module is imported")

ours = tuple(sys.argv[1].split(os.pathsep))
os.environ = Environment(os.environ)
socket.socket.connect = refuse
for name in sys.argv[2:]:
    importlib.import_module(name)
import boto3
if boto3.DEFAULT_SESSION is not None:
    raise SystemExit("an AWS session is made while a module is imported")
if sys.modules["logging"].getLogger().handlers:
    raise SystemExit("the root logger is changed while a module is imported")
"""


def test_importing_opens_nothing_and_reads_no_environment() -> None:
    modules = [module_of(path) for path in FILES if path.name != "__main__.py"]
    environment = {"PYTHONPATH": os.pathsep.join([str(FUNCTIONS), str(LAYER)]), "PATH": os.environ["PATH"]}

    done = subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, "-c", PROBE, environment["PYTHONPATH"], *modules],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr


BOTO = ("boto3", "botocore.session", "botocore.exceptions")


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (("subscribe.app", "subscribe.http"), BOTO),
        (("subscribe.watch",), BOTO),
        (("publish.app", "publish.triggers.http", "publish.triggers.sqs", "publish.triggers.file"), BOTO),
        (("authorizer.app",), (*BOTO, "lightspeed", "aws_lambda_powertools", "msgspec")),
        (("webhook.trigger",), BOTO),
        (("webhook.daily",), (*BOTO, "duckdb", "subscribe")),
        (("subscribe.app", "subscribe.http", "publish.app"), ("jsonata", "duckdb", "pyarrow")),
        (("webhook.app", "webhook.receiver"), ("jsonata", "boto3", "botocore", "msgspec", "aws_lambda_powertools")),
        (("lightspeed.cli.main",), ("jsonata", "boto3", "lightspeed.tap.sync", "lightspeed.listing.reader")),
    ],
)
def test_a_cold_start_does_not_load_what_is_not_needed_yet(modules: tuple[str, ...], heavy: tuple[str, ...]) -> None:
    environment = {"PYTHONPATH": os.pathsep.join([str(FUNCTIONS), str(LAYER)]), "PATH": os.environ["PATH"]}
    look = f"import sys, {', '.join(modules)}; print(*[name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True, timeout=300
    )

    assert done.stdout.strip() == ""


RUNS = {f"subscribe.{name}.run" for name in ("run", "sync", "reconcile")}


def written_states(path: Path) -> Iterator[str]:
    """Yield the assignments to members of a run's state."""
    for node in ast.walk(tree(path)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in [each for one in targets for each in getattr(one, "elts", [one])]:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) in ("state", "self._state"):
                yield ast.unparse(node)


@pytest.mark.parametrize("path", [p for p in FILES if module_of(p).startswith("subscribe.")], ids=module_of)
def test_only_a_run_writes_its_state(path: Path) -> None:
    assert bool(list(written_states(path))) == (module_of(path) in RUNS)
