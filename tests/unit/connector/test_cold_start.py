"""The garbage collector around a cold start."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import connector
from connector.aws.cold_start import without_garbage_collection

LAYER = Path(connector.__file__).parents[1]


def test_the_collector_is_as_before_afterwards() -> None:
    with without_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_command_ends_without_a_word_about_what_was_not_collected() -> None:
    program = (
        "import duckdb\n"
        "from connector.clients import AwsClients\n"
        "duckdb.connect().execute('SELECT 1').fetchall()\n"
        "AwsClients().client('s3')\n"
    )
    environment = {"PYTHONPATH": str(LAYER), "PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "eu-west-1"}

    done = subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stderr == ""
