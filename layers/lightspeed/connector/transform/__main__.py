"""Try a transformer: `python -m connector.transform EXPR|FILE --input sample.json`."""

from __future__ import annotations

import argparse
import errno
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from connector.errors import RequestError, TransformError
from connector.transform.engine.errors import caret
from connector.transform.library import NotFoundInLibrary, check_name, parse_table
from connector.transform.tester import KINDS, steps_of
from lightspeed.cli.arguments import CommandError, Parser, read_standard_input
from lightspeed.cli.output import discard_output
from lightspeed.numbers import loads

_DESCRIPTION = "Apply JSONata expressions to a sample and print what each of them returns, or the error under a caret."

_FILE_NAME = re.compile(r"[\w./ -]+\.jsonata")


class Folder:
    """A library in a folder: `transformers/<name>.jsonata` and `tables/<name>.json`, as under `config/` in S3."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def transformer(self, name: str) -> str:
        """Return the text of a saved transformer; see `Library`."""
        return self._read(f"transformers/{name}.jsonata", f"saved transformer {name!r}")

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table; see `Library`."""
        check_name(name, "table")
        text = self._read(f"tables/{name}.json", f"table {name!r}")
        try:
            return parse_table(text)
        except ValueError as error:
            raise NotFoundInLibrary(f"the table {name!r} cannot be read: {error}") from None

    def _read(self, path: str, subject: str) -> str:
        try:
            return (self._folder / path).read_text("utf-8-sig")
        except (OSError, ValueError):
            raise NotFoundInLibrary(f"there is no {subject}: {self._folder / path} cannot be read") from None


def main(arguments: Sequence[str] | None = None, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Run the tester.

    Returns:
        The exit status: 0 done, 1 an expression failed, 2 the command was wrong, 130 interrupted.
    """
    out, err = out or sys.stdout, err or sys.stderr
    try:
        parsed = _parser().parse_args(arguments)
        if out is None:
            raise CommandError("standard output is closed")
        _try(parsed, out)
        out.flush()
    except (CommandError, RequestError) as error:
        print(f"connector.transform: {error}", file=err)
        return 2
    except KeyboardInterrupt:
        return 130
    except TransformError as error:
        print(caret(error.expression, error.position), file=err)
        print(error.reason, file=err)
        return 1
    except OSError as error:
        discard_output()
        if isinstance(error, BrokenPipeError):
            return 0  # the reader has seen enough
        print(f"connector.transform: cannot write: {error.strerror}", file=err)
        return 2
    return 0


def _try(args: argparse.Namespace, out: TextIO) -> None:
    scope = {key: getattr(args, key) for key in ("connection", "entity", "language", "now")}
    try:
        given = [_expression(text) for text in args.transformer]
        scope["bookmark"] = None if args.bookmark is None else _json("--bookmark", args.bookmark)
        text = read_standard_input() if args.input == "-" else _text(args.input)
        value = _json(f"--input {args.input}", text)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    steps = steps_of(given, value, kind=args.kind, scope=scope, library=Folder(Path(args.config)))
    for number, step in enumerate(steps, 1):
        if len(given) > 1:
            print(f"step {number}: {' '.join(step['expression'].split()):.100}", file=out)
        for element in step["output"]:
            print(_pretty(element), file=out)
        if not step["output"]:
            print("(nothing)", file=out)


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _json(name: str, text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise ValueError(f"{name:.100} is not JSON: {error}") from error


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None


def _expression(text: str) -> str | dict[str, str]:
    """Return an argument as a transformer: a reference, the content of the file that it names, or itself."""
    if text.lstrip().startswith('{"$ref"'):
        reference: dict[str, str] = json.loads(text)
        return reference
    if _FILE_NAME.fullmatch(text) and not Path(text).is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file", text)
    try:
        return _text(text) if len(text) < 1000 and Path(text).is_file() else text
    except OSError:
        return text


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m connector.transform", description=_DESCRIPTION)
    parser.add_argument("transformer", nargs="+", metavar="EXPR|FILE", help="applied in order")
    parser.add_argument("--input", required=True, metavar="FILE", help="JSON sample; - for standard input")
    parser.add_argument("--kind", choices=KINDS, default="record", help="record (default), or parameters of a request")
    parser.add_argument("--config", default="config", metavar="DIR", help="folder with transformers/ and tables/")
    parser.add_argument("--connection", default="default", help="what $connection is")
    parser.add_argument("--entity", default="", help="what $entity is")
    parser.add_argument("--language", default="", help="what $language is")
    parser.add_argument(
        "--bookmark", metavar="JSON", help='what $bookmark is, such as {"until": "2026-11-23T06:00:00Z"}'
    )
    parser.add_argument("--now", metavar="TIME", help="what $now() answers; the present if left out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
