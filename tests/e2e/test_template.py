"""template.yaml agrees with the code that it deploys, and gives no more rights than are written in it."""

import importlib
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from connector.errors import AwsUnavailable
from connector.http.routes import ROUTES
from connector.settings import Settings
from lightspeed.errors import TRANSIENT_ERRORS
from tests.local.build import ROOT
from tests.local.deploy import template
from webhook.scheduler import UNWRITTEN_SECONDS

READ_BY_LIBRARIES = {
    "LOG_LEVEL",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
}
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}


class Environment(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


class NoPolicies:
    """SAM asks for AWS's managed policies; the template uses none."""

    def load(self) -> dict[str, str]:
        return {}


def read_by_settings() -> set[str]:
    environment = Environment()
    Settings.from_env(environment)
    return environment.asked


def environment_of(function: str) -> set[str]:
    return set(FUNCTIONS[function].get("Environment", {}).get("Variables", {}))


def processed(**parameters: str) -> dict[str, Any]:
    source = template()
    source["Globals"]["Function"]["CodeUri"] = "s3://bucket/functions"
    source["Resources"]["Layer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    resources: dict[str, Any] = transform(source, parameters, NoPolicies())["Resources"]
    return resources


def statements(resources: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            assert not resource["Properties"].get("ManagedPolicyArns"), f"{name} has rights that are not written here"
            for policy in resource["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield name, statement


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_nothing_that_nobody_reads(function: str) -> None:
    assert environment_of(function) - READ_BY_LIBRARIES <= read_by_settings()


def test_every_setting_is_told_to_a_function() -> None:
    told = set().union(*map(environment_of, FUNCTIONS))

    assert read_by_settings() <= told


def test_the_template_has_exactly_the_routes_that_the_functions_know() -> None:
    events = [
        (name, event["Properties"])
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi" and "Path" in event["Properties"]
    ]

    assert {(event["Method"], event["Path"]) for _, event in events} == {(r.method, r.path) for r in ROUTES}


@pytest.mark.parametrize(("position", "scheme"), [(1, "AWS_IAM"), (2, "Token")])
def test_every_route_with_a_scope_asks_who_calls_as_the_parameter_says(
    position: int, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    body = processed()["HttpApi"]["Properties"]["Body"]
    asked = {
        (verb.upper(), path): operation["security"]["Fn::If"][position]
        for path, verbs in body["paths"].items()
        for verb, operation in verbs.items()
        if "security" in operation
    }

    assert asked == {(route.method, route.path): [{scheme: []}] for route in ROUTES if route.scope is not None}
    assert scheme in body["components"]["securitySchemes"]
    assert template()["Conditions"]["UsesIam"] == {"Fn::Equals": [{"Ref": "ApiAuth"}, "iam"]}


def test_what_no_route_takes_goes_to_a_function_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    (operation,) = processed()["HttpApi"]["Properties"]["Body"]["paths"]["$default"].values()

    assert "security" not in operation
    assert "SubscribeFunction.Arn" in str(operation)


def test_the_authorizers_answer_is_never_kept() -> None:
    (token,) = template()["Resources"]["HttpApi"]["Properties"]["Auth"]["Authorizers"].values()

    assert token["Identity"]["ReauthorizeEvery"] == 0


def test_what_cannot_be_made_again_outlives_the_stack() -> None:
    kept = {
        name
        for name, resource in template()["Resources"].items()
        if resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain"
    }

    chapter = (ROOT / "functions" / "OPERATION.md").read_text(encoding="utf-8").partition("**Uninstall.**")[2]
    rows = [line for line in chapter.partition("\n\n#")[0].splitlines() if line.startswith("|")]
    named = {
        "Bucket": "the bucket",
        "DefaultConnection": "secret of the connection `default`",
        "IdempotencyTable": "table of idempotency keys",
        "PublishQueue": "publish queue",
        "PublishFailureQueue": "publish failure queue",
    }
    assert kept == set(named)
    for text in named.values():
        assert any(text in row for row in rows), text


def test_no_role_reaches_the_connections_of_another_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    stack_name_or_given = {"Fn::If": ["HasSecretPrefix", {"Ref": "SecretPrefix"}, {"Fn::Sub": "${AWS::StackName}/"}]}

    read = [row["Resource"] for _, row in statements(processed()) if row["Action"] == "secretsmanager:GetSecretValue"]

    by_prefix = [resource["Fn::Sub"] for resource in read if "Fn::Sub" in resource]
    assert all(text.endswith(":secret:${Prefix}*") for text, _ in by_prefix)
    assert [values for _, values in by_prefix] == [{"Prefix": stack_name_or_given}] * len(by_prefix)
    assert [resource for resource in read if "Fn::Sub" not in resource] == [{"Fn::GetAtt": ["ApiToken", "Id"]}]


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"])
def test_every_bucket_and_queue_takes_only_tls(kind: str) -> None:
    resources = template()["Resources"]
    policies = [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]
    covered = [
        row["Ref"]
        for policy in policies
        for row in policy.get("Queues", [policy.get("Bucket")])
        if policy["PolicyDocument"]["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]

    owners = kind.replace("Policy", "")
    assert sorted(covered) == sorted(name for name, resource in resources.items() if resource["Type"] == owners)


def test_everything_that_can_be_is_encrypted_with_the_key_of_the_parameter() -> None:
    kinds = ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::SecretsManager::Secret")
    encrypted = [
        (name, resource)
        for name, resource in template()["Resources"].items()
        if resource["Type"] in (*kinds, "AWS::Logs::LogGroup")
    ]

    assert len(encrypted) >= 15
    for name, resource in encrypted:
        assert "{'Ref': 'KmsKeyArn'}" in str(resource["Properties"]), name


def test_the_key_may_be_used_by_every_role_that_the_stack_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    resources = processed()
    roles = {name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}

    users = {row["Ref"] for row in resources["UseOfKmsKey"]["Properties"]["Roles"]}

    # they start PublishFile, the daily look and the watcher, and touch no data
    assert roles - users == {"PublishFileUploadedRole", "WebhookDailyFunctionDailyRole", "WatchFunctionWatchRole"}


def test_a_line_of_the_access_log_holds_nothing_that_a_caller_writes() -> None:
    line = template()["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"]
    written_by_callers = ("$context.path", "$context.identity.userAgent", '$context.error.message"')

    assert not [name for name in written_by_callers if name in line]


def lifecycle(*enabled: str) -> dict[str, dict[str, Any]]:
    """The bucket's rules by prefix and id, where some conditions of the template hold."""
    rules = template()["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    chosen = [row["Fn::If"][1] if row["Fn::If"][0] in enabled else None for row in rules if "Fn::If" in row]
    return {row.get("Prefix", row["Id"]): row for row in [*(r for r in rules if "Fn::If" not in r), *chosen] if row}


@pytest.mark.parametrize(
    ("condition", "parameter", "prefixes"),
    [
        ("ExpiresRecords", "RecordRetentionDays", {"raw/", "deleted/", "rejected/", "manifests/"}),
        ("ExpiresPublishedFiles", "PublishedFileRetentionDays", {"publish/in/", "publish/out/"}),
        ("ExpiresRunNotes", "RunNoteRetentionDays", {"state/runs/"}),
        ("ExpiresWebhooks", "WebhookRetentionDays", {"events/"}),
    ],
)
def test_data_is_kept_for_ever_unless_a_parameter_says_how_long(
    condition: str, parameter: str, prefixes: set[str]
) -> None:
    added = {prefix: rule for prefix, rule in lifecycle(condition).items() if prefix not in lifecycle()}

    assert set(added) == prefixes
    assert [rule["ExpirationInDays"] for rule in added.values()] == [{"Ref": parameter}] * len(prefixes)
    assert template()["Parameters"][parameter]["Default"] == 0
    assert template()["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}


def test_markers_of_deleted_objects_do_not_stay_for_ever() -> None:
    assert lifecycle()["delete-markers-without-versions"]["ExpiredObjectDeleteMarker"] is True
    assert lifecycle()["delete-replaced-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_an_upload_that_starts_nothing_is_sent_to_a_queue_that_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    resources = processed()
    queue = {"Fn::GetAtt": ["PublishFailureQueue", "Arn"]}
    (target,) = resources["PublishFileUploaded"]["Properties"]["Targets"]

    (_, allowed) = resources["PublishFailureQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert target["DeadLetterConfig"]["Arn"] == queue
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert allowed["Resource"] == queue
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["PublishFileUploaded", "Arn"]}}}


def test_the_database_of_athena_is_made_only_if_it_is_named() -> None:
    source = template()
    catalog, group = source["Resources"]["Catalog"], source["Resources"]["CatalogWorkGroup"]

    assert source["Parameters"]["CatalogDatabase"]["Default"] == ""
    assert source["Parameters"]["CatalogDatabase"]["AllowedPattern"] == "[a-z0-9_]{0,255}"
    assert source["Conditions"]["HasCatalog"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CatalogDatabase"}, ""]}]}
    assert catalog["Condition"] == group["Condition"] == "HasCatalog"
    assert catalog["Properties"]["DatabaseInput"]["Name"] == {"Ref": "CatalogDatabase"}
    assert lifecycle()["athena/"]["ExpirationInDays"] == 1
    assert not [row["Type"] for row in source["Resources"].values() if row["Type"] == "AWS::Glue::Table"]


def test_a_run_that_scheduler_cannot_start_is_sent_to_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    resources = processed()
    queue = {"Fn::GetAtt": ["RunFailureQueue", "Arn"]}

    schedule = resources["SyncOrders"]["Properties"]["Target"]

    assert schedule["DeadLetterConfig"]["Arn"] == queue
    (role,) = [row for name, row in resources.items() if {"Fn::GetAtt": [name, "Arn"]} == schedule["RoleArn"]]
    assert "sqs:SendMessage" in str(role["Properties"]["Policies"])


def test_the_workers_of_a_file_can_be_redriven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    rights = [row for name, row in statements(processed()) if name == "PublishFileRole"]
    machine = "${AWS::Region}:${AWS::AccountId}"

    (redrive,) = [row for row in rights if "states:RedriveExecution" in row["Action"]]

    prefix = f"arn:${{AWS::Partition}}:states:{machine}:execution:"
    assert redrive["Resource"] == {"Fn::Sub": f"{prefix}${{AWS::StackName}}-publish-file*"}


ACCOUNT = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}


def resolved(value: Any, variables: Mapping[str, str]) -> Any:
    """The value of a template's functions Sub, Split and Select."""
    if not isinstance(value, dict):
        return value
    ((function, given),) = value.items()
    if function == "Fn::Sub":
        text, more = (given, {}) if isinstance(given, str) else given
        known = {**variables, **{name: resolved(inner, variables) for name, inner in more.items()}}
        for name, inner in known.items():
            text = text.replace(f"${{{name}}}", inner)
        return text
    arguments = [resolved(inner, variables) for inner in given]
    if function == "Fn::Split":
        return arguments[1].split(arguments[0])
    assert function == "Fn::Select"
    return arguments[1][arguments[0]]


@pytest.mark.parametrize(
    ("bus", "arn"),
    [
        ("results", "arn:aws:events:eu-west-1:123456789012:event-bus/results"),
        (
            "arn:aws:events:eu-west-1:210987654321:event-bus/theirs",
            "arn:aws:events:eu-west-1:210987654321:event-bus/theirs",
        ),
    ],
    ids=["name", "arn"],
)
def test_publish_may_send_its_results_to_a_bus_by_name_or_arn(
    bus: str, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    (right,) = [row for _, row in statements(processed()) if row["Action"] == "events:PutEvents"]

    assert resolved(right["Resource"], {**ACCOUNT, "ResultsBus": bus}) == arn
    assert FUNCTIONS["PublishFunction"]["Environment"]["Variables"]["RESULTS_BUS"] == {"Ref": "ResultsBus"}


def test_publish_has_no_right_to_read_single_items_which_it_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    rights = [row["Action"] for name, row in statements(processed()) if name == "PublishRole"]
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "functions" / "publish").rglob("*.py"))

    assert "dynamodb:GetItem" not in [right for row in rights for right in ([row] if isinstance(row, str) else row)]
    assert ".get_item(" not in code


def test_publish_reads_no_object_but_what_is_there_to_be_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    read = [row for name, row in statements(processed()) if name == "PublishRole" and "s3:GetObject" in row["Action"]]

    (resources,) = [row["Resource"] for row in read]
    folders = [resource["Fn::Sub"].removeprefix("${Bucket.Arn}/") for resource in resources]
    assert folders == ["publish/files/*", "publish/in/*", "publish/parts/*", "config/*"]


def test_every_step_of_a_file_is_done_again_where_aws_is_in_trouble() -> None:
    states = template()["Resources"]["PublishFile"]["Properties"]["Definition"]["States"]
    states |= states["PublishShards"]["ItemProcessor"]["States"]
    calls = {name: state for name, state in states.items() if "lambda:invoke" in state.get("Resource", "")}

    assert len(calls) >= 3
    for name, state in calls.items():
        assert any(AwsUnavailable.__name__ in rule["ErrorEquals"] for rule in state["Retry"]), name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_where_the_template_says(function: str) -> None:
    module, _, name = FUNCTIONS[function]["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))


def test_no_role_has_rights_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    found = list(statements(processed()))

    assert len(found) > 10
    for name, statement in found:
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if actions != ["scheduler:ListSchedules"]:  # IAM knows no narrower resource for it
            assert "*" not in resources, f"{name}: {statement}"
        assert all("*" not in action for action in actions), f"{name}: {statement}"


@pytest.mark.parametrize(("kind", "function"), [("Publish", "PublishFunction"), ("Webhook", "WebhookTriggerFunction")])
def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(kind: str, function: str) -> None:
    queue = template()["Resources"][f"{kind}Queue"]["Properties"]

    assert queue["VisibilityTimeout"] >= 6 * FUNCTIONS[function]["Timeout"]


def test_sync_waits_for_an_invocation_longer_than_it_may_run() -> None:
    states = template()["Resources"]["Sync"]["Properties"]["Definition"]["States"]

    assert states["Fetch"]["TimeoutSeconds"] > FUNCTIONS["SubscribeFunction"]["Timeout"]


def test_sync_retries_the_errors_that_may_pass_each_by_its_own_name() -> None:
    states = template()["Resources"]["Sync"]["Properties"]["Definition"]["States"]
    retried = {error for rule in states["Fetch"]["Retry"] for error in rule["ErrorEquals"]}

    ours = {name for name in retried if "." not in name}

    passing = (*TRANSIENT_ERRORS, AwsUnavailable)
    assert ours == {kind.__name__ for base in passing for kind in family(base)}


def test_a_tick_is_written_to_its_mark_before_it_can_be_dropped() -> None:
    assert FUNCTIONS["WebhookTriggerFunction"]["Timeout"] < UNWRITTEN_SECONDS


def test_the_webhook_route_has_a_throttle_of_its_own_and_no_authorizer() -> None:
    api = template()["Resources"]["HttpApi"]["Properties"]

    assert "/webhooks/{connection}" not in api["DefinitionBody"]["paths"]
    assert api["RouteSettings"]["POST /webhooks/{connection}"] == {
        "ThrottlingBurstLimit": 500,
        "ThrottlingRateLimit": 200,
    }


def test_as_many_webhooks_are_received_at_once_as_a_bulk_edit_brings_to_cold_functions() -> None:
    rate = template()["Resources"]["HttpApi"]["Properties"]["RouteSettings"]["POST /webhooks/{connection}"]
    seconds_of_a_cold_start = 0.75

    reserved = template()["Parameters"]["WebhookConcurrency"]["Default"]

    assert reserved >= rate["ThrottlingRateLimit"] * seconds_of_a_cold_start


def refused(arrivals: Iterable[float], rate: float, burst: float) -> int:
    """Return how many calls API Gateway refuses: each takes a token of a bucket that fills up at the rate.

    Source: Amazon API Gateway developer guide, "Throttle requests to your HTTP APIs": a token bucket, where the burst
    is its size and the rate is how fast tokens come back.
    """
    tokens, before, count = burst, 0.0, 0
    for now in sorted(arrivals):
        tokens = min(burst, tokens + (now - before) * rate)
        before = now
        count += tokens < 1
        tokens -= tokens >= 1
    return count


RNG = random.Random(1)
FIVE_SECONDS = {
    "evenly": [number / 200 for number in range(1_000)],
    "at random": [RNG.uniform(0, 5) for _ in range(1_000)],
    "in ten bursts": [number // 100 * 0.5 for number in range(1_000)],
    "half of them at once": [max(0.0, (number - 499) / 100) for number in range(1_000)],
    "from ten senders, each waiting for its answer": [
        number // 10 * 0.05 + RNG.uniform(0, 0.05) for number in range(1_000)
    ],
}


@pytest.mark.parametrize("arrivals", FIVE_SECONDS)
def test_a_thousand_webhooks_in_five_seconds_are_not_throttled(arrivals: str) -> None:
    settings = template()["Resources"]["HttpApi"]["Properties"]["RouteSettings"]["POST /webhooks/{connection}"]
    limits = settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]

    assert refused(FIVE_SECONDS[arrivals], *limits) == 0
    assert refused([number / 1_000 for number in range(10_000)], *limits) > 7_000  # ten seconds of a flood


def family(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for kind in base.__subclasses__():
        yield from family(kind)
