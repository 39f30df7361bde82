"""The commands of the pages, as a new user types them: with only what the page's own line installs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fresh_python import ROOT, fresh_python
from tests.integration.lightspeed.conftest import settings_of
from tests.shop import Shop

LAYER = ROOT / "layers" / "lightspeed"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def install_line(block: str) -> str:
    return next(line for line in block.splitlines() if line.startswith("pip install"))


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop(orders=5, products=3) as running:
        yield running


class Shell:
    """A shell in an empty folder from which the repository's folders can be seen."""

    def __init__(self, folder: Path, install: str, **variables: str) -> None:
        self.folder = folder / "clone"
        self.folder.mkdir()
        for name in ("functions", "layers", "requirements-operator.txt"):
            (self.folder / name).symlink_to(ROOT / name)
        commands = fresh_python(install, folder / "fresh")
        self.environment = {"PATH": f"{commands}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **variables}

    def __call__(self, script: str) -> "subprocess.CompletedProcess[str]":
        words = ["/bin/sh", "-ec", script]
        return subprocess.run(  # noqa: S603 - ours
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )


def test_every_command_of_the_client_runs_with_what_its_page_installs(shop: Shop, tmp_path: Path) -> None:
    page = LAYER / "README.md"
    install = next(block for block in blocks(page, "sh") if "requirements-client" in block)
    (commands,) = blocks(page, "console")
    settings = {f"LIGHTSPEED_{name.upper()}": str(value) for name, value in settings_of(shop).items()}
    shell = Shell(tmp_path, install_line(install), **settings)

    done = shell(install + commands.replace("1016615295", str(shop.store.ids("quotes")[0])))

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert (shell.folder / "orders.jsonl.gz").stat().st_size > 0


def test_a_run_into_a_folder_needs_what_its_page_installs(shop: Shop, tmp_path: Path) -> None:
    block = next(block for block in blocks(LAYER / "README.md", "sh") if "--to ./lake" in block)
    settings = {f"LIGHTSPEED_{name.upper()}": str(value) for name, value in settings_of(shop).items()}
    shell = Shell(tmp_path, install_line(block), **settings)

    done = shell(block)

    assert done.returncode == 0, done.stderr
    assert list((shell.folder / "lake").glob("manifests/*/entity=orders/**/*.json"))


def test_the_tester_of_transformers_needs_what_its_page_installs(tmp_path: Path) -> None:
    page = LAYER / "connector" / "transform" / "README.md"
    block = next(block for block in blocks(page, "sh") if "connector.transform" in block)
    shell = Shell(tmp_path, install_line(block))

    done = shell(block)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"id": 7, "total": 12.10}


def test_the_operators_command_line_needs_what_its_page_installs(tmp_path: Path) -> None:
    block = next(block for block in blocks(ROOT / "functions" / "OPERATION.md", "sh") if "pip install" in block)
    shell = Shell(tmp_path, install_line(block))
    imports = "import connector.operator.data.database, connector.operator.status, rich.table, rich.progress"

    done = shell(f"{block}\npython -c '{imports}'")

    assert done.returncode == 0, done.stderr
    assert "webhooks" in done.stdout


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "connector: AWS needs a region: set AWS_DEFAULT_REGION, such as eu-west-1\n"),
        (
            {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"},
            "connector: AWS needs credentials: set AWS_PROFILE, or run aws configure\n",
        ),
    ],
)
def test_a_machine_without_region_or_credentials_is_told_what_to_set(
    variables: dict[str, str], line: str, tmp_path: Path
) -> None:
    install = install_line(next(block for block in blocks(ROOT / "functions" / "OPERATION.md", "sh") if "pip" in block))
    shell = Shell(tmp_path, install, PYTHONPATH="functions:layers/lightspeed", HOME=str(tmp_path), **variables)

    done = shell("python -m connector status --stack mine")

    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("install", "module", "missing"),
    [
        ("pip install pytest", "connector.transform", "msgspec"),
        ("pip install pytest", "connector", "msgspec"),
        ("pip install -r layers/lightspeed/requirements-client.txt", "connector.transform", "jsonata"),
        ("pip install -r layers/lightspeed/requirements.txt", "connector", "botocore"),
        ("pip install pytest", "lightspeed", "msgspec"),
        ("pip install msgspec", "lightspeed", "requests"),
    ],
)
def test_a_missing_package_is_one_line_that_says_how_to_install_it(
    install: str, module: str, missing: str, tmp_path: Path
) -> None:
    shell = Shell(tmp_path, install, PYTHONPATH="functions:layers/lightspeed")

    done = shell(f"python -m {module} --help")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    advice = done.stderr.partition(f"the Python package '{missing}' is missing; install it with: ")[2]
    again = tmp_path / "again"
    again.mkdir()
    advised = Shell(again, advice.strip(), PYTHONPATH="functions:layers/lightspeed")(f"python -m {module} --help")
    assert advised.returncode == 0, advised.stderr
