"""`python -m lightspeed sync`: the run of the function, into a folder, which may then move to a bucket."""

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightspeed import Client, Connection, Transport
from lightspeed.cli.main import main
from subscribe.checks import subscribe_request
from subscribe.local import sync
from subscribe.storage.folder import OWN, FolderS3
from tests.property.bucket import MemoryBucket
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock

ORDERS = {"entity": "orders", "mode": "incremental"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shop(clock: FakeClock) -> Iterator[Shop]:
    with Shop(orders=30, products=5, clock=clock) as running:
        yield running


@pytest.fixture
def settings(shop: Shop) -> dict[str, str]:
    return {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name in ("CLUSTER", "BASE_URL", "API_KEY", "API_SECRET", "LANGUAGE"):
        monkeypatch.delenv(f"LIGHTSPEED_{name}", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(f"LIGHTSPEED_{name.upper()}", value)


def run(settings: dict[str, str], clock: FakeClock, folder: Any, run_id: str, **event: object) -> dict[str, Any]:
    client = Client(Transport(Connection.from_mapping(settings), clock=clock, threads=11))
    return sync(subscribe_request({**ORDERS, **event}), run_id, client=client, folder=folder, clock=clock)


def objects(lake: Path) -> dict[str, bytes]:
    """Return what `aws s3 sync` would move: every file by its key."""
    files = {path.relative_to(lake).as_posix(): path for path in lake.rglob("*") if path.is_file()}
    return {key: path.read_bytes() for key, path in files.items() if not key.startswith(f"{OWN}/")}


def landed(lake: Path) -> list[int]:
    """Return the ids of the records that manifests name, once for each time they are stored."""
    found, ids = objects(lake), []
    for key in (key for key in found if key.startswith("manifests/")):
        for part in json.loads(found[key])["parts"]:
            ids += [json.loads(line)["id"] for line in gzip.decompress(found[part["key"]]).splitlines()]
    return sorted(ids)


def test_the_command_stores_every_record_and_prints_the_result(
    shop: Shop, clock: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["sync", "orders", "--to", str(tmp_path)], clock=clock)

    result = json.loads(capsys.readouterr().out)
    assert (status, result["status"], result["verified"]) == (0, "complete", True)
    assert landed(tmp_path) == sorted(shop.store.ids("orders"))
    assert result["manifest"] in objects(tmp_path)


def test_a_second_run_stores_only_what_changed(
    shop: Shop, clock: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sync", "orders", "--to", str(tmp_path)], clock=clock)
    clock.advance(600)
    changed = shop.store.ids("orders")[3]
    shop.store.update("orders", changed, {"memo": "changed"})
    clock.advance(60)
    capsys.readouterr()

    main(["sync", "orders", "--to", str(tmp_path)], clock=clock)

    assert json.loads(capsys.readouterr().out)["records"] == 1
    assert landed(tmp_path) == sorted([*shop.store.ids("orders"), changed])


def test_a_folder_has_the_objects_that_a_bucket_has(settings: dict[str, str], clock: FakeClock, tmp_path: Path) -> None:
    bucket = MemoryBucket()

    run(settings, clock, FolderS3(tmp_path), "one")
    run(settings, clock, bucket, "one")

    stored = {key for key in bucket.objects if not key.startswith("state/")}
    assert {key for key in objects(tmp_path) if not key.startswith("state/")} == stored
    assert set(objects(tmp_path)) == set(bucket.objects)
    assert all(objects(tmp_path)[key] == bucket.objects[key] for key in stored if key.startswith("raw/"))


def test_a_folder_that_moves_to_a_bucket_goes_on_there(
    settings: dict[str, str], shop: Shop, clock: FakeClock, tmp_path: Path
) -> None:
    run(settings, clock, FolderS3(tmp_path), "here")
    bucket = MemoryBucket()
    bucket.objects.update(objects(tmp_path))
    clock.advance(600)
    changed = shop.store.ids("orders")[0]
    shop.store.update("orders", changed, {"memo": "changed"})
    clock.advance(60)

    assert run(settings, clock, bucket, "there")["records"] == 1


class Killed(BaseException):
    """The process ends here."""


class FragileFolder(FolderS3):
    """A folder whose process is killed at a write, before or after it."""

    def __init__(self, folder: Path, at: int, *, after: bool) -> None:
        super().__init__(folder)
        self.left = at
        self._after = after

    def put_object(self, **given: Any) -> dict[str, Any]:
        self.left -= 1
        if self.left == 0 and not self._after:
            raise Killed
        done = super().put_object(**given)
        if self.left == 0:
            raise Killed
        return done


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_at_any_write_loses_and_doubles_nothing(
    settings: dict[str, str], shop: Shop, clock: FakeClock, tmp_path: Path, after: bool
) -> None:
    kills = 0
    for at in range(1, 100):
        lake = tmp_path / str(at)
        fragile = FragileFolder(lake, at, after=after)
        try:
            run(settings, clock, fragile, "first")
        except Killed:
            kills += 1
        run(settings, clock, FolderS3(lake), "second")
        assert landed(lake) == sorted(shop.store.ids("orders"))
        if fragile.left > 0:
            break
    assert kills >= 5


def test_two_copies_at_once_store_each_record_once(
    settings: dict[str, str], shop: Shop, clock: FakeClock, tmp_path: Path
) -> None:
    for number in range(5):
        lake, start = tmp_path / str(number), threading.Barrier(2)

        def copy(run_id: str, lake: Path = lake, start: threading.Barrier = start) -> None:
            start.wait()
            run(settings, clock, FolderS3(lake), run_id)

        threads = [threading.Thread(target=copy, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run(settings, clock, FolderS3(lake), "three")
        assert landed(lake) == sorted(shop.store.ids("orders"))


def test_a_run_waits_for_the_quota_and_goes_on(
    settings: dict[str, str], shop: Shop, clock: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.faults.next(Fault.answers(429, headers={"Retry-After": "120"}), path_contains="/orders.json")

    result = run(settings, clock, FolderS3(tmp_path), "one")

    assert result["status"] == "complete"
    assert any(seconds >= 100 for seconds in clock.slept)
    assert "waiting" in capsys.readouterr().err
    assert landed(tmp_path) == sorted(shop.store.ids("orders"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["orders"], "required: --to"),
        (["order", "--to", "lake"], "unknown entity 'order'"),
        (["orders", "--to", "lake", "--since", "yesterday"], "since must be a time"),
        (["orders", "--to", "lake", "--name", "a/b"], "--name may hold up to 200 letters"),
        (["languages", "--to", "lake", "--mode", "incremental"], "cannot be read incrementally"),
        (["orders/products", "--to", "lake"], "orders/products has a list for each parent: add --each-parent"),
    ],
)
def test_a_wrong_command_is_one_line_and_sends_nothing(
    shop: Shop,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    status = main(["sync", *words], clock=clock)

    captured = capsys.readouterr()
    assert (status, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert message in captured.err
    assert shop.requests == []


def test_a_place_that_is_no_folder_is_said(
    clock: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    assert main(["sync", "orders", "--to", str(tmp_path / "file")], clock=clock) == 1
    assert "cannot store in the folder" in capsys.readouterr().err


def test_what_a_killed_writer_left_is_no_object(tmp_path: Path) -> None:
    folder = FolderS3(tmp_path)
    folder.put_object(Bucket="", Key="a/1", Body=b"whole")
    (tmp_path / OWN / "unfinished").write_bytes(b"hal")

    assert [item["Key"] for page in folder.paginate(Bucket="", Prefix="") for item in page["Contents"]] == ["a/1"]
    folder.put_object(Bucket="", Key="a/1", Body=b"new")
    assert objects(tmp_path) == {"a/1": b"new"}


@pytest.mark.parametrize("key", ["../a", "a//b", "", "a/./b", f"{OWN}/lock"])
def test_a_key_never_leaves_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no place for the key"):
        FolderS3(tmp_path / "lake").put_object(Bucket="", Key=key, Body=b"")


def test_of_writes_at_once_under_one_condition_one_succeeds(tmp_path: Path) -> None:
    start, done = threading.Barrier(8), []

    def write(number: int) -> None:
        start.wait()
        try:
            FolderS3(tmp_path).put_object(Bucket="", Key="a", Body=b"%d" % number, IfNoneMatch="*")
            done.append(number)
        except Exception as error:
            assert "PreconditionFailed" in str(error)  # noqa: PT017 - in a thread

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert objects(tmp_path) == {"a": b"%d" % done[0]}
    assert len(done) == 1
