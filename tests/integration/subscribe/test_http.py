"""The routes that read: statuses, bodies, and the input of the state machine."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from connector.clients import AwsClients
from subscribe import http as routes
from tests.integration.subscribe.bundle import Answer, Bundle, http_event, quote_event
from tests.shop import Fault

DEFINITION = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}})


class Sync:
    """The state machine, as far as the function sees it."""

    def __init__(self, aws: AwsClients, name: str) -> None:
        self.client = aws.client("stepfunctions")
        role = "arn:aws:iam::123456789012:role/sync"
        made = self.client.create_state_machine(name=name, definition=DEFINITION, roleArn=role)
        self.arn: str = made["stateMachineArn"]

    def executions(self) -> list[dict[str, Any]]:
        """Every execution with its name and input."""
        found = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        details = [self.client.describe_execution(executionArn=row["executionArn"]) for row in found]
        return [{"name": row["name"], "input": json.loads(row["input"])} for row in details]

    def abort(self, run_id: str) -> None:
        """Let an execution end as failed."""
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{run_id}"
        self.client.stop_execution(executionArn=arn, error="Broken", cause="somebody stopped it")


@pytest.fixture
def sync(aws: AwsClients, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Sync:
    machine = Sync(aws, f"{bundle.bucket}-sync")
    monkeypatch.setenv("SYNC_STATE_MACHINE_ARN", machine.arn)
    return machine


def problem(answer: Answer, status: int, kind: str) -> dict[str, Any]:
    """Return a problem after checking its form."""
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert body["type"] == f"urn:lightspeed-connector:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def test_one_record_is_answered_with_its_data(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", quote_event(), request_id="request-1")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["run_id"] == "request-1"
    assert answer.json["data"]["id"] == 1016615295
    assert bundle.lines(answer.json)[0].decode() in answer.text


def test_a_list_is_answered_with_its_first_page(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", {"entity": "orders"})

    assert [record["id"] for record in answer.json["data"]] == bundle.ids(answer.json)


def test_an_empty_list_is_answered_with_no_data(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", {"entity": "orders", "parameters": {"query": {"number": "NONE"}}})

    assert answer.json["data"] == []


def test_tombstones_are_answered_as_a_list_though_there_is_one(bundle: Bundle) -> None:
    gone = bundle.shop.store.ids("products")[0]
    bundle.invoke({"entity": "products"}, "full")
    bundle.shop.store.delete("products", gone)

    answer = bundle.http("POST", "/subscribe", {"entity": "products", "mode": "reconcile"})

    assert [tombstone["id"] for tombstone in answer.json["data"]] == [gone]


def test_data_is_the_record_as_landed(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", {"entity": "account", "entity_transformer": '{"k": apiKey, "x": 1.10}'})

    assert answer.json["data"] == {"k": "***", "x": 1.1}


def test_a_body_may_be_base64(bundle: Bundle) -> None:
    event = http_event("POST", "/subscribe", base64.b64encode(json.dumps(quote_event()).encode()).decode())

    assert bundle.invoke({**event, "isBase64Encoded": True})["statusCode"] == 200


MALFORMED: dict[str, tuple[object, str]] = {
    "no body": (None, "the body is empty"),
    "empty": (" ", "the body is empty"),
    "no JSON": ("{entity: orders}", "the body must be a JSON object"),
    "cut": ('{"entity": "ord', "the body must be a JSON object"),
    "a list": ([], "the event must be a JSON object, not []"),
    "text": ('"orders"', "the event must be a JSON object, not 'orders'"),
    "no entity": ({}, "entity is missing"),
    "unknown key": ({"entity": "orders", "foo": 1}, "unknown key foo"),
    "page": ({"entity": "orders", "parameters": {"query": {"page": 1}}}, "query page is not needed"),
    "cursor": (quote_event(cursor="x"), "cursor is not one that a partial result gave"),
}


@pytest.mark.parametrize(("body", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_call_is_400_and_does_nothing(bundle: Bundle, body: object, message: str) -> None:
    found = problem(bundle.http("POST", "/subscribe", body), 400, "malformed-request")

    assert message in found["detail"]
    assert message in found["errors"][0]
    assert bundle.untouched


@pytest.mark.parametrize("text", ["%%%", "/w=="], ids=["no base64", "no UTF-8"])
def test_a_body_that_cannot_be_decoded_is_400(bundle: Bundle, text: str) -> None:
    event = {**http_event("POST", "/subscribe", text), "isBase64Encoded": True}

    assert bundle.invoke(event)["statusCode"] == 400


REFUSED: dict[str, tuple[dict[str, Any], int, str, dict[str, Any]]] = {
    "unknown entity": (
        {"entity": "quots"},
        404,
        "unknown-entity",
        {"entity": "quots", "nearest": ["quotes", "quotes/products"]},
    ),
    "parameters": (
        quote_event(parameters={"path": {"nr": 7}}),
        400,
        "invalid-parameters",
        {"entity": "quotes", "operation": "list"},
    ),
    "operation": (
        {"entity": "products/filtervalues", "parameters": {"path": {"product_id": 7, "id": 9}}},
        400,
        "unsupported-operation",
        {"entity": "products/filtervalues", "operation": "get", "supported": ["list", "count", "create", "delete"]},
    ),
    "transformer": (quote_event(input_transformer="{"), 400, "transformer-failed", {}),
    "connection": (quote_event(connection="none"), 404, "unknown-connection", {}),
}


@pytest.mark.parametrize(("event", "status", "kind", "facts"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_is_a_problem_with_its_facts(
    bundle: Bundle, event: dict[str, Any], status: int, kind: str, facts: dict[str, Any]
) -> None:
    found = problem(bundle.http("POST", "/subscribe", event), status, kind)

    assert {name: found[name] for name in facts} == facts
    assert bundle.untouched


TROUBLE: dict[str, tuple[Fault, int, str]] = {
    "404": (Fault.answers(404), 404, "not-found"),
    "403": (Fault.answers(403), 422, "permission-denied"),
    "401": (Fault.answers(401), 422, "wrong-credentials"),
    "400": (Fault.answers(400, "Invalid field"), 422, "refused-by-shop"),
    "500": (Fault.answers(500), 502, "shop-failed"),
    "504": (Fault.answers(504), 504, "shop-failed"),
    "HTML": (Fault.html(200), 502, "unexpected-answer"),
    "redirect": (Fault.redirects("https://elsewhere.example"), 502, "unexpected-answer"),
    "dropped": (Fault.drops(), 502, "answer-lost"),
    "error inside": (Fault.error_in_success(), 502, "shop-failed"),
}


@pytest.mark.parametrize(("fault", "status", "kind"), TROUBLE.values(), ids=TROUBLE.keys())
def test_trouble_with_the_shop_is_a_problem(bundle: Bundle, fault: Fault, status: int, kind: str) -> None:
    bundle.shop.faults.next(fault, times=5)

    problem(bundle.http("POST", "/subscribe", quote_event()), status, kind)

    assert not bundle.stored()


def test_the_shops_own_message_is_in_the_problem(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(400, "Invalid field: foo"))

    assert "Invalid field: foo" in bundle.http("POST", "/subscribe", quote_event()).json["detail"]


def test_a_shop_that_cannot_be_reached_is_502(bundle: Bundle) -> None:
    bundle.store_connection(base_url="http://127.0.0.1:9")

    problem(bundle.http("POST", "/subscribe", quote_event()), 502, "shop-unreachable")


def test_a_connection_with_wrong_settings_is_422(bundle: Bundle) -> None:
    bundle.store_connection(api_key="")

    found = problem(bundle.http("POST", "/subscribe", quote_event()), 422, "invalid-connection")

    assert found["errors"] == ["api_key is required and may not be empty"]


def test_a_run_under_way_is_409(bundle: Bundle) -> None:
    event = {"entity": "orders", "mode": "incremental"}
    bundle.shop.limits.use(300)
    bundle.run(event, "run-1")

    found = problem(bundle.http("POST", "/subscribe", event), 409, "run-in-progress")

    assert "run-1" in found["detail"]


def test_a_used_up_quota_without_state_machine_is_429(bundle: Bundle) -> None:
    bundle.shop.limits.use(300)

    answer = bundle.http("POST", "/subscribe", {"entity": "orders"})

    problem(answer, 429, "quota-used-up")
    assert answer.headers["Retry-After"] == "300"


def test_a_bucket_that_is_not_there_is_a_problem_without_its_name(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET", "no-such-bucket")

    answer = bundle.http("GET", "/runs/run-1")

    assert answer.status == 500
    assert answer.json["title"] == "AWS refused"
    assert "GetObject with NoSuchBucket" in answer.json["detail"]
    assert "no-such-bucket" not in answer.text


def test_a_function_without_settings_is_no_problem_of_the_caller(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", quote_event(), {"prefer": "respond-async"})

    assert "SYNC_STATE_MACHINE_ARN is not set" in problem(answer, 500, "misconfigured")["detail"]


def test_a_run_that_goes_on_is_202_and_carried_by_the_state_machine(bundle: Bundle, sync: Sync) -> None:
    bundle.shop.limits.use(270 - 4)
    event = {"entity": "orders", "parameters": {"query": {"limit": 5}}}

    answer = bundle.http("POST", "/subscribe", event, request_id="request-1")

    assert answer.status == 202
    assert answer.headers["Location"] == "/runs/request-1"
    assert answer.json["run_id"] == "request-1"
    assert answer.json["status"] == "partial"
    (execution,) = sync.executions()
    assert execution == {"name": "request-1", "input": {**event, "cursor": answer.json["cursor"]}}
    bundle.clock.advance(300)
    result = bundle.run({**execution["input"], "run_id": "request-1"}, "whatever")
    assert (result["status"], result["run_id"], result["records"]) == ("complete", "request-1", 30)


@pytest.mark.parametrize("header", ["respond-async", "wait=5, Respond-Async", "respond-async; foo"])
def test_prefer_respond_async_starts_the_state_machine_at_once(bundle: Bundle, sync: Sync, header: str) -> None:
    answer = bundle.http("POST", "/subscribe", quote_event(), {"prefer": header}, request_id="request-1")

    assert answer.status == 202
    assert answer.headers["Location"] == "/runs/request-1"
    assert answer.json == {"run_id": "request-1", "status": "running"}
    assert sync.executions() == [{"name": "request-1", "input": quote_event()}]
    assert bundle.untouched


@pytest.mark.parametrize(
    "event",
    [
        {"entity": "quots"},
        quote_event(parameters={"path": {"id": ""}}),
        quote_event(input_transformer='{"path": {"nr": 1}}'),
        quote_event(connection="none"),
        quote_event(cursor="x"),
    ],
    ids=["entity", "parameters", "transformer", "connection", "cursor"],
)
def test_what_is_wrong_is_refused_before_the_state_machine_starts(
    bundle: Bundle, sync: Sync, event: dict[str, Any]
) -> None:
    answer = bundle.http("POST", "/subscribe", event, {"prefer": "respond-async"})

    assert answer.status in (400, 404)
    assert sync.executions() == []
    assert bundle.untouched


def test_a_run_that_is_under_way_under_this_id_is_not_started_twice(bundle: Bundle, sync: Sync) -> None:
    event = quote_event(run_id="mine")
    bundle.http("POST", "/subscribe", event, {"prefer": "respond-async"})

    for headers in ({}, {"prefer": "respond-async"}):
        answer = bundle.http("POST", "/subscribe", event, headers)
        assert (answer.status, answer.headers["Location"]) == (202, "/runs/mine")
        assert answer.json == {"run_id": "mine", "status": "running"}

    assert len(sync.executions()) == 1
    assert bundle.untouched


def test_an_id_of_a_finished_run_is_not_taken_for_another_request(bundle: Bundle) -> None:
    assert bundle.http("POST", "/subscribe", quote_event(run_id="mine")).status == 200

    answer = bundle.http("POST", "/subscribe", {"entity": "brands", "run_id": "mine"})

    assert "used before for another request" in problem(answer, 409, "run-conflict")["detail"]


def test_an_id_of_an_execution_that_has_ended_is_not_started_again(bundle: Bundle, sync: Sync) -> None:
    event = quote_event(run_id="mine")
    bundle.http("POST", "/subscribe", event, {"prefer": "respond-async"})
    sync.abort("mine")

    answer = bundle.http("POST", "/subscribe", event, {"prefer": "respond-async"})

    assert problem(answer, 409, "run-conflict")["run_id"] == "mine"
    assert len(sync.executions()) == 1


def test_data_ends_before_it_is_too_large_for_an_answer(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_BODY_BYTES", 30_000)

    answer = bundle.http("POST", "/subscribe", {"entity": "orders"})

    assert answer.json["records"] == 30
    shown = len(answer.json["data"])
    assert 0 < shown < 30
    place = f"s3://{bundle.bucket}/{answer.json['objects'][0]}"
    assert answer.json["data_omitted"] == f"only {shown} of 30 records fit here; all are in {place}"


def test_a_record_that_is_too_large_for_an_answer_is_left_out_with_its_place(bundle: Bundle) -> None:
    event = {"entity": "account", "entity_transformer": '{"text": $pad("", 2490000, "é")}'}

    answer = bundle.http("POST", "/subscribe", event)

    assert answer.status == 200, answer.text[:300]
    assert answer.json["data"] is None
    assert bundle.records(answer.json)[0]["text"].startswith("éé")
    place = f"s3://{bundle.bucket}/{answer.json['objects'][0]}"
    assert answer.json["data_omitted"] == f"only 0 of 1 records fit here; all are in {place}"


def test_a_complete_run_can_be_looked_up(bundle: Bundle) -> None:
    result = bundle.run({"entity": "orders"}, "run-1")

    answer = bundle.http("GET", "/runs/run-1")

    assert answer.status == 200
    expected = {**result, "started": "2026-11-23T06:00:00Z"}
    assert {name: answer.json[name] for name in expected} == expected


@pytest.mark.usefixtures("sync")
def test_a_run_that_just_started_is_running(bundle: Bundle) -> None:
    run_id = bundle.http("POST", "/subscribe", quote_event(), {"prefer": "respond-async"}).json["run_id"]

    answer = bundle.http("GET", f"/runs/{run_id}")

    assert (answer.status, answer.json) == (200, {"run_id": run_id, "status": "running"})


@pytest.mark.usefixtures("sync")
def test_a_run_between_two_invocations_is_running_and_tells_its_progress(bundle: Bundle) -> None:
    bundle.shop.limits.use(270 - 4)
    event = {"entity": "orders", "parameters": {"query": {"limit": 5}}}
    bundle.http("POST", "/subscribe", event, request_id="request-1")

    found = bundle.http("GET", "/runs/request-1").json

    assert found["status"] == "running"
    assert 0 < found["records"] < 30
    assert found["manifest"] is None
    assert "cursor" not in found


def test_a_run_whose_execution_ended_badly_is_failed(bundle: Bundle, sync: Sync) -> None:
    run_id = bundle.http("POST", "/subscribe", quote_event(), {"prefer": "respond-async"}).json["run_id"]
    sync.abort(run_id)

    found = bundle.http("GET", f"/runs/{run_id}").json

    assert found["status"] == "failed"


@pytest.mark.parametrize("run_id", ["nope", "a%20b", "..", "x" * 200, "a%2Fb", "%F0%9F%98%80"])
@pytest.mark.parametrize("with_sync", [False, True])
def test_an_unknown_run_is_404(bundle: Bundle, request: pytest.FixtureRequest, run_id: str, with_sync: bool) -> None:
    if with_sync:
        request.getfixturevalue("sync")

    problem(bundle.http("GET", f"/runs/{run_id}"), 404, "unknown-run")


def test_the_catalogue_is_listed(bundle: Bundle) -> None:
    entities = {row["entity"]: row for row in bundle.http("GET", "/entities").json["entities"]}

    assert len(entities) == 98
    assert entities["orders"]["incremental"] == "updated_at_min"


@pytest.mark.parametrize("path", ["products/images", "products%2Fimages"])
def test_an_entity_tells_what_it_can_do(bundle: Bundle, path: str) -> None:
    found = bundle.http("GET", f"/entities/{path}").json

    assert found["entity"] == "products/images"
    assert found["operations"]["get"]["path_parameters"] == ["product_id", "id"]
    assert "created_at_min" in found["filters"]


def test_an_unknown_entity_is_404_with_the_nearest(bundle: Bundle) -> None:
    assert problem(bundle.http("GET", "/entities/order"), 404, "unknown-entity")["nearest"][0] == "orders"


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("PUT", "/nope"), ("GET", "/runs/"), ("GET", "/runs/a/b")])
def test_a_path_that_is_not_there_is_404(bundle: Bundle, method: str, path: str) -> None:
    answer = bundle.http(method, path, caller=None)

    assert problem(answer, 404, "no-route")["detail"] == f"there is no {method} {path}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/subscribe", "POST"),
        ("PUT", "/entities", "GET"),
        ("DELETE", "/entities/products/images", "GET"),
        ("GET", "/publish", "POST"),
    ],
)
def test_a_path_with_another_method_is_405_with_those_allowed(
    bundle: Bundle, method: str, path: str, allowed: str
) -> None:
    answer = bundle.http(method, path, caller=None)

    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


def test_a_connection_that_works_tells_what_it_can_do(bundle: Bundle) -> None:
    answer = bundle.http("GET", "/connections/default")

    assert answer.status == 200
    found = answer.json
    assert (found["connection"], found["language"], found["languages"]) == ("default", "nl", ["nl", "de", "en"])
    assert found["permissions"]["orders"] == {"read": True, "write": True}
    assert [window["name"] for window in found["quota"]] == ["5 minutes", "hour", "day"]


def wrong_key(bundle: Bundle) -> None:
    bundle.store_connection(api_secret="wrong0secret")


def wrong_place(bundle: Bundle) -> None:
    bundle.store_connection(base_url="http://127.0.0.1:9")


def other_api(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.html(200), times=9)


def wrong_language(bundle: Bundle) -> None:
    bundle.store_connection(language="fr")


def no_quota(bundle: Bundle) -> None:
    bundle.shop.limits.use(300)


def wrong_settings(bundle: Bundle) -> None:
    bundle.store_connection(cluster="eu1")


MISTAKES: list[tuple[Callable[[Bundle], None], int, str, str]] = [
    (wrong_key, 422, "wrong-credentials", "wrong credentials: "),
    (wrong_place, 502, "shop-unreachable", "wrong cluster or base URL, or no network: nothing answers at"),
    (other_api, 502, "unexpected-answer", "answers, but not as a Lightspeed eCom API"),
    (wrong_language, 422, "unknown-language", "wrong language: the shop has no active language 'fr'"),
    (no_quota, 429, "quota-used-up", "the shop's quota is used up; try again in 300 s"),
    (wrong_settings, 422, "invalid-connection", "give exactly one of cluster (eu1 or us1) and base_url"),
]


@pytest.mark.parametrize(
    ("break_it", "status", "kind", "detail"), MISTAKES, ids=lambda found: getattr(found, "__name__", "")
)
def test_the_mistakes_of_a_connection_are_told_apart(
    bundle: Bundle, break_it: Callable[[Bundle], None], status: int, kind: str, detail: str
) -> None:
    break_it(bundle)

    answer = bundle.http("GET", "/connections/default")

    assert detail in problem(answer, status, kind)["detail"]
    assert "wrong0secret" not in answer.text


@pytest.mark.parametrize(("name", "status"), [("none", 404), ("a%20b", 400), ("team/none", 404), ("%2e%2e", 400)])
def test_a_connection_that_is_not_there(bundle: Bundle, name: str, status: int) -> None:
    assert bundle.http("GET", f"/connections/{name}").status == status


def test_a_connection_is_read_afresh_every_time(bundle: Bundle) -> None:
    assert bundle.http("GET", "/connections/default").status == 200
    wrong_key(bundle)
    assert bundle.http("GET", "/connections/default").status == 422


def test_calls_do_not_see_each_others_run(bundle: Bundle) -> None:
    first = bundle.http("POST", "/subscribe", quote_event(), request_id="request-1").json
    second = bundle.http("POST", "/subscribe", quote_event(), request_id="request-2").json

    assert (first["run_id"], second["run_id"]) == ("request-1", "request-2")
