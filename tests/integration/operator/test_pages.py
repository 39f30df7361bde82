"""Every command of the documents that works on a stack runs as written."""

import io
import json
import shutil
import sys
from pathlib import Path

import boto3
import pytest

from tests.integration.operator.conftest import Operated
from tests.unit.test_documents import ROOT, commands

READING = ("query", "schema", "catalog")
"""These run on stored records in `test_recipes`."""

FOUND = [(page, words) for page, words in commands("connector") if page != "README.md"]  # e2e/test_readme.py runs that
ON_A_STACK = [
    (page, words)
    for page, words in FOUND
    if words[0] not in READING and words[:2] != ["webhooks", "test"]  # e2e/test_webhooks.py waits for its object
]


@pytest.mark.parametrize(("page", "words"), ON_A_STACK, ids=[" ".join(words) for _, words in ON_A_STACK])
def test_a_command_of_a_page_runs(
    operated: Operated, machines: dict[str, str], monkeypatch: pytest.MonkeyPatch, page: str, words: list[str]
) -> None:
    assert machines
    monkeypatch.chdir(operated.folder)
    shutil.copytree(ROOT / "events", operated.folder, dirs_exist_ok=True)  # the folder with subscriptions.toml
    boto3.client("s3").put_object(
        Bucket="bucket",
        Key="config/transformers/slim.jsonata",
        Body=(ROOT / "events/config/transformers/slim.jsonata").read_bytes(),
    )
    if words[0] == "connect":
        boto3.client("secretsmanager").delete_secret(SecretId=f"mine/{words[1]}", ForceDeleteWithoutRecovery=True)
        secret = {"api_key": operated.shop.api_key, "api_secret": operated.shop.api_secret}
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(secret).encode())))
        place = words.index("--cluster")
        words = [*words[:place], "--base-url", operated.shop.url, "--stdin", *words[place + 2 :]]
    if words == ["--help"]:
        with pytest.raises(SystemExit) as end:
            operated(*words)
        assert end.value.code == 0
        return

    assert operated(*words) == 0, page


def test_commands_of_aws_name_files_and_outputs_that_exist() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    for page in Path(ROOT).glob("**/*.md"):
        if any(part.startswith(".") for part in page.relative_to(ROOT).parts):
            continue
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("aws ") or line.startswith("  --cli-binary-format"):
                files = [word.removeprefix("file://") for word in line.split() if "events/" in word]
                assert all((ROOT / file).is_file() for file in files), line
            if "OutputKey==" in line:
                assert f"  {line.partition('OutputKey==')[2].split(chr(39))[1]}:" in template, line
