"""`python -m lightspeed sync ENTITY --to FOLDER`: a run of subscribe into a folder, without AWS.

The run has the same reader, keys, manifests and bookmarks as in the function. Only the bucket is a folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from connector.aws.bucket import Bucket
from connector.errors import ConnectorError, RequestError, RunInProgress, TransformError
from connector.transform import S3Library
from lightspeed import Client, Clock, InvalidConnection, LightspeedError, SystemClock, Transport
from lightspeed.catalogue.entities import get_entity, parent_of
from lightspeed.cli.arguments import CommandError, Parser, read_connection
from lightspeed.cli.output import json_text, print_note
from lightspeed.connection import is_connection_name
from lightspeed.errors import CatalogueError
from lightspeed.listing.read_operation import ALL_PARENTS
from lightspeed.listing.reader import CONNECTIONS
from subscribe.checks import subscribe_request
from subscribe.event import SubscribeRequest
from subscribe.run.run import Services
from subscribe.storage.folder import OWN, FolderS3
from subscribe.sync.run import SyncRun

RESERVE_PERCENT = 10.0
"""Share of each quota window that stays free for others; the default of the stack, too."""

_UNBOUNDED_SECONDS = 86_400.0
_FOLDER = "folder"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command.

    Raises:
        CommandError: An argument is wrong.
    """
    parser = Parser(
        prog="python -m lightspeed sync",
        description="Store the records of an entity in a folder, with the keys, manifests and bookmarks of the bucket.",
        epilog=f"Move the folder to the bucket with: aws s3 sync FOLDER s3://BUCKET --exclude '{OWN}/*'. "
        "The connection comes from the LIGHTSPEED_ variables or from --connection FILE.",
    )
    parser.add_argument("entity", metavar="ENTITY", help="a name of the catalogue, such as orders or orders/products")
    parser.add_argument("--to", metavar="FOLDER", required=True, type=Path, help="a folder, made if it is not there")
    parser.add_argument(
        "--mode", choices=("full", "incremental"), help="incremental where the entity can be read so, else full"
    )
    parser.add_argument(
        "--since", metavar="TIME", help="where the first incremental run starts (default: the beginning)"
    )
    parser.add_argument("--each-parent", action="store_true", help="read a nested entity below every parent")
    parser.add_argument("--name", default="default", help="the connection's name in the keys (default: default)")
    parser.add_argument("--run-id", metavar="ID", help="go on with a run that was stopped while it waited")
    parser.add_argument("--connection", metavar="FILE", help="cluster or base_url, api_key … as a JSON object")
    parser.add_argument("--language", metavar="CODE", help="another language of the shop, such as nl or en")
    return parser.parse_args(argv)


def request_of(arguments: argparse.Namespace) -> SubscribeRequest:
    """Return the subscribe event of the command.

    Raises:
        RequestError: It is wrong.
        CatalogueError: There is no such entity, or it has no list.
    """
    if not is_connection_name(arguments.name):
        raise RequestError([f"--name may hold up to 200 letters, digits, _ and -, not {arguments.name!r:.100}"])
    endpoint = get_entity(arguments.entity)
    event = {"entity": arguments.entity, "connection": arguments.name}
    if endpoint.parents and not arguments.each_parent:
        raise RequestError([f"{endpoint.name} has a list for each parent: add --each-parent to read them all"])
    if endpoint.parents:
        event["parameters"] = {"path": {endpoint.parents[0]: ALL_PARENTS}}
    listed = parent_of(endpoint) or endpoint
    event["mode"] = arguments.mode or ("full" if listed.incremental is None else "incremental")
    optional = {"since": arguments.since, "run_id": arguments.run_id}
    return subscribe_request(event | {name: value for name, value in optional.items() if value is not None})


def sync(request: SubscribeRequest, run_id: str, *, client: Client, folder: FolderS3, clock: Clock) -> dict[str, Any]:
    """Carry out a run to its end and return its result. Waits as long as the shop's quota asks.

    Args:
        request: A checked event.
        run_id: The run's id, unless the request names one.
        client: The shop's client.
        folder: The folder for the objects.
        clock: Our clock.

    Raises:
        ConnectorError: The run cannot start or go on.
        LightspeedError: As the client raises it. The bookmark has not moved.
    """
    while True:
        services = Services(
            client=client,
            bucket=Bucket(folder, _FOLDER, clock),
            clock=clock,
            remaining_seconds=lambda: _UNBOUNDED_SECONDS,
            reserve_percent=RESERVE_PERCENT,
            library=S3Library(folder, _FOLDER),
        )
        body = SyncRun(request, run_id, services).invoke().body
        if body["status"] != "partial":
            return body
        wait = body["resume_after_seconds"]
        print_note(f"{request.entity}: {body['records']:,} records so far; waiting {wait} s for the shop's quota")
        clock.sleep(wait)
        request = subscribe_request({**request.as_event(body["cursor"]), "run_id": body["run_id"]})


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 an error of shop or folder, 2 a wrong command.

    Args:
        argv: The arguments after `sync`; by default, those of the process.
        clock: Time for waits and windows; by default, the machine's.
    """
    clock = clock or SystemClock()
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        connection = read_connection(arguments)
        request = request_of(arguments)
        now = datetime.fromtimestamp(clock.time(), UTC)
        run_id = f"local-{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
        client = Client(Transport(connection, clock=clock, threads=CONNECTIONS))
        result = sync(request, run_id, client=client, folder=FolderS3(arguments.to), clock=clock)
    except RunInProgress as error:
        print_note(f"{error}; if that run was stopped, go on with it: --run-id {error.run_id}")
        return 1
    except (CommandError, CatalogueError, InvalidConnection, RequestError, TransformError) as error:
        print_note(str(error))
        return 2
    except (ConnectorError, LightspeedError) as error:
        print_note(str(error))
        return 1
    except OSError as error:
        print_note(f"cannot store in the folder: {error.strerror}")
        return 1
    sys.stdout.write(json_text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
