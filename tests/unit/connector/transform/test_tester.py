import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from connector.transform.__main__ import main


@pytest.fixture
def sample(tmp_path: Path) -> str:
    path = tmp_path / "sample.json"
    path.write_text('{"id": 7, "price": 1.10, "lines": [{"n": 1}, {"n": 2}]}')
    return str(path)


def _run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return main(arguments, out, err), out.getvalue(), err.getvalue()


def test_each_step_is_shown_with_what_it_returns(sample: str) -> None:
    status, out, err = _run('{"id": id, "price": price}', "id = 7 ? $ : null", "nothing", "--input", sample)

    assert (status, err) == (0, "")
    assert out == (
        'step 1: {"id": id, "price": price}\n{\n  "id": 7,\n  "price": 1.10\n}\n'
        'step 2: id = 7 ? $ : null\n{\n  "id": 7,\n  "price": 1.10\n}\n'
        "step 3: nothing\n(nothing)\n"
    )


def test_a_single_expression_shows_its_records_alone(sample: str) -> None:
    assert _run("lines", "--input", sample)[1] == '{\n  "n": 1\n}\n{\n  "n": 2\n}\n'


def test_an_error_stands_under_a_caret_after_the_steps_that_went_well(sample: str) -> None:
    status, out, err = _run("lines", '{\n  "n": n + "a"\n}', "--input", sample)

    assert status == 1
    assert out.startswith("step 1: lines\n")
    assert err == '  "n": n + "a"\n         ^\nthe right side of + must be a number, not \'a\' at position 11\n'


def test_an_error_does_not_repeat_a_long_expression(sample: str) -> None:
    expression = f'{{"n": id + "a", "text": "{"x" * 100}"}}'
    err = _run(expression, "--input", sample)[2]

    assert err.endswith("must be a number, not 'a' at position 9\n")


def test_an_expression_may_lie_in_a_file(sample: str, tmp_path: Path) -> None:
    path = tmp_path / "keep.jsonata"
    path.write_text('{"id": id}\n')

    assert _run(str(path), "--input", sample)[1] == '{\n  "id": 7\n}\n'


def test_saved_transformers_and_tables_come_from_a_folder(sample: str, tmp_path: Path) -> None:
    (tmp_path / "transformers").mkdir()
    (tmp_path / "tables").mkdir()
    (tmp_path / "transformers" / "t.jsonata").write_text('{"a": $lookup_table("t", id)}')
    (tmp_path / "tables" / "t.json").write_text('{"7": "seven"}')
    reference = '{"$ref": "s3:config/transformers/t.jsonata"}'

    assert _run(reference, "--input", sample, "--config", str(tmp_path))[1] == '{\n  "a": "seven"\n}\n'
    status, _, err = _run(reference, "--input", sample)
    assert status == 1
    assert "there is no saved transformer 't'" in err


def test_parameters_of_a_request_are_tried_with_their_scope(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text('{"query": {"reference": "Q-7"}}')
    expression = (
        '{"path": {"id": $number($substringAfter(query.reference, "-"))}, "query": {"a": [bookmark.until, now]}}'
    )
    scope = ["--bookmark", '{"until": "2026-01-01"}', "--now", "2026-11-23T06:00:00Z", "--language", "nl"]

    status, out, _ = _run(expression, "--input", str(path), "--kind", "parameters", *scope)

    assert status == 0
    assert json.loads(out) == {
        "path": {"id": 7},
        "query": {"a": ["2026-01-01", "2026-11-23T06:00:00Z"]},
        "payload": None,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["$", "--input", "/nowhere.json"], "No such file"),
        (["$", "--input", "SAMPLE", "--bookmark", "{"], "--bookmark is not JSON: Expecting"),
        (["$", "--input", __file__], "test_tester.py is not JSON: Expecting value"),
        (["$", "--input", "SAMPLE", "--now", "yesterday"], "now must be a time such as"),
        (["$", "--input", "SAMPLE", "--now", "2026-13-01"], "now must be a time such as"),
    ],
)
def test_a_wrong_command_is_refused_in_one_line(sample: str, arguments: list[str], message: str) -> None:
    status, out, err = _run(*[sample if argument == "SAMPLE" else argument for argument in arguments])

    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: EXPR|FILE, --input (python -m connector.transform --help "),
        (["$"], "the following arguments are required: --input"),
        (["$", "--input", "a.json", "--kind", "x"], "argument --kind: invalid choice: 'x'"),
    ],
)
def test_words_that_make_no_command_are_one_line(arguments: list[str], message: str) -> None:
    status, out, error = _run(*arguments)

    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"connector.transform: {message}")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
        (OSError(28, "No space left on device"), 2, "connector.transform: cannot write: No space left on device\n"),
    ],
)
def test_what_cannot_be_printed_is_no_defect(sample: str, error: OSError, status: int, message: str) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    err = io.StringIO()

    assert main(["$", "--input", sample], Full(), err) == status
    assert err.getvalue() == message


def test_a_closed_standard_output_is_no_defect(sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    err = io.StringIO()

    assert main(["$", "--input", sample], err=err) == 2
    assert err.getvalue() == "connector.transform: standard output is closed\n"


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    sample, expression, out = tmp_path / "sample.json", tmp_path / "keep.jsonata", io.StringIO()
    sample.write_bytes(b'\xef\xbb\xbf{"id": 7}\r\n')
    expression.write_bytes(b'\xef\xbb\xbf{\r\n"id": id}\r\n')

    assert main([str(expression), "--input", str(sample)], out) == 0
    assert out.getvalue() == '{\n  "id": 7\n}\n'


def test_a_closed_standard_input_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert _run("$", "--input", "-") == (2, "", "connector.transform: standard input is closed\n")


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sample.json"
    path.write_bytes('{"id": 7}'.encode("utf-16"))

    assert _run("$", "--input", str(path)) == (2, "", f"connector.transform: {path} is not UTF-8\n")


def test_ctrl_c_ends_it_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(io.StringIO):
        def read(self, _: int | None = -1) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())

    assert _run("$", "--input", "-") == (130, "", "")


def test_it_runs_as_a_command(sample: str) -> None:
    command = [sys.executable, "-m", "connector.transform", '{"id": id}', "--input", sample]
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": "functions:layers/lightspeed"}
    )

    assert done.stdout == '{\n  "id": 7\n}\n'


def test_a_file_that_is_missing_is_not_taken_for_an_expression(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    (tmp_path / "sample.json").write_text("{}")

    status = main([str(tmp_path / "slim.jsonata"), "--input", str(tmp_path / "sample.json")], out, err)

    assert (status, out.getvalue()) == (2, "")
    assert err.getvalue().startswith("connector.transform: ")
    assert "there is no such file" in err.getvalue()
