"""The arguments that choose the stored records of a command, and the folder with these records."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from connector.aws.bucket import Bucket
from connector.operator.data.lake import CACHE_BYTES, Cache, Folder, RunFilter
from connector.operator.parsers import connection_name, day
from connector.operator.stack import CommandError, Stack

_GIGABYTE = 1024**3
_MAX_CACHE_GB = 100_000


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose the stored records."""
    parser.add_argument(
        "--connection", type=connection_name, action="append", default=[], metavar="C", help="only this connection"
    )
    parser.add_argument("--since", type=day, metavar="DATE", help="only runs that started on this day or later, UTC")
    parser.add_argument("--until", type=day, metavar="DATE", help="only runs that started on this day or earlier, UTC")
    parser.add_argument("--bucket", default="", help="the bucket's name (default: the stack's bucket)")
    parser.add_argument("--lake", type=Path, metavar="DIR", help="read this copy of the bucket, and not the bucket")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="the folder of cached parts (default: ~/.cache)")
    parser.add_argument(
        "--cache-gb",
        type=float,
        default=CACHE_BYTES / _GIGABYTE,
        metavar="N",
        help="the cache's size in GB (default: 5)",
    )
    parser.add_argument("--offline", action="store_true", help="read the cache only, and not the bucket")


def run_filter_of(arguments: argparse.Namespace) -> RunFilter:
    """Return the filter of runs that the arguments give.

    Raises:
        CommandError: `--until` is before `--since`.
    """
    since, until = arguments.since or "", arguments.until or ""
    if until and until < since:
        raise CommandError(f"--until {until} is before --since {since}")
    return RunFilter(tuple(dict.fromkeys(arguments.connection)), since, until)


def no_run(entity: str, run_filter: RunFilter) -> str:
    """Return the note for an entity without a finished run that the filter covers."""
    return f"no finished run of {entity} {'yet' if run_filter == RunFilter() else 'in these days and connections'}"


def open_folder(arguments: argparse.Namespace, stack: Stack, entities: Iterable[str]) -> tuple[Folder, RunFilter]:
    """Return the folder with the runs of some entities, and the filter of runs.

    The folder is the copy of `--lake`, or the cache. Without `--offline`, the cache fetches missing objects first.

    Raises:
        CommandError: The folder does not exist, or an argument is out of bounds.
        OperationFailed: The bucket lacks an object that a manifest names.
    """
    run_filter = run_filter_of(arguments)
    if not 0 <= arguments.cache_gb <= _MAX_CACHE_GB:
        raise CommandError(f"--cache-gb must be 0 to {_MAX_CACHE_GB}, not {arguments.cache_gb}")
    if arguments.lake is not None:
        if not arguments.lake.is_dir():
            raise CommandError(f"there is no folder {str(arguments.lake)!r:.100}")
        return Folder(arguments.lake), run_filter
    root = cache_folder(arguments.cache, arguments.bucket or stack.required_name)
    if arguments.offline:
        if not root.is_dir():
            raise CommandError(f"nothing is cached in {root}")
        return Folder(root), run_filter
    bucket = Bucket(stack.client("s3"), arguments.bucket or stack.outputs["Bucket"])
    cache = Cache(root, bucket, int(arguments.cache_gb * _GIGABYTE))
    cache.refresh(entities, run_filter)
    return cache, run_filter


def cache_folder(given: Path | None, name: str) -> Path:
    """Return the folder of the cached parts of a stack or a bucket.

    Args:
        given: The folder of all caches; `None` for the default.
        name: The name of the stack or the bucket.
    """
    return (given or Path.home() / ".cache" / "lightspeed-connector") / name
