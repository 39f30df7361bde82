"""Write the software bill of materials: every package that the bundle ships, with its version and licence.

It runs in the environment of `requirements-sbom.txt`. The Python packages are those of the layer; cyclonedx-py reads
them from an environment that holds nothing else. Swagger UI is the one package that is not from PyPI.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "layers/lightspeed/requirements.txt"
SBOM = ROOT / "layers/lightspeed/sbom.cdx.json"


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        python = _environment(Path(folder))
        tool = Path(sys.executable).with_name("cyclonedx-py")
        options = ["--spec-version", "1.6", "--output-reproducible", "--mc-type", "application"]
        written = subprocess.run([tool, "environment", *options, python], check=True, capture_output=True, text=True)  # noqa: S603
    found: dict[str, Any] = json.loads(written.stdout)
    found["metadata"]["component"] = {
        "type": "application",
        "bom-ref": "lightspeed-ecom-connector",
        "name": "lightspeed-ecom-connector",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    found["components"] = [_without_paths(one) for one in found["components"]] + [swagger_ui()]
    SBOM.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{SBOM.relative_to(ROOT)}: {len(found['components'])} packages")


def swagger_ui() -> dict[str, Any]:
    """Return the component of the files behind GET /docs, whose version the Makefile pins."""
    (version,) = re.findall(r"(?m)^SWAGGER := swagger-ui-dist@(\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))
    return {
        "type": "library",
        "bom-ref": f"swagger-ui-dist@{version}",
        "name": "swagger-ui-dist",
        "version": version,
        "purl": f"pkg:npm/swagger-ui-dist@{version}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def _environment(folder: Path) -> Path:
    """Return the Python of a new environment with the layer's packages and nothing else."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = ["install", "-qq", "--no-input", "--disable-pip-version-check", "--no-deps", "-r", str(REQUIREMENTS)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True, env=dict(os.environ))  # noqa: S603
    return python


def _without_paths(component: dict[str, Any]) -> dict[str, Any]:
    """Return a component without where it was installed."""
    return {key: value for key, value in component.items() if key != "evidence"}


if __name__ == "__main__":
    main()
