"""Entry of the daily look: reports how yesterday's changes arrived, and finds webhooks that the shop switched off."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connector.bucket import Bucket
from connector.clients import AwsClients, ShopClients
from connector.errors import ConnectorError
from connector.observability import logged, logger
from connector.operator.registrations import is_own
from connector.settings import Settings
from connector.timestamps import iso_text
from connector.webhook_report import Report, make_report, write_summary
from lightspeed import CATALOGUE, Client, Clock, LightspeedError, Parameters, SystemClock
from webhook.followers import Followers

_NEEDS = ("BUCKET", "STACK_NAME")
_FOLDER = re.compile(r"events/connection=([A-Za-z0-9_-]+)/entity=([a-z]+)/")


@logged
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda calls with both
    """Report a day, and look at the registrations of every connection.

    Args:
        event: `date` (ISO-8601) is the day to report; yesterday if it is left out.
        context: Lambda's, not used.

    Returns:
        `{"date", "reports": […], "registrations": […]}`, as they are stored under `state/`.

    Raises:
        SettingsError: The environment is wrong.
        ValueError: The date is none.
    """
    settings = Settings.from_env(needs=_NEEDS)
    look = daily_look(settings)
    day = date.fromisoformat(event["date"]) if "date" in event else look.yesterday()
    reports, registrations = look.reports(day), look.registrations()
    for report in reports:
        if report.alarm:
            logger().warning("webhooks are missed", extra={"subscription": report.subscription, "alarm": report.alarm})
    shown = [{"subscription": one.subscription, "changes": one.changes, "alarm": one.alarm} for one in reports]
    return {"date": str(day), "reports": shown, "registrations": registrations}


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLook:
    """Reports and registrations of a stack.

    Attributes:
        bucket: The bundle's bucket.
        followers: The stored list of subscriptions.
        open_shop: Returns the client of a connection.
        stack_name: Of the stack, which the addresses of its webhooks hold.
        clock: Says what day it is.
    """

    bucket: Bucket
    followers: Followers
    open_shop: Callable[[str], Client]
    stack_name: str
    clock: Clock

    def yesterday(self) -> date:
        """Return yesterday in UTC."""
        return datetime.fromtimestamp(self.clock.time(), UTC).date() - timedelta(days=1)

    def reports(self, day: date) -> list[Report]:
        """Compute and store the reports of a day, one per subscription that follows by webhook."""
        found = [
            make_report(self.bucket, connection, subscription, entity, day)
            for connection, subscription, entity in self._subscriptions()
        ]
        write_summary(self.bucket, day, found)
        return found

    def registrations(self) -> list[dict[str, Any]]:
        """Compare what each shop has registered with what subscriptions need; store and return what is wrong."""
        needed: dict[str, set[str]] = {}
        for connection, _, entity in self._subscriptions():
            needed.setdefault(connection, set()).add(entity)
        return [self._registration(connection, sorted(needed[connection])) for connection in sorted(needed)]

    def _subscriptions(self) -> Sequence[tuple[str, str, str]]:
        """Return connection, subscription and entity; without a stored list, of what webhooks came of so far."""
        listed = self.followers.listed()
        if listed is not None:
            return [(one.connection, one.subscription, one.entity) for one in listed]
        folders = self.bucket.folders_of(self.bucket.folders_of(["events/"]))
        found = (match for match in map(_FOLDER.fullmatch, folders) if match is not None and match[2] in CATALOGUE)
        return [(match[1], match[2], match[2]) for match in found]

    def _registration(self, connection: str, entities: Sequence[str]) -> dict[str, Any]:
        looked = iso_text(self.clock.time())
        found: dict[str, Any] = {"connection": connection, "looked_at": looked, "off": [], "missing": [], "error": ""}
        try:
            rows = list(_own_webhooks(self.open_shop(connection), connection, self.stack_name))
        except (LightspeedError, ConnectorError) as error:
            logger().warning("the webhooks of a shop could not be read", exc_info=error)
            found["error"] = f"{type(error).__name__}: {error}"[:500]
        else:
            active = {row.get("itemGroup") for row in rows if row.get("isActive")}
            known = {row.get("itemGroup") for row in rows}
            found["off"] = sorted(str(group) for group in known - active)
            found["missing"] = [entity for entity in entities if entity not in known]
        names = " ".join(entities)
        found["command"] = f"python -m connector webhooks apply --connection {connection} --entity {names}"
        self.bucket.put_json(f"state/webhooks/connection={connection}.json", found)
        return found


def _own_webhooks(shop: Client, connection: str, stack_name: str) -> Iterable[dict[str, Any]]:
    for page in shop.pages("webhooks", Parameters()):
        for record in page.records:
            row = json.loads(record)
            if is_own(str(row.get("address", "")), connection, stack_name):
                yield row


@functools.cache
def daily_look(settings: Settings) -> DailyLook:
    """Return the look of these settings."""
    aws, clock = AwsClients(), SystemClock()
    bucket = Bucket(aws.client("s3"), settings.bucket, clock)
    return DailyLook(
        bucket=bucket,
        followers=Followers(bucket.body),
        open_shop=functools.partial(ShopClients(aws, settings, clock).open, fresh=True, background=True),
        stack_name=settings.stack_name,
        clock=clock,
    )
