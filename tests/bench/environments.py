"""Where the bench keeps what it makes: below `.local/bench`, and the former commit that it may be compared with."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "bench"


class PackagesMissing(Exception):
    """Packages could not be installed; the message says which, and what pip said last."""


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Give a folder with the files of a commit, which goes afterwards.

    Raises:
        SystemExit: git does not know the commit.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="former-")
    _git("worktree", "add", "--quiet", "--detach", "--force", folder, commit)
    try:
        yield Path(folder)
    finally:
        _git("worktree", "remove", "--force", folder)


def _git(*words: str) -> None:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise SystemExit(f"git {' '.join(words)}: {done.stderr.strip()}")


def commit() -> str:
    """Return the short name of the commit that is measured, with a star if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=*", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or "not in git"
