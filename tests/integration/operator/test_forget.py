"""`forget` on a stack on moto deletes every version of the data, and nothing else."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from connector.operator.locks import REWRITE_KEY
from connector.operator.main import main
from connector.operator.stack import OperationFailed, Stack
from connector.operator.storage.versions import Versions
from connector.storage_keys import RunPlace
from tests.integration.operator.conftest import ACCOUNT
from tests.support.aws import CloudFormation, FakedClients
from tests.support.clock import FakeClock
from tests.unit.operator.lake import store_run

SECRET = "jane.doe@example.com"
LATER, EARLIER = 4_102_444_800.0, 946_684_800.0
"""2100 and 2000: what was just stored is old, or new."""


class World:
    """A stack with data of one person in every place, and of others beside it."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = FakeClock(LATER)
        self.cache = tmp_path / "cache"
        self.stack = CloudFormation({})
        self.aws = FakedClients(cloudformation=self.stack)
        self.s3 = self.aws.client("s3")
        self.sqs = self.aws.client("sqs")
        self.dynamodb = self.aws.client("dynamodb")
        self.s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        queues = {name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("runs", "publish", "webhooks")}
        self.stack.outputs = {
            "Bucket": "bucket",
            "RunFailureQueueUrl": queues["runs"],
            "PublishFailureQueueUrl": queues["publish"],
            "WebhookFailureQueueUrl": queues["webhooks"],
            "IdempotencyTable": "table",
        }
        self.dynamodb.create_table(
            TableName="table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.fill("default")
        self.published("default")
        store_run(
            self.put, "o", "2026-11-01T00:00:00Z", [{"id": 7, "email": SECRET}], entity="customers", connection="outlet"
        )
        self.published("outlet")

    def fill(self, connection: str) -> None:
        """Store record 7 of customers, which is the person, and record 8, which is not."""
        person, other = {"id": 7, "email": SECRET}, {"id": 8, "email": "other@example.com"}
        where: dict[str, Any] = {"entity": "customers", "connection": connection}
        for language in ("nl", "en"):
            store_run(self.put, f"a-{connection}", "2026-11-01T00:00:00Z", [person, other], language=language, **where)
        store_run(self.put, f"b-{connection}", "2026-11-02T00:00:00Z", [person], **where)
        gone = [{"id": number, "last_seen": "", "noticed_at": ""} for number in (7, 8)]
        store_run(self.put, f"r-{connection}", "2026-11-02T00:00:00Z", deleted=gone, **where)
        child = [
            {"customer_id": number, "id": number * 10, "value": SECRET if number == 7 else "x"} for number in (7, 8)
        ]
        store_run(
            self.put,
            f"m-{connection}",
            "2026-11-02T00:00:00Z",
            child,
            entity="customers/metafields",
            connection=connection,
        )
        place = RunPlace(connection, "customers", "nl", "2026-11-03", f"x-{connection}")
        rejected = b"".join(
            json.dumps({"record": row, "error": "no"}).encode() + b"\n" for row in (person, other, f"{SECRET} 7")
        )
        body = gzip.compress(rejected)
        part = {"records": 3, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        key = place.part("rejected", 0, part["sha256"])  # type: ignore[arg-type]
        self.put(key, body)
        store_run(self.put, place.run_id, "2026-11-03T00:00:00Z", rejected=[{"key": key, **part}], **where)
        store_run(self.put, f"lost-{connection}", "2026-11-03T00:00:00Z", [person], finished=False, **where)
        expired = RunPlace(connection, "customers", "nl", "2026-10-01", "old").part("raw", 0, "0" * 64)
        self.put(expired, gzip.compress(json.dumps(person).encode() + b"\n"))
        self.s3.delete_object(Bucket="bucket", Key=expired)
        for number in (7, 8):
            event = {"record_id": str(number), "body": json.dumps({"customer": {"id": number, "email": SECRET}})}
            text = json.dumps(event if number == 7 else {**event, "body": "{}"})
            self.put(f"events/connection={connection}/entity=customers/date=2026-11-02/{number}.json", text.encode())
        index = [{"entity": "customers"}, {"last_seen": "", "ids": [7, 8]}]
        self.put(f"state/connection={connection}/customers.ids.jsonl.gz", lines(index))
        self.put(f"state/connection={connection}/customers.json", b'{"until":"2026-11-02"}')
        self.put(f"state/runs/a-{connection}.json", json.dumps({"connection": connection, "run_id": "a"}).encode())

    def published(self, connection: str) -> None:
        update = {"entity": "customers", "action": "update", "connection": connection}
        person = {**update, "parameters": {"path": {"id": 7}, "payload": {"email": SECRET}}}
        other = {**update, "parameters": {"path": {"id": 8}, "payload": {}}}
        create = {"entity": "customers", "action": "create", "connection": connection}
        made = {**create, "parameters": {"payload": {"email": SECRET, "s3_key": f"publish/files/{connection}.pdf"}}}
        self.put(f"publish/files/{connection}.pdf", SECRET.encode())
        self.put(f"publish/in/{connection}.jsonl.gz", lines([other, person, made]))
        results = [{"line": 1, "id": 8}, {"line": 2, "id": 7}, {"line": 3, "id": 7, "record": {"email": SECRET}}]
        self.put(f"publish/out/{connection}.jsonl.gz", lines(results))
        for event in (person, other):
            queue = self.stack.outputs["PublishFailureQueueUrl"]
            self.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
        answers = ({"id": 7, "record": {"email": SECRET}}, {"id": 8, "record": {}})
        for answer in answers:
            self.item(f"{connection}-{answer['id']}", f"{connection} customers", json.dumps(answer))
        self.item(f"{connection}-newest", f'{connection} customers {{"id": "7"}}', SECRET)

    def item(self, identity: str, subject: str, data: str) -> None:
        item = {"id": {"S": identity}, "subject": {"S": subject}, "data": {"S": data}}
        self.dynamodb.put_item(TableName="table", Item=item)

    def put(self, key: str, body: bytes) -> None:
        """Store an object, over an older version of itself."""
        for _ in range(2 if "run=b" in key or "state" in key or "publish" in key else 1):
            self.s3.put_object(Bucket="bucket", Key=key, Body=body)

    def forget(self, *words: str) -> int:
        command = ["forget", *words, "--cache", str(self.cache), "--stack", "mine"]
        return main(command, open_stack=lambda name: Stack(name or "mine", self.aws, self.clock))

    def versions(self) -> dict[str, list[bytes]]:
        """Every version in the bucket as text, by key; a delete marker is no text."""
        found: dict[str, list[bytes]] = {}
        answer = self.s3.list_object_versions(Bucket="bucket")
        assert not answer["IsTruncated"]
        for row in answer.get("Versions", ()):
            body = self.s3.get_object(Bucket="bucket", Key=row["Key"], VersionId=row["VersionId"])["Body"].read()
            found.setdefault(row["Key"], []).append(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        for row in answer.get("DeleteMarkers", ()):
            found.setdefault(row["Key"], [])
        return {key: texts for key, texts in found.items() if key != REWRITE_KEY}

    def manifests(self) -> list[dict[str, Any]]:
        return [json.loads(texts[0]) for key, texts in self.versions().items() if key.startswith("manifests/")]

    def items(self) -> set[str]:
        return {item["id"]["S"] for item in self.dynamodb.scan(TableName="table")["Items"]}

    def messages(self) -> list[str]:
        url = self.stack.outputs["PublishFailureQueueUrl"]
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return sorted(message["Body"] for message in found.get("Messages", ()))


def lines(rows: list[Any]) -> bytes:
    return gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with mock_aws():
        yield World(tmp_path)


Output = Callable[[], str]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Output:
    return lambda: capsys.readouterr().out


def test_a_record_is_left_nowhere_and_a_second_call_finds_nothing(world: World, output: Output) -> None:
    before = world.versions()
    assert world.forget("--connection", "default", "--record", "customers", "7") == 0
    after = world.versions()

    own = {key: texts for key, texts in after.items() if "outlet" not in key}
    assert [key for key, texts in own.items() for text in texts if SECRET[:4].encode() in text] == []
    assert {key: texts for key, texts in after.items() if "outlet" in key} == {
        key: texts for key, texts in before.items() if "outlet" in key
    }
    assert world.items() == {"default-8", "outlet-7", "outlet-8", "outlet-newest"}
    assert len(world.messages()) == 3
    shown = output()
    assert "failure queues                  1 deleted" in shown
    assert "not reached: inputs of executions in Step Functions, until 2100-04-01" in shown

    assert world.forget("--connection", "default", "--record", "customers", "7") == 0
    assert output().startswith("nothing found\n")
    assert world.versions() == after


def test_the_runs_are_whole_afterwards(world: World) -> None:
    world.forget("--connection", "default", "--record", "customers", "7")

    for manifest in world.manifests():
        for part in (*manifest["parts"], *manifest["deleted"], *manifest["rejected"]):
            body = world.s3.get_object(Bucket="bucket", Key=part["key"])["Body"].read()
            assert (part["bytes"], part["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
            assert part["sha256"][:16] in part["key"]
            assert part["records"] == len(gzip.decompress(body).splitlines())
    rewritten = {manifest["run_id"]: manifest for manifest in world.manifests() if "rewritten" in manifest}
    assert set(rewritten) == {"a-default", "b-default", "r-default", "m-default", "x-default"}
    assert rewritten["b-default"]["parts"] == []
    assert rewritten["b-default"]["records"] == 1
    assert rewritten["b-default"]["rewritten"] == [
        {"at": "2100-01-01T00:00:00Z", "by": "forget", "reason": "a record was deleted on request"}
    ]
    assert all(manifest["verified"] for manifest in rewritten.values())


def test_nothing_of_a_shop_is_left_and_all_of_another_is(world: World, output: Output) -> None:
    cached = world.cache / "mine" / "raw" / "connection=default" / "part"
    cached.parent.mkdir(parents=True)
    cached.write_text(SECRET)
    before = world.versions()
    assert world.forget("--connection", "default") == 0
    after = world.versions()

    assert [key for key in after if "default" in key] == []
    assert {key: texts for key, texts in after.items() if "outlet" in key} == {
        key: texts for key, texts in before.items() if "outlet" in key
    }
    assert world.items() == {"outlet-7", "outlet-8", "outlet-newest"}
    assert len(world.messages()) == 2
    assert not cached.exists()

    output()
    assert world.forget("--connection", "default") == 0
    assert output().startswith("nothing found\n")


def test_a_connection_without_data_loses_nothing_of_the_others(world: World, output: Output) -> None:
    day = {"manifests/connection=default/entity=customers/lang=nl/date=2026-11-01/a.json": ["default"]}
    world.put("state/status/date=2026-11-01.json.gz", gzip.compress(json.dumps(day).encode()))
    world.put("state/status/latest.json", b'{"default/customers":{},"outlet/customers":{}}')
    world.put("state/status/arrivals.json", b'{"date":"2026-11-01","reports":{"outlet/customers":{}}}')
    world.put("state/status/folders.json", b'{"folders":["manifests/connection=outlet/entity=customers/lang=nl/"]}')
    before = world.versions()

    assert world.forget("--connection", "nope") == 0
    assert output().startswith("nothing found\n")
    assert world.versions() == before

    assert world.forget("--connection", "outlet") == 0
    left = {key for key in world.versions() if key.startswith("state/status/")}
    assert left == {"state/status/date=2026-11-01.json.gz"}


@pytest.mark.parametrize("entity", ["orders", "products", "categories", "variants", "blogs", "quotes"])
def test_a_record_of_an_entity_with_entities_under_its_name_is_forgotten(world: World, entity: str) -> None:
    store_run(world.put, "n", "2026-11-01T00:00:00Z", [{"id": 8, "email": SECRET}, {"id": 9}], entity=entity)

    assert world.forget("--connection", "default", "--record", entity, "8") == 0
    (left,) = (texts for key, texts in world.versions().items() if key.startswith("raw/") and f"={entity}/" in key)
    assert left == [b'{"id": 9}\n']


def test_a_dry_run_deletes_nothing(world: World, output: Output) -> None:
    before = world.versions(), world.items(), world.messages()
    assert world.forget("--connection", "default", "--record", "customers", "7", "--dry-run") == 0
    assert world.forget("--connection", "default", "--dry-run") == 0
    assert "would be deleted" in output()
    assert (world.versions(), world.items(), world.messages()) == before


def test_a_run_or_a_file_under_way_is_named_and_left(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.clock.set(EARLIER)
    assert world.forget("--connection", "default", "--record", "customers", "7", "--dry-run") == 1
    assert " would be deleted, " in capsys.readouterr().out
    assert world.forget("--connection", "default", "--record", "customers", "7") == 1
    shown = capsys.readouterr()
    assert " deleted, " in shown.out
    assert "still in use, and so not deleted: raw/connection=default/" in shown.err
    assert world.forget("--connection", "default", "--record", "customers", "7") == 1
    shown = capsys.readouterr()
    assert "nothing found" not in shown.out
    assert "still in use, and so not deleted: raw/connection=default/" in shown.err
    lost = [key for key in world.versions() if "run=lost-default" in key]
    assert len(lost) == 1

    world.clock.set(LATER)
    assert world.forget("--connection", "default", "--record", "customers", "7") == 0
    world.put("publish/in/new.jsonl", json.dumps({"entity": "customers", "parameters": {"path": {"id": 7}}}).encode())
    assert world.forget("--connection", "default", "--record", "customers", "7") == 1
    assert "publish/in/new.jsonl" in world.versions()


def test_a_manifest_that_changes_meanwhile_is_read_again(world: World) -> None:
    key = RunPlace("default", "customers", "nl", "2026-11-02", "b-default").manifest
    interrupted: list[str] = []

    def change(params: dict[str, Any], **_: Any) -> None:
        if params.get("Key") == key and "IfMatch" in params and not interrupted:
            interrupted.append(key)
            manifest = json.loads(world.versions()[key][0])
            world.s3.put_object(Bucket="bucket", Key=key, Body=json.dumps({**manifest, "note": "mine"}).encode())

    world.s3.meta.events.register("provide-client-params.s3.PutObject", change)
    assert world.forget("--connection", "default", "--record", "customers", "7") == 0
    manifest = next(manifest for manifest in world.manifests() if manifest["run_id"] == "b-default")
    assert interrupted
    assert (manifest["note"], manifest["parts"]) == ("mine", [])


RECORD = ("--connection", "default", "--record", "customers", "7")


def test_a_run_that_takes_days_is_left_until_it_is_given_up(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": 7, "email": SECRET}, {"id": 8}]
    store_run(world.put, "slow", "2026-11-01T00:00:00Z", rows, entity="customers", finished=False)
    note = {"run_id": "slow", "connection": "default", "status": "partial"}
    world.put("state/runs/slow.json", json.dumps(note).encode())
    world.put("state/passes/slow/0.jsonl.gz", b"")
    noted = s3_backends[ACCOUNT]["aws"].buckets["bucket"].keys["state/runs/slow.json"]
    monkeypatch.setattr(noted, "last_modified", datetime(2099, 12, 31))  # yesterday; its part is much older

    assert world.forget(*RECORD) == 1
    assert "/run=slow/part-00000-" in capsys.readouterr().err
    assert any("run=slow" in key for key in world.versions())

    world.clock.advance(2 * 86_400)
    assert world.forget(*RECORD) == 0
    assert not any("slow" in key for key in world.versions())


def test_a_run_that_finishes_meanwhile_keeps_its_parts_until_the_next_call(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    made: dict[str, bytes] = {}
    rows = [{"id": 7}, {"id": 8}]
    for run_id in ("slow", "late"):
        key = store_run(made.__setitem__, run_id, "2026-11-01T00:00:00Z", rows, entity="customers")
    slow = [name for name in made if "run=slow/" in name]
    for name in slow:
        world.put(name, made.pop(name))

    def finish(params: dict[str, Any], **_: Any) -> None:
        is_slow = params.get("Prefix", "").startswith("raw/") and bool(slow)
        if is_slow or (params.get("Prefix", "").startswith("rejected/") and bool(made)):
            world.put("state/runs/slow.json", b'{"status": "complete", "connection": "default"}')
            for name in [name for name in made if not is_slow or name.endswith("/slow.json")]:
                world.put(name, made.pop(name))
            slow.clear()

    world.s3.meta.events.register("provide-client-params.s3.ListObjectVersions", finish)
    assert world.forget(*RECORD) == 1
    assert not made
    error = capsys.readouterr().err
    assert "/run=slow/" in error
    assert "/run=late/" in error
    assert key in world.versions()

    assert world.forget(*RECORD) == 0
    for manifest in world.manifests():
        for part in manifest["parts"]:
            assert part["key"] in world.versions()
            assert b'"id": 7}' not in world.versions()[part["key"]][0]


def test_a_part_that_a_run_under_way_wrote_twice_is_left(world: World) -> None:
    world.clock.set(EARLIER)
    made: dict[str, bytes] = {}
    store_run(made.__setitem__, "now", "2000-01-01T00:00:00Z", [{"id": 7}], entity="customers", finished=False)
    ((key, body),) = made.items()
    world.put(key, body)
    world.put(key, body)

    assert world.forget(*RECORD) == 1
    assert len(world.versions()[key]) == 1


@pytest.mark.parametrize(
    "state",
    [
        ("customers.json", lambda manifests: {"bookmark": {}, "pending": {"note": {"manifests": manifests}}}),
        ("customers.json", lambda manifests: {"bookmark": {}, "pending": {"manifests": manifests}}),
        ("customers.ids.turn", lambda manifests: {"run_id": "d", "until": "", "note": {"manifests": manifests}}),
    ],
    ids=["bookmark", "bookmark of an earlier version", "lock of reconcile runs"],
)
def test_a_run_that_was_killed_after_it_was_decided_is_finished_first(
    world: World, state: tuple[str, Callable[[Any], Any]]
) -> None:
    made: dict[str, bytes] = {}
    key = store_run(made.__setitem__, "d", "2026-11-01T00:00:00Z", [{"id": 7}, {"id": 8}], entity="customers")
    manifest = json.loads(made.pop(key))
    for name, body in made.items():
        world.put(name, body)
    name, of = state
    world.put(f"state/connection=default/{name}", json.dumps(of({key: manifest})).encode())

    assert world.forget(*RECORD) == 0
    (part,) = json.loads(world.versions()[key][0])["parts"]
    assert world.versions()[part["key"]] == [b'{"id": 8}\n']


def test_the_lock_holds_however_long_the_command_takes(world: World) -> None:
    others: list[int] = []

    def wait(**_: Any) -> None:
        world.clock.advance(40 * 60)
        others.append(world.forget("--connection", "outlet"))

    world.s3.meta.events.register("before-call.s3.DeleteObjects", wait)
    assert world.forget(*RECORD) == 0
    world.s3.meta.events.unregister("before-call.s3.DeleteObjects", wait)
    assert set(others) == {1}
    assert len(others) > 3
    assert world.forget("--connection", "outlet") == 0  # the lock was returned


def test_nothing_is_deleted_without_the_lock(world: World) -> None:
    def lost() -> None:
        raise OperationFailed("another process rewrites stored runs now")

    before, bucket = world.versions(), Versions(world.s3, "bucket", world.clock, lost)
    with pytest.raises(OperationFailed):
        bucket.delete(bucket.under(""))
    assert world.versions() == before


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObjects"])
def test_a_command_that_is_killed_anywhere_is_finished_by_the_next_one(world: World, operation: str) -> None:
    world.clock.set(datetime.now().timestamp() + 60)  # what was just stored is new
    del_lost(world)
    calls: list[int] = []

    def count(**_: Any) -> None:
        calls.append(0)
        if len(calls) == at:
            raise KeyboardInterrupt

    world.s3.meta.events.register(f"before-call.s3.{operation}", count)
    at = 1
    while world.forget(*RECORD) == 130:
        at, calls[:] = at + 1, []
    assert at > 3
    world.s3.meta.events.unregister(f"before-call.s3.{operation}", count)
    assert [key for key, texts in world.versions().items() for text in texts if is_left(key, text)] == []
    for manifest in world.manifests():
        for part in (*manifest["parts"], *manifest["deleted"], *manifest["rejected"]):
            assert part["key"] in world.versions()


def del_lost(world: World) -> None:
    """Delete the parts of the run that has no manifest: it may be under way."""
    for key in [key for key in world.versions() if "run=lost-default" in key]:
        for row in world.s3.list_object_versions(Bucket="bucket", Prefix=key)["Versions"]:
            world.s3.delete_object(Bucket="bucket", Key=key, VersionId=row["VersionId"])


def is_left(key: str, text: bytes) -> bool:
    return "outlet" not in key and SECRET.encode() in text


def test_a_rejected_row_that_two_manifests_name_is_taken_out_of_both(world: World) -> None:
    place = RunPlace("default", "customers", "nl", "2026-11-03", "0-first")
    body = lines([{"record": {"id": number}} for number in (7, 8)])
    sha256 = hashlib.sha256(body).hexdigest()
    part = {"key": place.part("rejected", 0, sha256), "records": 2, "bytes": len(body), "sha256": sha256}
    world.put(str(part["key"]), body)
    first = store_run(world.put, "0-first", "2026-11-03T00:00:00Z", entity="customers", rejected=[part])
    compacted = {"entity": "customers", "rejected": [part], "replaces": [first]}
    store_run(world.put, "2026-11-03-compact", "2026-11-03T00:00:00Z", **compacted)  # type: ignore[arg-type]

    assert world.forget(*RECORD) == 0
    named = [one["rejected"] for one in world.manifests() if one["run_id"] in ("0-first", "2026-11-03-compact")]
    assert named[0] == named[1]
    assert set(world.versions()[named[0][0]["key"]]) == {b'{"record": {"id": 8}}\n'}


def test_children_that_were_read_by_the_parents_id_are_forgotten(world: World) -> None:
    metafields = "customers/metafields"
    for number in (7, 8):
        request = {"entity": metafields, "parameters": {"path": {"customer_id": number}}}
        row = {"id": number * 10, "value": f"of {number}"}
        store_run(world.put, f"p{number}", "2026-11-01T00:00:00Z", [row], entity=metafields, request=request)

    assert world.forget(*RECORD) == 0
    texts = [text for texts in world.versions().values() for text in texts]
    assert any(b"of 8" in text for text in texts)
    assert not any(b"of 7" in text for text in texts)


def test_results_belong_to_lines_by_number_whatever_is_between_and_before(world: World) -> None:
    event = b'{"entity": "customers", "action": "create", "parameters": {"payload": {}}}'
    world.s3.put_object(Bucket="bucket", Key="publish/in/n.jsonl", Body=event + b"\r\n\r\n" + event)
    for numbers in ((5, 6), (8, 7)):  # the file was uploaded twice
        results = [{"line": line, "id": number} for line, number in zip((1, 3), numbers, strict=True)]
        body = b"".join(json.dumps(row).encode() + b"\n" for row in results)
        world.s3.put_object(Bucket="bucket", Key="publish/out/n.jsonl", Body=body)

    assert world.forget(*RECORD) == 0
    assert world.versions()["publish/out/n.jsonl"] == [b'{"line": 1, "id": 8}\n']
    assert "publish/in/n.jsonl" not in world.versions()


class LongQueue:
    """A failure queue of SQS; each of the stack's three is this one."""

    def __init__(self, bodies: list[str]) -> None:
        self.shown = dict(enumerate(bodies))
        self.hidden: dict[int, str] = {}

    def get_queue_attributes(self, *, AttributeNames: list[str], **_: Any) -> Any:  # noqa: N803 - AWS's name
        return {"Attributes": dict.fromkeys(AttributeNames, str(len(self.hidden)))}

    def receive_message(self, **_: Any) -> Any:
        numbers = list(self.shown)[:10]
        self.hidden |= {number: self.shown.pop(number) for number in numbers}
        names = ("MessageId", "ReceiptHandle", "Body")
        return {"Messages": [dict(zip(names, (str(one), one, self.hidden[one]), strict=True)) for one in numbers]}

    def delete_message(self, *, ReceiptHandle: int, **_: Any) -> None:  # noqa: N803 - AWS's name
        del self.hidden[ReceiptHandle]

    def change_message_visibility_batch(self, *, Entries: list[Any], **_: Any) -> None:  # noqa: N803 - AWS's name
        self.shown |= {entry["ReceiptHandle"]: self.hidden.pop(entry["ReceiptHandle"]) for entry in Entries}


def test_every_message_of_a_failure_queue_is_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"entity": "customers", "action": "update", "parameters": {"path": {"id": 9}}}
    person = {**other, "parameters": {"path": {"id": 7}}}
    queue = LongQueue([*[json.dumps(other)] * 1010, json.dumps(person), json.dumps({"items": [other, person]})])
    client = world.aws.client
    monkeypatch.setattr(world.aws, "client", lambda service: queue if service == "sqs" else client(service))

    assert world.forget(*RECORD) == 0
    assert list(queue.shown.values()) == [json.dumps(other)] * 1010


def test_messages_that_another_command_holds_are_not_said_to_be_forgotten(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    url = world.stack.outputs["PublishFailureQueueUrl"]
    (held,) = world.sqs.receive_message(QueueUrl=url, VisibilityTimeout=300)["Messages"]

    assert world.forget(*RECORD) == 1
    assert "messages of the failure queue of publish, which another command holds" in capsys.readouterr().err
    world.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"], VisibilityTimeout=0)
    assert world.forget(*RECORD) == 0
    assert len(world.messages()) == 3


def test_the_cache_of_a_bucket_that_was_named_is_cleared(world: World) -> None:
    cached = world.cache / "bucket" / "raw" / "connection=default" / "part"
    cached.parent.mkdir(parents=True)
    cached.write_text(SECRET)

    assert world.forget(*RECORD) == 0
    assert not cached.exists()


def test_a_connection_that_can_have_no_data_is_a_wrong_command(world: World) -> None:
    assert world.forget("--connection", "*") == 2


@pytest.mark.parametrize("record", [("customer", "7"), ("shop", "7"), ("", "7"), ("customers", ""), ("", "")])
def test_an_entity_without_records_or_an_empty_word_is_a_wrong_command(world: World, record: tuple[str, str]) -> None:
    before = world.versions()
    assert world.forget("--connection", "default", "--record", *record) == 2
    assert world.versions() == before
