"""Every pinned package has the hashes of its files, so nothing else can be installed under its name."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    "layers/lightspeed/requirements",
    "layers/lightspeed/requirements-client",
    "requirements-operator",
    "requirements-demo",
    "requirements-dev",
    "requirements-target",
    "requirements-sbom",
    "requirements-tools",
]


def pins(text: str) -> set[str]:
    """Return the pins of a requirements file, as pip compares names."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", text, re.MULTILINE)
    return {f"{re.sub('[-_.]+', '-', name).lower()}=={version}" for name, version in found}


def stated(name: str) -> str:
    """Return a file's text with that of the file that it includes."""
    text = (ROOT / f"{name}.in").read_text(encoding="utf-8")
    return text + "".join(stated(other.removesuffix(".in")) for other in re.findall(r"^-r (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_the_hashed_file_pins_what_the_stated_file_pins(name: str) -> None:
    assert pins((ROOT / f"{name}.txt").read_text(encoding="utf-8")) == pins(stated(name)), "run make lock"


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_a_hash(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", "")
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]

    assert [line for line in requirements if not re.search(r"==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


@pytest.mark.parametrize("name", FILES)
def test_every_stated_package_is_pinned(name: str) -> None:
    lines = (ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith(("#", "-r"))]

    assert [line for line in packages if "==" not in line] == []


SBOM = json.loads((ROOT / "layers/lightspeed/sbom.cdx.json").read_text(encoding="utf-8"))


def test_every_shipped_package_is_in_the_bill_of_materials() -> None:
    listed = {f"{one['name']}=={one['version']}" for one in SBOM["components"]}
    shipped = pins((ROOT / "layers/lightspeed/requirements.txt").read_text(encoding="utf-8"))
    (swagger_ui,) = re.findall(r"(?m)^SWAGGER := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))

    assert pins("\n".join(listed)) == shipped | {swagger_ui.replace("@", "==")}, "run make sbom"


@pytest.mark.parametrize("component", SBOM["components"], ids=lambda one: one["name"])
def test_every_shipped_package_has_a_licence(component: dict[str, Any]) -> None:
    assert [one["license"].get("id") or one["license"]["name"] for one in component["licenses"]]
