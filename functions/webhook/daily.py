"""Entry of the daily check: reports how yesterday's changes arrived, and finds webhooks that a shop switched off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connector.aws.bucket import Bucket
from connector.clients import AwsClients, ShopClients
from connector.errors import ConnectorError
from connector.observability import logger, with_log_context
from connector.operator.webhook_plan import is_own
from connector.settings import Settings
from connector.timestamps import iso_text
from connector.webhooks.report import make_report, write_summary
from lightspeed import CATALOGUE, LightspeedError, Parameters, SystemClock
from webhook.followers import listed_followers

_NEEDS = ("BUCKET", "STACK_NAME")


@with_log_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda calls with both
    """Report a day, and check the registered webhooks of every connection.

    Args:
        event: `date` (ISO-8601) is the day to report; by default, yesterday.
        context: Not used.

    Returns:
        `{"date", "reports": […], "registrations": […]}`. The reports and registrations are also stored under `state/`.

    Raises:
        SettingsError: The environment is wrong.
        ValueError: The date is malformed.
    """
    settings, aws, clock = Settings.from_env(needs=_NEEDS), AwsClients(), SystemClock()
    bucket, shops = Bucket(aws.client("s3"), settings.bucket, clock), ShopClients(aws, settings, clock)
    yesterday = datetime.fromtimestamp(clock.time(), UTC).date() - timedelta(days=1)
    day = date.fromisoformat(event["date"]) if "date" in event else yesterday
    subscriptions = _subscriptions(bucket)
    reports = [make_report(bucket, *names, day) for names in subscriptions]
    write_summary(bucket, day, reports)
    for report in reports:
        if report.alarm:
            logger().warning("webhooks are missed", extra={"subscription": report.subscription, "alarm": report.alarm})
    registrations = []
    for connection in sorted({connection for connection, _, _ in subscriptions}):
        needed = sorted({entity for name, _, entity in subscriptions if name == connection})
        found = {"connection": connection, "looked_at": iso_text(clock.time())}
        found |= _registration(shops, connection, needed, settings.stack_name)
        bucket.put_json(f"state/webhooks/connection={connection}.json", found)
        registrations.append(found)
    rows = [
        {"subscription": report.subscription, "changes": report.changes, "alarm": report.alarm} for report in reports
    ]
    return {"date": str(day), "reports": rows, "registrations": registrations}


def _subscriptions(bucket: Bucket) -> Sequence[tuple[str, str, str]]:
    """Return connection, subscription and entity; without a stored list, the entities of webhooks that came so far."""
    listed = listed_followers(bucket.read_body)
    if listed is not None:
        return [(follower.connection, follower.subscription, follower.entity) for follower in listed]
    folders = (folder.split("/") for folder in bucket.folders_of(bucket.folders_of(["events/"])))
    names = ((row[1].removeprefix("connection="), row[2].removeprefix("entity=")) for row in folders)
    return [(connection, entity, entity) for connection, entity in names if entity in CATALOGUE]


def _registration(shops: ShopClients, connection: str, entities: Sequence[str], stack_name: str) -> dict[str, Any]:
    """Compare the webhooks of a shop with the needed entities; return what is wrong, and the command to repair it."""
    rows: list[dict[str, Any]] = []
    error = ""
    try:
        shop = shops.open(connection, fresh=True, background=True)
        every = (json.loads(record) for page in shop.pages("webhooks", Parameters()) for record in page.records)
        rows = [row for row in every if is_own(str(row.get("address", "")), connection, stack_name)]
    except (LightspeedError, ConnectorError) as refused:
        logger().warning("the webhooks of a shop could not be read", exc_info=refused)
        error = f"{type(refused).__name__}: {refused}"[:500]
    known = {str(row.get("itemGroup")) for row in rows}
    active = {str(row.get("itemGroup")) for row in rows if row.get("isActive")}
    return {
        "off": sorted(known - active),
        "missing": [] if error else [entity for entity in entities if entity not in known],
        "error": error,
        "command": f"python -m connector webhooks apply --connection {connection} --entity {' '.join(entities)}",
    }
