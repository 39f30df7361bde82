"""Addresses of pages in the AWS console."""

from __future__ import annotations

from urllib.parse import quote


def console_links(region: str, bucket: str, stack: str, sync_arn: str) -> dict[str, str]:
    """Return the addresses of a stack's pages in the AWS console, by their content."""
    console = f"https://{region}.console.aws.amazon.com"
    group = quote(quote(f"/aws/lambda/{stack}-subscribe", safe=""), safe="").replace("%", "$")
    found = {
        "runs": f"{console}/states/home?region={region}#/statemachines/view/{quote(sync_arn, safe='')}",
        "logs": f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}",
        "alarms": f"{console}/cloudwatch/home?region={region}#alarmsV2:?search={quote(stack, safe='')}",
        "objects": f"https://s3.console.aws.amazon.com/s3/buckets/{quote(bucket, safe='')}?region={region}",
    }
    return {name: link for name, link in found.items() if name != "runs" or sync_arn}


def execution_link(arn: str) -> str:
    """Return the address of an execution in the AWS console; empty if the text is no ARN of an execution."""
    parts = arn.split(":")
    if len(parts) != 8 or parts[2] != "states" or parts[5] != "execution":
        return ""
    region = quote(parts[3], safe="")
    page = f"https://{region}.console.aws.amazon.com/states/home?region={region}"
    return f"{page}#/v2/executions/details/{quote(arn, safe=':')}"
