"""Every code block of the client's README runs, against the simulated shop."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

import lightspeed
from lightspeed import CATALOGUE, Connection
from lightspeed.cli.tap import about
from lightspeed.tap.streams import discover
from tests.integration.lightspeed.conftest import Run, settings_of
from tests.shop import Shop

LAYER = Path(lightspeed.__file__).parent.parent
PAGE = (LAYER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]


def test_the_page_has_no_block_of_another_kind() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "console", "python", "yaml"}
    assert len(COMMANDS) == 10


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_says(command: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "lightspeed"]

    status, out, err = run(*words[3:])

    written = [path for path in tmp_path.iterdir() if path.stat().st_size]
    assert status == 0
    assert "no orders match" not in err
    assert (out != "") != (written != [])


def test_the_python_block_runs(shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (text for kind, text in BLOCKS if kind == "python")
    loopback = Connection.from_mapping(settings_of(shop))
    monkeypatch.setattr(Connection, "from_mapping", lambda _settings, _name: loopback)

    exec(compile(block, "README.md", "exec"), {"KEY": shop.api_key, "SECRET": shop.api_secret})  # noqa: S102 - ours

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "GET /nl/quotes/1.json: 404 Not found"


def test_the_tap_of_the_shell_block_runs(tmp_path: Path) -> None:
    (block,) = (text for kind, text in BLOCKS if kind == "sh" and "tap=" in text)
    setting, discover, sync = block.replace("tail -1", "tail -n 1").splitlines()
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / "layers").symlink_to(LAYER.parent)
    for name, line in (("target-jsonl", "exec grep '\"STATE\"'"), ("python3", f'exec {sys.executable} "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)

    def shell(command: str) -> None:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        words = ["/bin/sh", "-ec", f"{setting}\n{command}"]
        subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)  # noqa: S603 - ours

    shell(discover)
    catalog = json.loads((tmp_path / "catalog.json").read_text())
    catalog["streams"] = [entry for entry in catalog["streams"] if entry["stream"] == "orders"]
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    with Shop(orders=5, products=2) as shop:
        (tmp_path / "config.json").write_text(json.dumps(settings_of(shop)))
        shell(sync)

    assert list(json.loads((tmp_path / "state.next.json").read_text())["value"]["bookmarks"]) == ["orders"]


def test_the_folder_of_the_shell_block_is_written(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (text for kind, text in BLOCKS if kind == "sh" and "sync" in text)
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(line)[3:] for line in block.splitlines() if line.startswith("python -m lightspeed")]

    assert [run(*words)[0] for words in commands] == [0, 0]
    assert {path.name for path in (tmp_path / "lake" / "raw" / "connection=default").iterdir()} == {
        "entity=orders",
        "entity=orders.products",
    }


def test_meltano_is_told_what_the_tap_says_of_itself() -> None:
    (block,) = (text for kind, text in BLOCKS if kind == "yaml")
    plugins = yaml_parse(block)["plugins"]
    (extractor,), (loader,) = plugins["extractors"], plugins["loaders"]
    settings = about()["settings"]["properties"]

    assert extractor["capabilities"] == about()["capabilities"]
    assert (LAYER.parents[1] / extractor["executable"]).is_file()
    assert [setting["name"] for setting in extractor["settings"]] == list(settings)
    for setting in extractor["settings"]:
        assert (setting.get("kind") == "password") is settings[setting["name"]].get("secret", False)
    streams = {entry["stream"] for entry in discover()["streams"]}
    assert {pattern.removesuffix(".*") for pattern in extractor["select"]} <= streams
    assert loader["pip_url"] in (LAYER.parents[1] / "requirements-target.in").read_text(encoding="utf-8")
    variables = next(text for kind, text in BLOCKS if kind == "sh" and "meltano run" in text)
    assert {f"tap_lightspeed_ecom_{name}".upper() for name in ("cluster", "language", "api_key", "api_secret")} == set(
        re.findall(r"(TAP_[A-Z_]+)=", variables)
    )
    assert f"meltano run {extractor['name']} {loader['name']}" in variables


def test_the_shell_blocks_name_what_exists() -> None:
    shell = "".join(text for kind, text in BLOCKS if kind == "sh")

    assert (LAYER / "requirements-client.txt").is_file()
    assert "pip install -r layers/lightspeed/requirements-client.txt" in shell
    assert "PYTHONPATH=layers/lightspeed" in shell


def test_the_figures_are_those_of_the_catalogue() -> None:
    keys = [row.items_confidence for row in CATALOGUE.values() if row.items is not None]

    assert f"{len(CATALOGUE)} entities" in PAGE
    assert f"{keys.count('inferred')} of the {len(keys)} known list keys" in PAGE
