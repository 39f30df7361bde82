"""Conditional writes of the workspace of a file."""

import pytest

from connector.errors import AwsUnavailable
from publish.triggers.file_store import Workspace
from tests.support.clock import FakeClock
from tests.support.conflicts import ConflictingBucket


@pytest.mark.parametrize("conflicts", [1, 4])
def test_a_write_that_met_another_one_is_tried_again(conflicts: int) -> None:
    workspace = Workspace(ConflictingBucket(conflicts), "bucket", "run", FakeClock())

    assert workspace.store_results(0, 0, {1: {"line": 1, "status": "created"}}, "")

    assert workspace.results(0, 0)[0] == {1: {"line": 1, "status": "created"}}


def test_a_write_that_always_meets_another_one_is_not_done_and_the_step_is_tried_again() -> None:
    workspace = Workspace(ConflictingBucket(100), "bucket", "run", FakeClock())

    with pytest.raises(AwsUnavailable, match="to every write of publish/parts/run/"):
        workspace.store_results(0, 0, {1: {"line": 1}}, "")
    with pytest.raises(AwsUnavailable):
        workspace.claim("execution")

    assert workspace.results(0, 0) == ({}, "")


def test_results_that_somebody_else_has_stored_since_stay() -> None:
    workspace = Workspace(ConflictingBucket(0), "bucket", "run", FakeClock())
    assert workspace.store_results(0, 0, {1: {"line": 1}}, "")

    assert not workspace.store_results(0, 0, {1: {"line": 1}, 2: {"line": 2}}, "")

    assert workspace.results(0, 0)[0] == {1: {"line": 1}}


def test_a_run_belongs_to_the_first_execution_and_to_the_one_that_replaces_it() -> None:
    workspace = Workspace(ConflictingBucket(0), "bucket", "run", FakeClock())

    assert workspace.claim("first")
    assert workspace.claim("first")
    assert not workspace.claim("second")
    assert not workspace.claim("second", replaces="third")
    assert workspace.claim("second", replaces="first")
    assert not workspace.claim("first")
