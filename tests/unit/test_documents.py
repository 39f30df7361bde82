"""The documents say what is: their examples are event files that tests run, and their names and links exist."""

import json
import re
from pathlib import Path

import pytest

from connector.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
EXAMPLES = [
    (name, path, text)
    for name, page in TEXTS.items()
    for path, text in re.findall(r"<!-- (events/\S+\.json) -->\n```json\n(.*?)```", page, re.DOTALL)
]
REFERENCE = TEXTS["functions/README.md"]


@pytest.mark.parametrize(("page", "path", "text"), EXAMPLES, ids=[f"{page} {path}" for page, path, _ in EXAMPLES])
def test_an_example_is_the_event_file_of_that_name(page: str, path: str, text: str) -> None:
    assert json.loads(text) == json.loads((ROOT / path).read_text(encoding="utf-8")), page


@pytest.mark.parametrize("name", TEXTS)
def test_every_make_target_named_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)(?:`|^)make ([a-z][a-z0-9]+)", TEXTS[name]))

    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", TEXTS[name])

    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_every_setting_is_documented() -> None:
    settings = set(re.findall(r"`([A-Z_]{4,})`", Settings.__doc__ or ""))

    assert settings
    assert {name for name in settings if f"`{name}`" not in REFERENCE} == set()


def test_the_front_page_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 200
