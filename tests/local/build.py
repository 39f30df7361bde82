"""Builds the layer with its dependencies and the functions' code, for this machine's Python.

`sam build` builds for Lambda's Python and processor, so its packages may not load on this machine. Every result is in a
folder whose name is a hash of the inputs, so an unchanged input is built once.
"""

import compileall
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

from tests.local.process import LocalError

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".local"
LAYER = ROOT / "layers" / "lightspeed"
FUNCTIONS = ROOT / "functions"

RUNTIME_PACKAGES = ("awslambdaric", "boto3", "botocore")

BOOTSTRAP = """\
#!/bin/sh
export AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/$AWS_LAMBDA_FUNCTION_NAME"
export PYTHONPATH="$LAMBDA_TASK_ROOT:{layer}/python:{runtime}"
exec "{python}" -S -m awslambdaric "$_HANDLER"
"""
"""Starts AWS's own runtime loop. The search path is Lambda's: code, layer, runtime; `-S` keeps this machine's out."""


@dataclass(frozen=True)
class Built:
    """Two archives, each named by its content.

    Attributes:
        layer: The layer, with everything under `python/`.
        functions: The functions' code and the executable `bootstrap`.
    """

    layer: Path
    functions: Path


def build() -> Built:
    """Build the layer and the functions unless they are built.

    Raises:
        LocalError: pip could not install a dependency.
    """
    layer = _layer()
    bootstrap = BOOTSTRAP.format(layer=layer, runtime=_runtime(), python=sys.executable)
    return Built(_archive(layer), _archive(_functions(bootstrap)))


def _layer() -> Path:
    """Return the unpacked layer: `python/` with the dependencies and the packages of this repository."""
    requirements = LAYER / "requirements.txt"
    dependencies = _made("dependencies", [requirements.read_bytes()], lambda path: _install(["-r", requirements], path))
    sources = _sources(LAYER)

    def fill(path: Path) -> None:
        shutil.copytree(dependencies, path / "python", copy_function=os.link)
        _copy(LAYER, sources, path / "python")

    return _made("layer", [dependencies.name.encode(), *_contents(LAYER, sources)], fill)


def _functions(bootstrap: str) -> Path:
    sources = _sources(FUNCTIONS)

    def fill(path: Path) -> None:
        _copy(FUNCTIONS, sources, path)
        (path / "bootstrap").write_text(bootstrap)
        (path / "bootstrap").chmod(0o755)

    return _made("functions", [bootstrap.encode(), *_contents(FUNCTIONS, sources)], fill)


def _runtime() -> Path:
    """Return a folder of the packages of Lambda's Python runtime, in the versions of this environment."""
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in RUNTIME_PACKAGES]
    return _made("runtime", [" ".join(wanted).encode()], lambda path: _install(wanted, path))


def _made(kind: str, inputs: Iterable[bytes], fill: Callable[[Path], None]) -> Path:
    """Return the folder that `fill` makes of these inputs. It gets its name only when it is complete."""
    digest = hashlib.sha256(f"{sys.implementation.cache_tag} {platform.platform()}".encode())
    for content in inputs:
        digest.update(len(content).to_bytes(8, "big") + content)
    target = CACHE / kind / digest.hexdigest()[:16]
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as folder:
        made = Path(folder) / "made"
        made.mkdir()
        fill(made)
        # Lambda's code folders are read-only, so every cold start would compile the other modules again
        compileall.compile_dir(made, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        if not target.exists():
            made.rename(target)
    return target


def _install(what: Iterable[str | Path], target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-compile", "--target", str(target), *map(str, what)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own command
    if done.returncode:
        reason = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise LocalError(f"a dependency could not be installed: {reason[-1]}")


def _sources(folder: Path) -> list[Path]:
    """Return the files below a folder, relative to it and in order, without caches and hidden files."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part.startswith((".", "__pycache__")) for part in path.parts))


def _contents(folder: Path, sources: Iterable[Path]) -> Iterable[bytes]:
    for source in sources:
        yield source.as_posix().encode()
        yield (folder / source).read_bytes()


def _copy(folder: Path, sources: Iterable[Path], target: Path) -> None:
    for source in sources:
        destination = target / source
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / source, destination)


def _archive(folder: Path) -> Path:
    """Return the folder as a ZIP beside it, not compressed because it stays on this machine."""
    archive = folder.with_suffix(".zip")
    if not archive.exists():
        unfinished = folder.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(unfinished, "w") as output:
            for path in sorted(folder.rglob("*")):
                output.write(path, path.relative_to(folder))
        unfinished.replace(archive)
    return archive
