"""Copies of a function that run at once: a seeded scheduler decides at every call of AWS and of the shop who goes on.

Each copy is a thread, but only one of them runs at a time, so that a seed always gives the same run. The clock is
virtual: it moves a little with every step, and jumps where everybody sleeps. A copy whose deadline is over is killed,
as Lambda does it. What a killed copy had on its way may still arrive at the shop some seconds later.
"""

import hashlib
import io
import json
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from connector.settings import Settings
from lightspeed import AnswerLost, Client, Connection, InvalidRequest, Request, Response, ServerError, Transport
from lightspeed.failures import Facts
from publish.app import handle
from publish.dependencies import Dependencies
from tests.property.publish.table import Table
from tests.support.fake_transport import FakeTransport

START = 1_795_413_600.0
INVOCATION_SECONDS = 120.0
LATE_SECONDS = 25.0
"""How long after a kill the shop may still act: less than the margin of a lease."""

MAX_TURNS = 20_000
WRONG = "as many as there are"
SETTINGS = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}


class Killed(BaseException):
    """The copy ends here: nothing that cleans up has an effect any more."""


class Scheduler:
    """Lets one copy run at a time, and switches between them."""

    def __init__(self, number: random.Random) -> None:
        self.number = number
        self.now = START
        self.late: list[tuple[float, Callable[[], None]]] = []
        self._copies: list[Copy] = []
        self._back = threading.Semaphore(0)

    def start(self, work: Callable[["Copy"], None], kill_at: int | None) -> "Copy":
        copy = Copy(self, work, kill_at)
        self._copies.append(copy)
        return copy

    @property
    def running(self) -> int:
        return len(self._copies)

    def turn(self) -> None:
        """Let one copy go on until its next step."""
        self.now += self.number.choice([0.01, 0.1, 0.5])
        ready = [copy for copy in self._copies if copy.wakes_at <= self.now]
        if not ready:
            self.now = min(copy.wakes_at for copy in self._copies)
            ready = [copy for copy in self._copies if copy.wakes_at <= self.now]
        self.arrive()
        copy = self.number.choice(ready)
        if self.number.random() < 0.01:  # it hangs, perhaps until it is killed
            copy.wakes_at = min(self.now + self.number.choice([5.0, 60.0, 200.0]), copy.deadline)
            return
        copy.turn.release()
        self._back.acquire()
        if copy.is_over:
            self._copies.remove(copy)
            if copy.error is not None:
                raise copy.error

    def pause(self) -> None:
        self._back.release()

    def arrive(self) -> None:
        """Let the shop act on what killed copies had on their way."""
        for one in [one for one in self.late if one[0] <= self.now]:
            self.late.remove(one)
            one[1]()


class Copy:
    """One invocation, and the clock and context that it sees."""

    function_name = "publish"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:publish"
    aws_request_id = "11111111-2222-3333-4444-555555555555"

    def __init__(self, scheduler: Scheduler, work: Callable[["Copy"], None], kill_at: int | None) -> None:
        self.turn = threading.Semaphore(0)
        self.wakes_at = scheduler.now
        self.deadline = scheduler.now + INVOCATION_SECONDS
        self.is_over = False
        self.error: BaseException | None = None
        self.scheduler = scheduler
        self._kill_at = kill_at
        self._is_killed = False
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[["Copy"], None]) -> None:
        self.turn.acquire()
        try:
            work(self)
        except Killed:
            pass
        except BaseException as error:
            self.error = error
        self.is_over = True
        self.scheduler.pause()

    def step(self) -> None:
        """Let others go on; end here if it is time."""
        self.check()
        self.scheduler.pause()
        self.turn.acquire()
        self.check()

    def check(self) -> None:
        if self._kill_at is not None:
            self._kill_at -= 1
            self._is_killed |= self._kill_at < 0
        if self._is_killed or self.scheduler.now >= self.deadline:
            self._is_killed = True
            raise Killed

    def monotonic(self) -> float:
        return self.scheduler.now

    def time(self) -> float:
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        self.wakes_at = self.scheduler.now + seconds
        self.step()

    def get_remaining_time_in_millis(self) -> int:
        return int((self.deadline - self.scheduler.now) * 1000)


