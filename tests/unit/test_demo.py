"""What the demo prints fits a terminal, and what it advises exists."""

import re
from pathlib import Path

import pytest

from tests.local.demo import NEXT, NEXT_ON_A_KEPT_STACK
from tests.local.terminal import WIDTH, Terminal

ROOT = Path(__file__).parents[2]
KEY = (
    "raw/connection=default/entity=products/lang=nl/date=2026-11-28/run=" + "r" * 90 + "/part-00000-91482523ff456f7b.gz"
)
RECORD = {"text": "word " * 60, "unbroken": "x" * 250, "nested": {"key": KEY, "list": list(range(60))}}


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_no_line_is_wider_than_the_terminal(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.fact("landed as", KEY)
    terminal.sent("POST /subscribe", RECORD)
    terminal.came("200 OK", RECORD)
    terminal.came("text", "y" * 300)
    terminal.command(f"python -m connector query '{'SELECT a, b ' * 20}'")
    terminal.block([str(RECORD), "", "short"])

    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= WIDTH


def test_folding_loses_no_character(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.fact("landed as", KEY)
    terminal.sent("event", RECORD)

    shown = re.sub(r"\s", "", capsys.readouterr().out)

    assert shown.startswith("landedas" + KEY)
    assert "x" * 250 in shown
    assert "word" * 60 in shown


def test_a_short_answer_is_one_line(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.came("201 Created", {"status": "created", "id": 7})

    assert capsys.readouterr().out == '    ← 201 Created  {"status": "created", "id": 7}\n'


@pytest.mark.parametrize("advice", [NEXT, NEXT_ON_A_KEPT_STACK])
def test_the_demo_ends_with_three_things_that_exist(advice: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = "\n".join(advice)

    assert [line[0] for line in advice[1:]] == ["1", "2", "3"]
    assert all(len(line) + 4 <= WIDTH for line in advice)
    assert [path for path in re.findall(r"[\w/-]+\.(?:json|md)", text) if not (ROOT / path).exists()] == []
    assert [name for name in re.findall(r"make (\w+)", text) if f"\n{name}:" not in makefile] == []
