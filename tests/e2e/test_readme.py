"""The commands of the front page's chapter Deploy, after the deployment, in a shell of a new user."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.fresh_python import ROOT, fresh_python
from tests.local.emulator import ACCESS_KEY, REGION, SECRET_KEY
from tests.local.shop import Shop
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

CHAPTER = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Deploy")[2].partition("\n## ")[0]
BLOCKS = [re.sub(r"(?m)^   ", "", block) for block in re.findall(r"```sh\n(.*?)```", CHAPTER, re.DOTALL)]


def test_the_steps_after_the_deployment_lead_to_records(bundle: tuple[Stack, Shop], tmp_path: Path) -> None:
    stack, shop = bundle
    deploy, connect, run, query = BLOCKS
    assert deploy.splitlines() == ["make build && sam deploy --guided"]
    environment, install, path, question = connect.splitlines()
    assert environment == "python3 -m venv .venv && . .venv/bin/activate"
    commands = fresh_python(install, tmp_path / "fresh")
    # the real cluster is out of reach, and a test has no terminal that asks
    question = question.replace("--cluster eu1", f"--base-url {shop.url} --stdin")
    environ = {
        "HOME": str(tmp_path),
        "PATH": f"{commands}:/usr/bin:/bin",
        "AWS_ENDPOINT_URL": stack.emulator.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    script = "\n".join([install, path, question, run, query])

    done = subprocess.run(  # noqa: S603 - ours
        ["/bin/sh", "-ec", script],
        cwd=ROOT,
        env=environ,
        input=json.dumps(shop.connection),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stderr
    assert "; stored" in done.stdout
    assert done.stdout.count("processing_awaiting_shipment") > 0
