"""The kept demo: a demo that runs on in the background, with a file that describes it."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.local.build import CACHE
from tests.local.emulator import Emulator
from tests.local.process import Child, LocalError
from tests.local.shop import Shop
from tests.local.stack import Stack

NOTE = CACHE / "running.json"
MODULES = {"emulator": "ministack", "shop": "tests.shop"}


@dataclass(frozen=True)
class Kept:
    """A kept demo.

    Attributes:
        pids: Process ids by name.
        folder: The folder of logs and temporary files.
        endpoint: The emulator's origin.
        outputs: The stack's outputs.
    """

    pids: dict[str, int]
    folder: str
    endpoint: str
    outputs: dict[str, str]

    def stack(self) -> Stack:
        """Return the demo's stack."""
        return Stack(Emulator(self.endpoint, self._child("emulator")), self.outputs)

    def running(self) -> list[Child]:
        """Return its running processes. A process id may meanwhile belong to another program, which is left out."""
        return [self._child(name) for name, pid in self.pids.items() if MODULES[name] in _command(pid)]

    def _child(self, name: str) -> Child:
        return Child(name, self.pids[name], Path(self.folder) / f"{name}.log")


def keep(stack: Stack, shop: Shop, folder: Path) -> None:
    """Write the file that describes a demo."""
    children = (stack.emulator.child, shop.child)
    kept = Kept(
        {child.name: child.pid for child in children}, str(folder), stack.emulator.endpoint, dict(stack.outputs)
    )
    NOTE.write_text(json.dumps(vars(kept), indent=1))


def find() -> Kept | None:
    """Return the kept demo, or `None` if none of its processes runs."""
    if not NOTE.exists():
        return None
    kept = Kept(**json.loads(NOTE.read_text()))
    return kept if kept.running() else None


def stop() -> str:
    """Stop the kept demo and return a sentence about it."""
    kept = find()
    NOTE.unlink(missing_ok=True)
    if kept is None:
        return "nothing is running"
    children = kept.running()
    for child in children:
        child.stop()
    shutil.rmtree(kept.folder, ignore_errors=True)
    return "stopped the " + " and the ".join(child.name for child in children)


def refuse_second() -> None:
    """Check that there is no kept demo.

    Raises:
        LocalError: There is one.
    """
    if find() is not None:
        raise LocalError("a demo is still running: stop it with `make stop`")


def _command(pid: int) -> str:
    """Return the command line of a process; empty if there is no such process."""
    listed = Path(f"/proc/{pid}/cmdline")
    if listed.exists():
        return listed.read_text().replace("\0", " ")
    asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return asked.stdout