class Calls:
    """An AWS client as one copy sees it: it steps before and after each call, and answers may be lost."""

    def __init__(self, client: Any, copy: Copy, lost: float) -> None:
        self._client = client
        self._copy = copy
        self._lost = lost

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def asked(**arguments: Any) -> Any:
            self._copy.step()
            number = self._copy.scheduler.number
            if number.random() < self._lost:
                again = name == "put_item" and number.random() < 0.5
                if again or number.random() < 0.5:
                    call(**arguments)
                if not again:  # the SDK repeats some calls itself
                    raise ConnectionClosedError(endpoint_url="https://aws.example")
            answer = call(**arguments)
            self._copy.step()
            return answer

        return asked


class MemoryShop:
    """Variants and tags, just enough of a shop to see what is written and in which order."""

    def __init__(self, number: random.Random, lost: float) -> None:
        self.variants: dict[int, dict[str, Any]] = {}
        self.accepted: dict[tuple[int, str], list[int]] = {}
        self.tags: list[dict[str, Any]] = []
        self.writers: set[int] = set()
        self.overlaps = 0
        self._number = number
        self._lost = lost

    def handle(self, request: Request) -> tuple[int, Any]:
        """Act on a request; status and body."""
        parts = request.path.removesuffix(".json").split("/")[2:]
        body = json.loads(request.body) if isinstance(request.body, bytes) else {}
        if parts[0] == "variants" and request.method == "GET":
            return 200, {"variant": self.variants[int(parts[1])]}
        if parts[0] == "variants":
            rows = body["variant"]
            rows = rows if isinstance(rows, list) else [{**rows, "id": int(parts[1])}]
            if any(WRONG in row.values() for row in rows):
                return 422, {}
            for row in rows:
                self.variants[row["id"]] |= row
                for name in row.keys() - {"id"}:
                    self.accepted.setdefault((row["id"], name), []).append(row[name])
            return 200, {"variants": rows} if parts[1] == "bulk" else {"variant": rows[0]}
        if request.method == "GET":
            found = [tag for tag in self.tags if tag["title"] == request.query.get("title", tag["title"])]
            return 200, {"tags": found}
        if request.method == "PUT":
            (tag,) = [tag for tag in self.tags if tag["id"] == int(parts[1])]
            tag |= body["tag"]
            return 200, {"tag": tag}
        self.tags.append({"id": len(self.tags) + 1, **body["tag"]})
        return 201, {"tag": self.tags[-1]}


class Wire(FakeTransport, Transport):
    """A connection to the shop as one copy sees it."""

    shop: MemoryShop
    copy: Copy
    lost: float

    def send(self, request: Request) -> Response:
        scheduler, facts = self.copy.scheduler, Facts(method=request.method, path=request.path)
        writes = request.method != "GET"
        try:
            self.copy.step()
            if writes:
                self.shop.overlaps += bool(self.shop.writers)
                self.shop.writers.add(id(self.copy))
            self.copy.step()
        except Killed:
            if writes and id(self.copy) in self.shop.writers and scheduler.number.random() < 0.5:
                scheduler.late.append(
                    (scheduler.now + scheduler.number.uniform(0, LATE_SECONDS), lambda: void(self.shop.handle(request)))
                )
            raise
        finally:
            self.shop.writers.discard(id(self.copy))
        fate = scheduler.number.random()
        if fate < self.lost / 2:
            raise ServerError("busy", status=503, **facts)
        status, body = self.shop.handle(request)
        self.copy.step()
        if fate < self.lost:
            raise AnswerLost("cut", **facts)
        if status == 422:
            raise InvalidRequest("wrong", status=422, **facts)
        return Response(status, json.dumps(body).encode(), "")


def void(_: object) -> None:
    """Nothing: the answer of a request whose sender is gone."""


