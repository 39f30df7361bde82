"""What a demo left running on purpose: where it is noted, and how it is stopped."""

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
    """A demo that is running in the background.

    Attributes:
        pids: Process id by name.
        folder: Logs and temporary files.
        endpoint: The emulator's origin.
        outputs: The stack's outputs.
    """

    pids: dict[str, int]
    folder: str
    endpoint: str
    outputs: dict[str, str]

    def stack(self) -> Stack:
        """The stack that was deployed."""
        return Stack(Emulator(self.endpoint, self._child("emulator")), self.outputs)

    def running(self) -> list[Child]:
        """Its processes that are still there. A process id that went to another program is not ours."""
        return [self._child(name) for name, pid in self.pids.items() if MODULES[name] in _command(pid)]

    def _child(self, name: str) -> Child:
        return Child(name, self.pids[name], Path(self.folder) / f"{name}.log")


def keep(stack: Stack, shop: Shop, folder: Path) -> None:
    """Note what is left running."""
    children = (stack.emulator.child, shop.child)
    kept = Kept(
        {child.name: child.pid for child in children}, str(folder), stack.emulator.endpoint, dict(stack.outputs)
    )
    NOTE.write_text(json.dumps(vars(kept), indent=1))


def find() -> Kept | None:
    """What was noted, if any of it is running."""
    if not NOTE.exists():
        return None
    kept = Kept(**json.loads(NOTE.read_text()))
    return kept if kept.running() else None


def stop() -> str:
    """Stop what a demo left running, and say so."""
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
    """Make sure that nothing was left running.

    Raises:
        LocalError: Something was.
    """
    if find() is not None:
        raise LocalError("a demo is still running: stop it with `make stop`")


def _command(pid: int) -> str:
    """The command line of a process, empty if there is none."""
    listed = Path(f"/proc/{pid}/cmdline")
    if listed.exists():
        return listed.read_text().replace("\0", " ")
    asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return asked.stdout
