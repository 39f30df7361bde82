"""The command line `python -m connector`.

Exit status: 0 done, 1 refused by or no answer from the shop or AWS, 2 wrong command, 130 interrupted. An error is one
plain line on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from connector.aws import botocore_errors
from connector.aws.errors import aws_error_types
from connector.errors import ConnectorError, RequestError, UnknownConnection
from connector.operator import connect, cost, redrive, runs, status, webhooks
from connector.operator.data import catalog, query, schema
from connector.operator.stack import CommandError, OperationFailed, Stack, default_stack_name
from connector.operator.storage import compact, forget
from connector.operator.subscriptions import plan_and_apply
from lightspeed import InvalidConnection, LightspeedError, UnknownEntity
from lightspeed.cli.arguments import Parser
from lightspeed.cli.output import discard_output, print_note

COMMANDS = (connect, plan_and_apply, runs, status, redrive, cost, query, schema, catalog, compact, forget, webhooks)
"""The modules of the commands, in the order of the help.

Each has `add_parser(commands, common)`, which sets `run`: a function of the parsed arguments and the stack.
"""

INTERRUPTED = 130
_READING = ("query", "schema", "runs", "status", "cost", "plan")
"""Commands that change nothing."""

_WRONG_COMMAND = (CommandError, RequestError, UnknownConnection, UnknownEntity, InvalidConnection)


def main(argv: Sequence[str] | None = None, *, open_stack: Callable[[str], Stack] = Stack) -> int:
    """Run one command and return its exit status.

    Args:
        argv: The arguments after the program's name; those of the process by default.
        open_stack: Returns the stack with a name. The name is empty if neither an option nor samconfig.toml gives one.
    """
    arguments = argparse.Namespace()
    try:
        build_parser().parse_args(argv, arguments)
        if sys.stdout is None:
            raise CommandError("standard output is closed; nothing was done")
        name = getattr(arguments, "stack", "") or default_stack_name(Path.cwd())
        exit_status: int = arguments.run(arguments, open_stack(name))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except _WRONG_COMMAND as error:
        return _fail(2, error)
    except (ConnectorError, LightspeedError) as error:
        return _fail(1, error)
    except aws_error_types() as error:  # some of them are an OSError as well
        return _fail_at_aws(error)
    except OSError as error:
        return _fail_at_output(error, getattr(arguments, "command", ""))
    return exit_status


def _fail_at_output(error: OSError, command: str) -> int:
    """Return the exit status of a command that cannot write its output or a file."""
    discard_output()
    if not isinstance(error, BrokenPipeError):
        return _fail(1, OperationFailed(f"{error.filename or 'cannot write'}: {error.strerror}"))
    if command in _READING:
        return 0  # the program behind the pipe, such as head, needs no more lines
    return _fail(1, OperationFailed("the output was closed; run the command again to do the rest"))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    common = Parser(add_help=False)
    common.add_argument("--stack", default=argparse.SUPPRESS, help="the stack's name (default: from samconfig.toml)")
    parser = Parser(prog="python -m connector", description="Operate a stack of the connector.", parents=[common])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands, common)
    return parser


def _fail_at_aws(error: Exception) -> int:
    if isinstance(error, botocore_errors.NoRegionError):
        return _fail(2, CommandError("AWS needs a region: set AWS_DEFAULT_REGION, such as eu-west-1"))
    if isinstance(error, botocore_errors.NoCredentialsError):
        return _fail(2, CommandError("AWS needs credentials: set AWS_PROFILE, or run aws configure"))
    return _fail(1, error)


def _fail(status: int, error: Exception) -> int:
    for text in getattr(error, "lines", (str(error),)):
        print_note(text, "connector")
    return status
