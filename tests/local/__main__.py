"""Runs the bundle on this machine: `python -m tests.local demo`, and commands for a kept demo."""

import argparse
import json
import os
import sys
from pathlib import Path

from tests.local import kept
from tests.local.connector_command import run_connector
from tests.local.invoke import invoke
from tests.local.process import LocalError, interrupt_on_every_end
from tests.local.stack import Stack


def main() -> int:
    """Run a command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="show the connector's main job, end to end")
    demo.add_argument("--keep", action="store_true", help="leave shop and emulator running")
    demo.add_argument("--port", type=_port, help="the emulator's port; by default any free one")
    demo.add_argument("--shop-port", type=_port, help="the shop's port; by default any free one")
    commands.add_parser("stop", help="stop the kept demo")
    commands.add_parser("token", help="print the bearer token of the kept demo")
    commands.add_parser("connection", help="print the connection to the kept shop, as JSON")
    event = commands.add_parser("invoke", help="send a file of events/ to the kept demo")
    event.add_argument("event", type=Path)
    command = commands.add_parser("connector", help="run a command of python -m connector on the kept demo")
    command.add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()

    interrupt_on_every_end()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # the AWS configuration of this machine is ignored
    try:
        if arguments.command == "demo":
            _demo(arguments)
        elif arguments.command == "stop":
            print(kept.stop())
        elif arguments.command == "invoke":
            print(json.dumps(invoke(_kept(), arguments.event), indent=2, ensure_ascii=False))
        elif arguments.command == "connector":
            return run_connector(_kept(), arguments.words).returncode
        elif arguments.command == "token":
            print(_kept().token)
        else:
            print(_kept().connection)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(arguments.command == "demo")
    except LocalError as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{arguments.command}: interrupted; all its processes are stopped", file=sys.stderr)
        return 130
    return 0


def _demo(arguments: argparse.Namespace) -> None:
    from tests.local.demo import demo  # noqa: PLC0415 - `stop` does not need it

    demo(keep=arguments.keep, port=arguments.port, shop_port=arguments.shop_port)


def _kept() -> Stack:
    found = kept.find()
    if found is None:
        raise LocalError("nothing is running: start it with `make demo KEEP=1`")
    return found.stack()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
