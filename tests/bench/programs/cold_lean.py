"""The lean stack: requests, boto3's clients of S3 and Secrets Manager, Logger and Metrics. Prints as `cold_handler`."""

from __future__ import annotations

import time


def main() -> None:
    """Import and open."""
    began, started = time.process_time(), time.perf_counter()
    import boto3  # noqa: PLC0415
    import requests  # noqa: PLC0415
    from aws_lambda_powertools import Logger, Metrics  # noqa: PLC0415

    imported = time.process_time()
    Logger()
    Metrics()
    requests.Session()
    session = boto3.session.Session()
    session.client("s3")
    session.client("secretsmanager")
    opened = time.process_time()
    wall = time.perf_counter() - started
    print(1000 * (imported - began), 1000 * (opened - began), 1000 * wall)


if __name__ == "__main__":
    main()
