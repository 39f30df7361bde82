"""Environments of the other contestants: one virtual environment each below `.local/bench`, with pinned packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "bench"

REQUIREMENTS = {
    "dlt": ("dlt==1.31.0",),
    "airbyte": ("airbyte-cdk==7.39.1",),
}


class PackagesMissing(Exception):
    """An environment could not be made; the message says which packages, and what pip said last."""


def python(name: str) -> Path:
    """Return the interpreter of an environment, made on first use.

    Raises:
        PackagesMissing: The packages cannot be had.
    """
    folder, wanted = FOLDER / "environments" / name, REQUIREMENTS[name]
    interpreter, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.is_file() and stamp.read_text().split() == list(wanted):
        return interpreter
    print(f"Installing {' '.join(wanted)} into {folder.relative_to(ROOT)} (a minute or two, once) ...", file=sys.stderr)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], wanted)
    _run([str(interpreter), "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", *wanted], wanted)
    stamp.write_text("\n".join(wanted))
    return interpreter


def _run(command: list[str], wanted: tuple[str, ...]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-3:])
        raise PackagesMissing(f"{' '.join(wanted)} could not be installed, so it is left out:\n{last}")
