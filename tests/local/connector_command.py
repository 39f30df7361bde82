"""Runs `python -m connector` on a stack on this machine."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.local.build import ROOT
from tests.local.emulator import ACCESS_KEY, REGION, SECRET_KEY
from tests.local.stack import STACK_NAME, Stack


def run_connector(
    stack: Stack, words: Sequence[str], *, home: Path | None = None, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command and wait for its end.

    Args:
        stack: The stack.
        words: The command.
        home: The home folder of the command, which holds its cache; by default the user's own.
        capture: Whether to return the output instead of printing it.
    """
    environ = {
        "HOME": str(home or Path.home()),
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(ROOT / "layers" / "lightspeed"),
        "AWS_ENDPOINT_URL": stack.emulator.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    command = [sys.executable, "-m", "connector", "--stack", STACK_NAME, *words]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=capture, text=True, check=False)  # noqa: S603
