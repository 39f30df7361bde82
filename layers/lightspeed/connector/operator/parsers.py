"""The parsers of the commands, and the types of their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from typing import Any

from lightspeed.connection import is_connection_name


def add_command(
    commands: Any, common: argparse.ArgumentParser, name: str, text: str, doc: str | None, run: Callable[..., int]
) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    Args:
        commands: The subparsers of the command line.
        common: The parser of the options that every command has.
        name: The command's name.
        text: What the command does, for the list of commands and for its own help.
        doc: The docstring of its module. The help ends with the text after `Examples:`, as written.
        run: Takes the parsed arguments and the stack, and returns the exit status.
    """
    parser: argparse.ArgumentParser = commands.add_parser(name, description=text, parents=[common], **_help(text, doc))
    parser.set_defaults(run=run, command=name)
    return parser


def add_group(commands: Any, name: str, text: str, doc: str | None) -> Any:
    """Add a command that has verbs, and return its subparsers. The arguments are those of `add_command`."""
    return commands.add_parser(name, **_help(text, doc)).add_subparsers(required=True, metavar="VERB")


def _help(text: str, doc: str | None) -> dict[str, Any]:
    examples = (doc or "").partition("\nExamples:")[2]
    formatter = argparse.RawDescriptionHelpFormatter
    return {"help": text, "epilog": f"examples:{examples}", "formatter_class": formatter}


def day(text: str) -> str:
    """Return a day such as `2026-11-23`: the type of an argument."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a date such as 2026-11-23, not {text!r:.100}")


def connection_name(text: str) -> str:
    """Return the name of a connection: the type of an argument."""
    if not is_connection_name(text):
        raise argparse.ArgumentTypeError(f"a connection has letters, digits, _ and - only, not {text!r:.100}")
    return text
