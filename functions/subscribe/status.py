"""`GET /status`: what `python -m connector status` shows, as JSON, or as a page for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from connector.failure_queues import Failure, Queue, look
from connector.http import asks_for_page, is_anonymous, respond_json
from connector.schedule_names import paused_schedules
from connector.shop_state import PATIENCE_SECONDS, shop_state
from connector.status import ShopState, StatusReader, console_links
from connector.status_page import POLICY, page
from subscribe.docs import headers, load

if TYPE_CHECKING:
    from subscribe.dependencies import Dependencies

_HTML = "text/html; charset=utf-8"


def respond(app: APIGatewayHttpResolver, deps: Dependencies) -> Response[Any]:
    """Answer the status. A browser without a token gets the page that asks for it, without data."""
    if asks_for_page(app) and is_anonymous(app):
        body, _ = load("status.html", gzipped=False)
        return Response(status_code=200, content_type=_HTML, body=body.decode(), headers=headers(0))
    settings = deps.settings
    found = _reader(deps).read(
        failures=_failures(deps),
        is_paused=paused_schedules(deps.aws.client("scheduler"), settings.schedule_group),
        ask_shop=lambda name: _ask(deps, name),
        links=console_links(
            deps.aws.client("s3").meta.region_name,
            settings.bucket,
            settings.stack_name,
            settings.sync_state_machine_arn,
        ),
    )
    if not asks_for_page(app):
        return respond_json(200, found)
    sent = {**headers(0), "Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Page": "status"}
    return Response(status_code=200, content_type=_HTML, body=page(found), headers=sent)


def _reader(deps: Dependencies) -> StatusReader:
    settings = deps.settings
    return StatusReader(
        deps.aws.client("s3"),
        settings.bucket,
        deps.clock,
        stack=settings.stack_name,
        reserve_percent=settings.quota_reserve_percent,
    )


def _failures(deps: Dependencies) -> list[Failure]:
    settings = deps.settings
    urls: dict[Queue, str] = {
        "runs": settings.run_failure_queue_url,
        "publish": settings.publish_failure_queue_url,
        "webhooks": settings.webhook_failure_queue_url,
    }
    return look(deps.aws.client("sqs"), urls)


def _ask(deps: Dependencies, name: str) -> ShopState:
    end = deps.clock.monotonic() + PATIENCE_SECONDS
    return shop_state(lambda: deps.shops.open(name, remaining_seconds=lambda: end - deps.clock.monotonic()))
