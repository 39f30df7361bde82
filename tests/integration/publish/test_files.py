import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from connector.errors import RequestError
from publish.triggers.file_store import Workspace
from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault

Lines = list[dict[str, Any]]


class PublishFile:
    """The state machine's states, one after another; waiting moves the shop's clock."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.waits: list[float] = []

    def put(self, key: str, *lines: object) -> None:
        """Upload a file; a line that is text goes in as it is."""
        texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        body = "".join(f"{text}\n" for text in texts).encode()
        content = gzip.compress(body) if key.endswith(".gz") else body
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)

    def run(self, key: str, execution: str = "one") -> dict[str, Any]:
        """Publish a file; what the execution returns."""
        split = self.publisher({"file_step": "split", "key": key, "execution": execution})
        for work in split["parts"]:
            self._work(work)
        joined: dict[str, Any] = self.publisher(split["join"]) if split["join"] else {}
        return joined

    def results(self, key: str) -> Lines:
        """The lines of the results of a file."""
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        text = gzip.decompress(body) if key.endswith(".gz") else body
        return [json.loads(line) for line in text.decode().split("\n") if line]

    def _work(self, work: dict[str, Any]) -> None:
        while work.get("status") != "complete":
            work = json.loads(json.dumps(self.publisher(work)))
            self.waits.append(work["resume_after_seconds"])
            self.publisher.shop.clock.advance(work["resume_after_seconds"])
            self.publisher.context.seconds = 120

    @property
    def _s3(self) -> Any:
        return self.publisher.deps.aws.client("s3")

    @property
    def _bucket(self) -> str:
        return self.publisher.deps.settings.bucket


@pytest.fixture
def machine(publisher: Publisher) -> PublishFile:
    return PublishFile(publisher)


def stock(variant: int, level: int) -> dict[str, Any]:
    return event("variants", "update", {"stockLevel": level}, path={"id": variant})


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_every_line_has_its_result_in_order(machine: PublishFile, ending: str) -> None:
    variants = machine.publisher.shop.store.ids("variants")[:3]
    machine.put(
        f"publish/in/day/changes.{ending}",
        stock(variants[0], 1),
        event("tags", "create", {"title": "Größe\u2028klein"}),
        "",
        "no JSON",
        stock(variants[1], 2),
        event("orders", "create", {"x": 1}),
        stock(variants[2], 3),
    )

    joined = machine.run(f"publish/in/day/changes.{ending}")

    out = f"publish/out/day/changes.{ending}"
    assert joined == {"results": out, "lines": 6, "outcomes": {"updated": 3, "created": 1, "failed": 2}}
    results = machine.results(out)
    assert [result["line"] for result in results] == [1, 2, 4, 5, 6, 7]
    statuses = [result["status"] for result in results]
    assert statuses == ["updated", "created", "failed", "updated", "failed", "updated"]
    assert results[1]["record"]["title"] == "Größe\u2028klein"
    assert ("PUT", "/nl/variants/bulk.json") in machine.publisher.sent()


def test_a_large_file_is_published_segment_by_segment_in_few_requests(machine: PublishFile) -> None:
    variants = machine.publisher.shop.store.ids("variants")
    lines = [stock(variants[n % len(variants)], n) for n in range(3000)]
    machine.put("publish/in/stock.jsonl.gz", *lines)

    joined = machine.run("publish/in/stock.jsonl.gz")

    assert joined["outcomes"] == {"updated": 3000}
    last = {line["parameters"]["path"]["id"]: line["parameters"]["payload"]["stockLevel"] for line in lines}
    store = machine.publisher.shop.store
    assert all((store.row("variants", variant) or {})["stockLevel"] == level for variant, level in last.items())
    assert len(machine.publisher.sent()) <= 6 * 2
    assert [result["line"] for result in machine.results("publish/out/stock.jsonl.gz")] == list(range(1, 3001))


def test_waiting_for_the_quota_is_left_to_the_state_machine(machine: PublishFile) -> None:
    machine.publisher.shop.limits.quota = (20, 1000, 10000)
    machine.put("publish/in/tags.jsonl", *(event("tags", "create", {"title": f"fresh {n}"}) for n in range(50)))
    joined = machine.run("publish/in/tags.jsonl")
    assert joined["outcomes"] == {"created": 50}
    assert [round(wait) for wait in machine.waits] == [300, 300, 0]
    titles = [row["title"]["nl"] for row in machine.publisher.shop.store.rows("tags")]
    assert all(titles.count(f"fresh {n}") == 1 for n in range(50))


def test_an_invocation_whose_time_is_up_hands_on(machine: PublishFile) -> None:
    seen: list[object] = []

    def tire(request: object) -> None:
        seen.append(request)
        if len(seen) == 5:
            machine.publisher.context.seconds = 8

    machine.publisher.shop.on_request(tire)
    machine.put("publish/in/tags.jsonl", *(event("tags", "create", {"title": f"fresh {n}"}) for n in range(10)))
    assert machine.run("publish/in/tags.jsonl")["outcomes"] == {"created": 10}
    assert machine.waits == [0, 0]
    assert len(machine.publisher.sent()) == 10


def test_a_worker_that_was_killed_is_done_again_without_creating_twice(
    machine: PublishFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("publish/in/tags.jsonl", *(event("tags", "create", {"title": f"fresh {n}"}) for n in range(3)))
    publisher = machine.publisher
    split = publisher({"file_step": "split", "key": "publish/in/tags.jsonl", "execution": "one"})

    class Killed(BaseException):
        """The process ends here."""

    s3 = publisher.deps.aws.client("s3")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "put_object", _raise(Killed))
        with pytest.raises(Killed):
            publisher(split["parts"][0])

    assert machine.run("publish/in/tags.jsonl")["outcomes"] == {"created": 3}
    assert len(publisher.sent()) == 3


def _raise(error: type[BaseException]) -> Callable[..., None]:
    def call(**_: object) -> None:
        raise error

    return call


def test_s3_may_tell_of_an_upload_twice(machine: PublishFile) -> None:
    machine.put("publish/in/tags.jsonl", event("tags", "create", {"title": "one"}))
    assert machine.run("publish/in/tags.jsonl", "first")["lines"] == 1
    assert machine.run("publish/in/tags.jsonl", "second") == {}
    machine.put("publish/in/tags.jsonl", event("tags", "create", {"title": "one"}))
    assert machine.run("publish/in/tags.jsonl", "third")["lines"] == 1, "the same content again is another file"
    assert len(machine.publisher.sent()) == 2


def test_a_failed_execution_is_continued_by_the_one_that_replaces_it(machine: PublishFile) -> None:
    machine.put("publish/in/tags.jsonl", event("tags", "create", {"title": "one"}))
    step = {"file_step": "split", "key": "publish/in/tags.jsonl"}
    first = machine.publisher({**step, "execution": "first"})
    assert machine.publisher({**step, "execution": "second", "input": {"detail": {}}})["join"] is None
    again = machine.publisher({**step, "execution": "second", "input": {"replaces": "first"}})
    assert again == first
    assert machine.publisher({**step, "execution": "third", "input": {"replaces": "first"}})["join"] is None


def test_what_the_shop_does_not_answer_is_tried_again_later(machine: PublishFile) -> None:
    tag = machine.publisher.shop.store.ids("tags")[0]
    machine.publisher.shop.faults.next(Fault.answers(503), times=6)
    machine.put("publish/in/tags.jsonl", event("tags", "update", {"title": "x"}, path={"id": tag}))
    assert machine.run("publish/in/tags.jsonl")["outcomes"] == {"updated": 1}
    assert machine.waits == [30, 0]


def test_what_the_shop_never_answers_fails_in_the_end(machine: PublishFile) -> None:
    tag = machine.publisher.shop.store.ids("tags")[0]
    machine.publisher.shop.faults.next(Fault.answers(503), times=100)
    machine.put("publish/in/tags.jsonl", event("tags", "update", {"title": "x"}, path={"id": tag}))
    assert machine.run("publish/in/tags.jsonl")["outcomes"] == {"failed": 1}
    assert machine.waits == [30, 30, 0]


def test_lines_whose_worker_failed_stand_in_the_results(machine: PublishFile) -> None:
    machine.put("publish/in/tags.jsonl", event("tags", "create", {"title": "one"}))
    split = machine.publisher({"file_step": "split", "key": "publish/in/tags.jsonl", "execution": "one"})
    assert machine.publisher(split["join"])["outcomes"] == {"failed": 1}
    (result,) = machine.results("publish/out/tags.jsonl")
    assert "whether it was published is not known" in result["error"]["detail"]


def test_connections_and_families_of_entities_are_published_side_by_side(machine: PublishFile) -> None:
    machine.publisher.connect("second")
    product = machine.publisher.shop.store.ids("products")[0]
    tag = event("tags", "create", {"title": "one"})
    image = event("products/images", "create", {"src": "https://example.com/a.png"}, path={"product_id": product})
    update = event("products", "update", {"title": "x"}, path={"id": product})
    machine.put("publish/in/mixed.jsonl", tag, {**tag, "connection": "second"}, update, image)
    split = machine.publisher({"file_step": "split", "key": "publish/in/mixed.jsonl", "execution": "one"})
    assert [part["part"] for part in split["parts"]] == [0, 1, 2]


def test_an_empty_folder_is_no_file_and_no_failure(machine: PublishFile) -> None:
    machine.put("publish/in/")
    assert machine.run("publish/in/") == {}
    assert machine.run("publish/in/day/") == {}


def test_a_line_that_is_tried_later_does_not_undo_a_newer_one(machine: PublishFile) -> None:
    variant = machine.publisher.shop.store.ids("variants")[0]
    other = event("variants", "update", {"title": "x"}, path={"id": variant}, skip_unchanged=True)
    machine.publisher.shop.faults.next(Fault.answers(503), times=4, method="PUT")
    machine.put("publish/in/stock.jsonl", stock(variant, 10), other, stock(variant, 20))
    machine.run("publish/in/stock.jsonl")
    assert machine.waits == [30, 0]
    assert (machine.publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 20


def test_a_step_whose_first_copy_still_runs_undoes_nothing_and_keeps_its_results(machine: PublishFile) -> None:
    """While the first copy waits for the shop, Step Functions starts the step again, and then the next segment."""
    publisher = machine.publisher
    variant = publisher.shop.store.ids("variants")[0]
    machine.put("publish/in/stock.jsonl", *(stock(variant, n) for n in range(600)))
    split = publisher({"file_step": "split", "key": "publish/in/stock.jsonl", "execution": "one"})
    (work,) = split["parts"]
    again: list[dict[str, Any]] = []

    def begin_again(_: object) -> None:
        if not again:
            again.append({})
            again[0] = publisher(work)

    publisher.shop.on_request(begin_again)
    assert publisher(work)["status"] == "complete"
    assert (again[0]["status"], again[0]["segment"]) == ("partial", 0), "one writer at a time"
    before = len(publisher.sent())
    assert publisher(work)["status"] == "complete"
    assert len(publisher.sent()) == before
    assert publisher(split["join"])["outcomes"] == {"updated": 600}
    assert (publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 599


def test_a_segment_that_is_done_again_after_a_kill_does_not_undo_a_newer_message(machine: PublishFile) -> None:
    publisher = machine.publisher
    variant = publisher.shop.store.ids("variants")[0]
    machine.put("publish/in/stock.jsonl", stock(variant, 10))
    split = publisher({"file_step": "split", "key": "publish/in/stock.jsonl", "execution": "one"})
    later = split["parts"][0]["uploaded"] + 5000
    assert publisher.failed(message(1, stock(variant, 20), sent=later)) == []
    assert publisher(split["parts"][0])["status"] == "complete"
    assert (publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 20
    assert publisher(split["join"])["outcomes"] == {"unchanged": 1}


def test_an_execution_that_an_older_release_began_goes_on(machine: PublishFile) -> None:
    publisher = machine.publisher
    variant = publisher.shop.store.ids("variants")[0]
    machine.put("publish/in/stock.jsonl", stock(variant, 10))
    split = publisher({"file_step": "split", "key": "publish/in/stock.jsonl", "execution": "one"})
    work = {name: value for name, value in split["parts"][0].items() if name != "uploaded"}
    assert publisher(work)["status"] == "complete"
    assert (publisher.shop.store.row("variants", variant) or {})["stockLevel"] == 10


def test_results_that_another_copy_has_stored_meanwhile_are_not_written_over(machine: PublishFile) -> None:
    machine.put("publish/in/tags.jsonl", *(event("tags", "create", {"title": f"fresh {n}"}) for n in range(2)))
    publisher = machine.publisher
    split = publisher({"file_step": "split", "key": "publish/in/tags.jsonl", "execution": "one"})
    space = Workspace(
        publisher.deps.aws.client("s3"), publisher.deps.settings.bucket, split["join"]["run"], publisher.deps.clock
    )

    def overtake(_: object) -> None:
        space.store_results(0, 0, {1: {"line": 1, "status": "created"}}, "")

    publisher.shop.on_request(overtake)
    assert publisher(split["parts"][0])["status"] == "partial"
    assert set(space.results(0, 0)[0]) == {1}
    assert machine.run("publish/in/tags.jsonl")["outcomes"] == {"created": 2}


def test_an_empty_file_has_empty_results(machine: PublishFile) -> None:
    machine.put("publish/in/empty.jsonl")
    assert machine.run("publish/in/empty.jsonl") == {"results": "publish/out/empty.jsonl", "lines": 0, "outcomes": {}}
    assert machine.results("publish/out/empty.jsonl") == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("publish/in/list.csv", "key must be publish/in/….jsonl or publish/in/….jsonl.gz"),
        ("raw/list.jsonl", "key must be publish/in/….jsonl"),
        ("publish/in/missing.jsonl", "cannot be read"),
        ("publish/in/broken.jsonl.gz", "publish/in/broken.jsonl.gz cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(machine: PublishFile, key: str, message: str) -> None:
    bucket = machine.publisher.deps.settings.bucket
    s3 = machine.publisher.deps.aws.client("s3")
    s3.put_object(Bucket=bucket, Key="publish/in/broken.jsonl.gz", Body=b"no gzip")
    with pytest.raises(RequestError, match=message):
        machine.publisher({"file_step": "split", "key": key, "execution": "one"})


def test_a_step_that_does_not_exist_is_refused(machine: PublishFile) -> None:
    with pytest.raises(RequestError, match="file_step must be one of split, work, join"):
        machine.publisher({"file_step": "burn"})


def test_tries_are_counted_for_each_segment(machine: PublishFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("publish.triggers.file.SEGMENT_LINES", 1)
    first, second, *_ = machine.publisher.shop.store.ids("variants")
    for variant in (first, second):
        machine.publisher.shop.faults.next(Fault.answers(503), times=4 * 2, path_contains=str(variant))
    machine.put("publish/in/stock.jsonl", stock(first, 1), stock(second, 2))
    assert machine.run("publish/in/stock.jsonl")["outcomes"] == {"updated": 2}
