"""`connect`: check a shop's settings live, and store them as the connection's secret.

`--rotate` replaces key and secret. The shop may still send webhooks that are signed with the old secret. So both
secrets are valid until `--finish`, a day later.

Examples:
  python -m connector connect outlet --cluster eu1 --language nl      asks for key and secret
  python -m connector connect outlet --stdin < outlet.json            takes all settings from a program
  python -m connector connect outlet --rotate                         replaces key and secret
  python -m connector connect outlet --finish                         a day later: drops the old webhook secret
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.aws.botocore_errors import answer_unless
from connector.operator.parsers import add_command, connection_name
from connector.operator.stack import CommandError, OperationFailed, Stack
from lightspeed import CLUSTERS, Client, Connection, InvalidConnection, LightspeedError, Transport
from lightspeed.cli.arguments import read_standard_input
from lightspeed.connection_check import NOT_UTC, ConnectionReport, check_connection, diagnose

BOTH_VALID = timedelta(hours=24)
"""How long the old webhook secret stays valid after a rotation."""

_PLAIN = ("cluster", "base_url", "language", "shop_id", "update_method")
_SECRET = ("api_key", "api_secret")
_GONE = ("ResourceNotFoundException",)


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "check a shop's settings live, and store them as a secret"
    parser = add_command(commands, common, "connect", text, __doc__, _run)
    parser.add_argument("name", type=connection_name, metavar="NAME", help="the connection's name")
    parser.add_argument("--cluster", choices=sorted(CLUSTERS), help="the shop's cluster")
    parser.add_argument("--base-url", help="the https origin of the API, instead of --cluster")
    parser.add_argument("--language", help="the shop's two-letter code, such as nl, en or us")
    parser.add_argument("--shop-id", help="the shop's id; webhooks of another shop are refused")
    parser.add_argument("--update-method", choices=("PUT", "PATCH"), help="the HTTP method of updates (default: PUT)")
    parser.add_argument("--stdin", action="store_true", help="read the settings from standard input, as JSON")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--rotate", action="store_true", help="replace key and secret of a connection that exists")
    group.add_argument("--replace", action="store_true", help="overwrite a connection that exists")
    group.add_argument("--finish", action="store_true", help="end a rotation: drop the old webhook secret")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    name = arguments.name
    secret_id = stack.settings.secret_prefix + name
    stored = _read_settings(stack, secret_id)
    old = _connection_of(stored, name)
    if arguments.finish:
        return _finish(stack, secret_id, stored, old, name)
    if old is not None and not (arguments.rotate or arguments.replace):
        raise CommandError(f"connection {name} exists; replace its key with --rotate, or everything with --replace")
    if old is None and arguments.rotate:
        raise CommandError(f"there is no connection {name} to rotate; leave out --rotate")
    kept = {key: value for key, value in (stored or {}).items() if arguments.rotate and key not in _SECRET}
    settings = {**kept, **_ask_settings(arguments, kept)}
    # without a webhook secret of its own, the shop signs with the API secret
    if arguments.rotate and old is not None and old.webhook_secrets[0] == old.api_secret:
        new = settings.get("api_secret")
        settings["webhook_secret"] = [new, *(secret for secret in old.webhook_secrets if secret != new)]
    report = _check(settings, name, stack)
    _store(stack, secret_id, settings, exists=stored is not None)
    languages = ", ".join(report.languages or ())
    print(f"{name}: works at {report.origin}{f', with the languages {languages}' if languages else ''}; stored")
    if report.utc_filters is False:
        print(f"warning: {NOT_UTC}")
    if arguments.rotate:
        print(
            "all functions use the new key within a minute; then remove the old key in the shop. "
            f"In 24 hours: python -m connector connect {name} --finish"
        )
    return 0


def _ask_settings(arguments: argparse.Namespace, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings from options and standard input, or from options and questions.

    Args:
        arguments: The parsed arguments.
        kept: Settings that stay, so that no question asks for them.
    """
    found = {key: getattr(arguments, key) for key in _PLAIN if getattr(arguments, key)}
    if arguments.stdin:
        try:
            read = json.loads(read_standard_input())
        except ValueError as error:
            raise CommandError(f"standard input is not JSON: {error}") from None
        if not isinstance(read, dict):
            raise CommandError("standard input must be a JSON object with cluster, api_key, api_secret and language")
        return {**read, **found}
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(
            "standard input is not a terminal, so no question is possible; give the settings as JSON with --stdin"
        )
    if not ({"cluster", "base_url"} & {*found, *kept}):
        found["cluster"] = input(f"cluster ({' or '.join(sorted(CLUSTERS))}): ").strip()
    if not ({"language"} & {*found, *kept}):
        found["language"] = input("language (such as nl): ").strip()
    for key in _SECRET:
        found[key] = getpass.getpass(f"{key.replace('_', ' ')}: ").strip()
    return found


def _check(settings: Mapping[str, Any], name: str, stack: Stack) -> ConnectionReport:
    """Check the settings with the shop.

    Raises:
        InvalidConnection: A setting is missing or malformed. The shop was not asked.
        OperationFailed: The shop refuses the settings, or does not answer.
    """
    connection = Connection.from_mapping(settings, name)
    try:
        return check_connection(Client(Transport(connection, clock=stack.clock)))
    except LightspeedError as error:
        raise OperationFailed(f"{name} was not stored: {diagnose(error, connection)}") from error


def _finish(stack: Stack, secret_id: str, stored: Mapping[str, Any] | None, old: Connection | None, name: str) -> int:
    if stored is None or old is None:
        raise CommandError(f"there is no connection {name}")
    if len(old.webhook_secrets) < 2:
        print(f"{name}: there is no old webhook secret")
        return 0
    changed = stack.client("secretsmanager").describe_secret(SecretId=secret_id)["LastChangedDate"]
    end = changed.astimezone(UTC) + BOTH_VALID
    if datetime.fromtimestamp(stack.clock.time(), UTC) < end:
        raise CommandError(f"the shop may still sign webhooks with the old secret, until {end:%Y-%m-%dT%H:%MZ}")
    _store(stack, secret_id, {**stored, "webhook_secret": old.webhook_secrets[0]}, exists=True)
    print(f"{name}: the old webhook secret is gone")
    return 0


def _read_settings(stack: Stack, secret_id: str) -> dict[str, Any] | None:
    """Return the stored settings; empty if the secret holds no JSON object, `None` if there is no secret."""
    answer = answer_unless(_GONE, stack.client("secretsmanager").get_secret_value, SecretId=secret_id)
    if answer is None:
        return None
    try:
        found = json.loads(answer["SecretString"])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _connection_of(stored: Mapping[str, Any] | None, name: str) -> Connection | None:
    """Return the connection that stored settings make; `None` if they are missing or invalid."""
    try:
        return None if not stored else Connection.from_mapping(stored, name)
    except InvalidConnection:
        return None


def _store(stack: Stack, secret_id: str, settings: Mapping[str, Any], *, exists: bool) -> None:
    client, text = stack.client("secretsmanager"), json.dumps(settings)
    if exists:
        client.put_secret_value(SecretId=secret_id, SecretString=text)
        return
    key = stack.parameters.get("KmsKeyArn")
    more = {"KmsKeyId": key} if key else {}
    client.create_secret(Name=secret_id, SecretString=text, Description="One shop's API credentials", **more)
