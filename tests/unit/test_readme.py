"""The README says what is: its examples are the event files that the tests run, its names exist."""

import json
import re
from pathlib import Path

import pytest

from connector.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- (events/\S+\.json) -->\n```json\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("path", "text"), EXAMPLES, ids=[path for path, _ in EXAMPLES])
def test_an_example_is_the_event_file_of_that_name(path: str, text: str) -> None:
    assert json.loads(text) == json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    for target in re.findall(r"`?make ([a-z][a-z0-9]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_setting_is_documented() -> None:
    for line in (Settings.__doc__ or "").splitlines():
        for name in re.findall(r"`([A-Z_]{4,})`", line):
            assert f"`{name}`" in README, name


def test_no_section_is_left_open() -> None:
    assert "<!-- section:" not in README
