"""A Python that sees only what one `pip install` line of a page installs, made of links to what is installed here.

It stands for a fresh virtual environment, and is there at once. `-S` hides the packages of this environment. As pip
does, it refuses a line that mixes files with hashes and packages without.
"""

import importlib.metadata
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def fresh_python(install: str, folder: Path) -> Path:
    """Make commands `python`, `python3` and `pip` in a folder for the `PATH`, and return it.

    Args:
        install: The line, such as `pip install -r requirements.txt`; files are relative to the repository.
        folder: A new folder.
    """
    site = folder / "site-packages"
    site.mkdir(parents=True)
    for name in _names(install):
        _link(importlib.metadata.distribution(name), site)
    commands = folder / "bin"
    commands.mkdir()
    python = f'PYTHONPATH="$PYTHONPATH:{site}" exec {shlex.quote(sys.executable)} -S "$@"'
    for name, line in (("python", python), ("python3", python), ("pip", "exit 0")):
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    return commands


def _names(install: str) -> set[str]:
    """Return the packages that pip would install."""
    pip, command, *words = shlex.split(install)
    assert (pip, command) == ("pip", "install")
    files = [word for before, word in zip(["", *words], words, strict=False) if before == "-r"]
    texts = [(ROOT / name).read_text(encoding="utf-8").replace("\\\n", "") for name in files]
    stated = [line for text in texts for line in text.splitlines() if line and not line.startswith(("#", " "))]
    stated += [word for word in words if word != "-r" and word not in files]
    hashed = ["--hash=" in line for line in stated]
    assert all(hashed) or not any(hashed), "pip refuses requirements without a hash beside those with one"
    wanted = [Requirement(re.sub(r"\s*(--hash=\S+|#.*)", "", line)) for line in stated]
    here = [requirement for requirement in wanted if requirement.marker is None or requirement.marker.evaluate()]
    for requirement in here:
        assert requirement.specifier.contains(importlib.metadata.version(requirement.name)), requirement
    names = {_canonical(requirement.name) for requirement in here}
    return names if any(hashed) else names.union(*map(_needs, names))  # a file with hashes has to name everything


def _needs(name: str) -> Iterator[str]:
    """Return what a package needs, and what that needs."""
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _canonical(requirement.name)
            yield from _needs(requirement.name)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _link(package: importlib.metadata.Distribution, site: Path) -> None:
    for top in {file.parts[0] for file in package.files or () if ".." not in file.parts} - {"__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(package.locate_file(top))))
