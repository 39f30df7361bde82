"""Which stored records a command reads, and from where."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path

from connector.bucket import Bucket
from connector.operator.lake import CACHE_BYTES, Cache, Folder, Scope
from connector.operator.parsers import connection_name, day
from connector.operator.stack import CommandError, Stack
from connector.operator.views import EntityViews, all_views

_GIGABYTE = 1024**3


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which records are read."""
    parser.add_argument(
        "--connection", type=connection_name, action="append", default=[], metavar="C", help="only this connection"
    )
    parser.add_argument("--since", type=day, metavar="DATE", help="only runs that started on this day or later, UTC")
    parser.add_argument("--until", type=day, metavar="DATE", help="only runs that started until this day, UTC")
    parser.add_argument("--bucket", default="", help="the bucket's name (default: that of the stack)")
    parser.add_argument("--lake", type=Path, metavar="DIR", help="read a copy of the bucket instead of the bucket")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where parts are kept (default: ~/.cache)")
    parser.add_argument("--cache-gb", type=float, default=CACHE_BYTES / _GIGABYTE, metavar="N", help="default: 5")
    parser.add_argument("--offline", action="store_true", help="read only what the cache has")


def scope_of(arguments: argparse.Namespace) -> Scope:
    """Return which runs the arguments ask for.

    Raises:
        CommandError: `--until` is before `--since`.
    """
    since, until = arguments.since or "", arguments.until or ""
    if until and until < since:
        raise CommandError(f"--until {until} is before --since {since}")
    return Scope(tuple(dict.fromkeys(arguments.connection)), since, until)


def open_folder(arguments: argparse.Namespace, stack: Stack) -> Folder:
    """Return where the stored runs are read: a copy, the cache as it is, or the cache of the bucket.

    Raises:
        CommandError: There is no such folder.
    """
    if arguments.lake is not None:
        if not arguments.lake.is_dir():
            raise CommandError(f"there is no folder {str(arguments.lake)!r:.100}")
        return Folder(arguments.lake)
    root = (arguments.cache or Path.home() / ".cache" / "lightspeed-connector") / (
        arguments.bucket or stack.required_name
    )
    if arguments.offline:
        if not root.is_dir():
            raise CommandError(f"nothing is cached in {root}")
        return Folder(root)
    bucket = Bucket(stack.client("s3"), arguments.bucket or stack.outputs["Bucket"])
    return Cache(root, bucket, int(arguments.cache_gb * _GIGABYTE))


def views_named(names: Sequence[str]) -> list[EntityViews]:
    """Return the entities of some relations, each once.

    Raises:
        CommandError: One of the names is none; the message has the nearest known ones.
    """
    known = all_views()
    found = {}
    for name in names:
        views = known.get(name.lower())
        if views is None:
            near = difflib.get_close_matches(name.lower(), known, 3)
            hint = f"; is it {' or '.join(near)}?" if near else ""
            raise CommandError(f"there is no view {name!r:.100}{hint}")
        found[views.name] = views
    return list(found.values())