class Queue:
    """A standard queue, and the failure queue behind it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.visible_at: dict[str, float] = {}
        self.receives: dict[str, int] = {}
        self.failures: list[dict[str, Any]] = []
        self._scheduler = scheduler
        self._copies = 0

    def put(self, record: dict[str, Any], delay: float = 0.0) -> None:
        name = record["messageId"]
        self.messages[name] = {**record, "receiptHandle": name}
        self.visible_at[name] = self._scheduler.now + delay
        self.receives[name] = 0

    def receive(self, most: int) -> list[dict[str, Any]]:
        number, now = self._scheduler.number, self._scheduler.now
        visible = [name for name in self.messages if self.visible_at[name] <= now or number.random() < 0.05]
        records = []
        for name in number.sample(visible, min(len(visible), most)):
            self.receives[name] += 1
            self.visible_at[name] = now + 720
            record = self.messages[name]
            counted = {**record["attributes"], "ApproximateReceiveCount": str(self.receives[name])}
            records.append({**record, "attributes": counted})
        return records

    def redrive(self) -> bool:
        """Move messages back that were given up, but neither refused nor unknown without a natural key.

        Returns:
            Whether there are any.
        """
        moved = [
            asked
            for asked in self.failures
            if asked["MessageAttributes"]["Error"]["StringValue"] != "InvalidRequest"
            and ("match" in asked["MessageBody"] or "create" not in asked["MessageBody"])
        ]
        self.failures = [asked for asked in self.failures if asked not in moved]
        for asked in moved:
            self.send_message(**{**asked, "QueueUrl": "queue"})
        return bool(moved)

    def delete(self, name: str) -> None:
        self.messages.pop(name, None)

    def change_message_visibility(self, **asked: Any) -> None:
        if asked["ReceiptHandle"] in self.messages:
            self.visible_at[asked["ReceiptHandle"]] = self._scheduler.now + asked["VisibilityTimeout"]

    def send_message(self, **asked: Any) -> None:
        if asked["QueueUrl"] == "failures":
            self.failures.append(asked)
            return
        self._copies += 1
        attributes = {name: {"stringValue": value["StringValue"]} for name, value in asked["MessageAttributes"].items()}
        copied = {
            "messageId": f"copy-{self._copies}",
            "body": asked["MessageBody"],
            "attributes": {"SentTimestamp": str(int(self._scheduler.now * 1000))},
            "messageAttributes": attributes,
        }
        self.put(copied, asked["DelaySeconds"])


class Body(io.BytesIO):
    """The body of an object, as botocore hands it over."""

    def iter_lines(self) -> Iterator[bytes]:
        yield from self.read().splitlines()


class Objects:
    """A bucket with conditional writes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, **asked: Any) -> dict[str, Any]:
        body = self.objects.get(asked["Key"])
        if body is None:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": Body(body), "ETag": _etag(body), "LastModified": datetime.fromtimestamp(START, UTC)}

    def put_object(self, **asked: Any) -> dict[str, Any]:
        there = self.objects.get(asked["Key"])
        etag = "" if there is None else _etag(there)
        if ("IfNoneMatch" in asked and there is not None) or asked.get("IfMatch", etag) != etag:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[asked["Key"]] = asked["Body"]
        return {"ETag": _etag(asked["Body"])}


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class World:
    """A shop, a table, a queue, and copies of the function."""

    def __init__(self, seed: int, lost: float) -> None:
        self.number = random.Random(seed)
        self.scheduler = Scheduler(self.number)
        self.table = Table()
        self.shop = MemoryShop(self.number, lost)
        self.queue = Queue(self.scheduler)
        self.bucket = Objects()
        self.work: dict[str, Any] | None = None
        self.lost = lost
        self._claimed: dict[str, float] = {}

    def process(self, copy: Copy) -> Dependencies:
        """The execution environment of a copy."""
        environment = {"IDEMPOTENCY_TABLE": "table", "PUBLISH_QUEUE_URL": "queue", "BUCKET": "bucket"}
        deps = Dependencies(Settings.from_env({**environment, "PUBLISH_FAILURE_QUEUE_URL": "failures"}), copy)

        def opened(name: str, **_: object) -> Client:
            assert name == "default"
            wire = Wire(Connection.from_mapping(SETTINGS), clock=copy)
            wire.shop, wire.copy, wire.lost = self.shop, copy, self.lost
            return Client(wire)

        deps.shops.open = opened  # type: ignore[method-assign]
        found = {"dynamodb": self.table, "sqs": self.queue, "s3": self.bucket}
        calls = {name: Calls(client, copy, self.lost / 2) for name, client in found.items()}
        deps.aws.client = calls.__getitem__  # type: ignore[assignment]
        return deps

    def consume(self, copy: Copy) -> None:
        """Receive messages and publish them; what is done leaves the queue, unless that is lost."""
        records = self.queue.receive(self.number.randint(1, 6))
        if not records:
            return
        answer = handle({"Records": records}, copy, self.process(copy))
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed and self.number.random() < 0.95:
                self.queue.delete(record["messageId"])

    def upload(self, lines: list[Any]) -> None:
        """Put a file into the bucket and split it; its lines must be of one family of entities."""
        self.bucket.objects["publish/in/file.jsonl"] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        split: list[dict[str, Any]] = []

        def work(copy: Copy) -> None:
            step = {"file_step": "split", "key": "publish/in/file.jsonl", "execution": "one"}
            deps = self.process(copy)
            deps.aws.client = {"s3": self.bucket}.__getitem__  # type: ignore[assignment]
            split.append(handle(step, copy, deps))

        self.scheduler.start(work, None)
        while self.scheduler.running:
            self.scheduler.turn()
        (self.work,) = split[0]["parts"]

    def step(self, copy: Copy) -> None:
        """Publish a part of the file, as Step Functions asks for it: the last answer decides what comes next."""
        if self.work is None:
            return
        try:
            work = handle(self.work, copy, self.process(copy))
        except (ClientError, BotoCoreError):
            return  # the same step is started again
        self.work = None if work["status"] == "complete" else work

    @property
    def line_results(self) -> dict[int, dict[str, Any]]:
        """The results of the lines, by number."""
        text = next((body for key, body in self.bucket.objects.items() if "/results-" in key), b"")
        return {row["line"]: row for row in map(json.loads, text.splitlines())}

    def drain(self, consumers: int) -> None:
        """Let copies of the function publish until the queue is empty and nothing is on its way."""
        for turn in range(MAX_TURNS):
            if self.scheduler.running < consumers and self.queue.messages and self.number.random() < 0.3:
                kill_at = self.number.choice([None, None, self.number.randint(0, 60)])
                self.scheduler.start(self.consume, kill_at if turn < MAX_TURNS / 4 else None)
            if self.work is not None and self.scheduler.running < consumers and self.number.random() < 0.1:
                self.scheduler.start(self.step, self.number.choice([None, self.number.randint(0, 60)]))
            if self.scheduler.running:
                self.scheduler.turn()
            elif self.work is None and not self._pass_time():
                return
            self.age()
        raise AssertionError("it never ends")

    def _pass_time(self) -> bool:
        """Go to the next moment at which something happens; return whether there is any."""
        if self.queue.messages:
            soonest = min(self.queue.visible_at[name] for name in self.queue.messages)
            self.scheduler.now = max(self.scheduler.now + 1, soonest)
        elif self.scheduler.late:
            self.scheduler.now += 10
        elif not self.queue.redrive():
            return False
        self.scheduler.arrive()
        return True

    def age(self) -> None:
        """Let idempotency claims run out whose invocation is over, and let unknown results grow old."""
        for key, item in self.table.items.items():
            if "in_progress_expiration" not in item:
                continue
            unknown = '"unknown"' in item.get("data", {"S": ""})["S"]
            born = self._claimed.setdefault(f"{key} {item['in_progress_expiration']} {unknown}", self.scheduler.now)
            if self.scheduler.now > born + INVOCATION_SECONDS + 60:
                item["in_progress_expiration"] = {"N": "1"}
                if unknown:
                    item["expiration"] = {"N": str(int(item["expiration"]["N"]) - 600)}
