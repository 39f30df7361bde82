"""The lean stack: requests, boto3's clients of S3 and Secrets Manager, Logger and Metrics. Prints as `cold_handler`."""

from __future__ import annotations

import time


def main() -> None:
    """Import and open."""
    began = time.process_time()
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
    print(1000 * (imported - began), 1000 * (opened - began))


if __name__ == "__main__":
    main()
