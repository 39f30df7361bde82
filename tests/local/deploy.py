"""Deploys a copy of template.yaml through CloudFormation, with four changes for the emulator.

- Runtime: the emulator has no Python runtime of AWS, but serves the Runtime API to a custom runtime. So the copy has
  `provided.al2023` in place of `python3.13`, and the archive has a `bootstrap` that runs AWS's runtime loop.
- TLS: the emulator speaks plain HTTP on the loopback interface. So the copy omits the statements that demand TLS.
- Batches: the emulator demands the right to `sqs:SendMessageBatch`, an action that IAM does not know, because
  `sqs:SendMessage` covers it. So the copy adds such actions.
- Secrets: the emulator ignores `ExcludePunctuation`. So the copy names each character.

The emulator accepts, but does not enforce: the roles of the schedule, of the state machine and of the queue's poller
(it enforces the functions' roles), throttling, access logs, encryption, alarms, a schedule's time zone and failure
queue, memory limits, the processor, and a read-only file system.
"""

import contextlib
import copy
import json
import string
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import WaiterError
from samtranslator.yaml_helper import yaml_parse

from tests.local.build import ROOT, Built
from tests.local.emulator import Emulator
from tests.local.process import LocalError

ARTEFACTS = "artefacts"
TEMPLATE = ROOT / "template.yaml"
BATCHED = ("sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")


def template() -> dict[str, Any]:
    """Return the template, with intrinsic functions in their long form."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return parsed


def deploy(emulator: Emulator, built: Built, stack_name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Create the stack and wait until it is complete.

    Returns:
        The stack's outputs.

    Raises:
        LocalError: CloudFormation could not create a resource. The message names it and the reason.
    """
    body = json.dumps(local_copy(template(), upload(emulator, built)))
    emulator.client("s3").put_object(Bucket=ARTEFACTS, Key="template.json", Body=body.encode())
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack_name,
        TemplateURL=f"{emulator.endpoint}/{ARTEFACTS}/template.json",  # a body has at most 51,200 characters
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    try:
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=stack_name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    except WaiterError as error:
        raise LocalError(f"the stack could not be created: {_first_failure(cloudformation, stack_name)}") from error
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def local_copy(original: dict[str, Any], uris: Mapping[str, str]) -> dict[str, Any]:
    """Return the template with the addresses of both archives and the four changes."""
    local = copy.deepcopy(original)
    local["Globals"]["Function"] |= {"Runtime": "provided.al2023", "CodeUri": uris["functions"]}
    for name, resource in list(local["Resources"].items()):
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = uris["layer"]
        if resource["Type"] == "AWS::SecretsManager::Secret" and "GenerateSecretString" in resource["Properties"]:
            resource["Properties"]["GenerateSecretString"]["ExcludeCharacters"] = string.punctuation
        if resource["Type"] in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
            document = resource["Properties"]["PolicyDocument"]
            document["Statement"] = [row for row in document["Statement"] if not _demands_tls(row)]
            if not document["Statement"]:
                del local["Resources"][name]
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    statement["Action"] = _with_batches(statement["Action"])
    return local


def _demands_tls(statement: Mapping[str, Any]) -> bool:
    return bool(statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}})


def _with_batches(actions: str | list[str]) -> list[str]:
    stated = [actions] if isinstance(actions, str) else actions
    return stated + [f"{action}Batch" for action in stated if action in BATCHED]


def upload(emulator: Emulator, built: Built) -> dict[str, str]:
    """Store both archives for CloudFormation and return their addresses by kind."""
    s3 = emulator.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=ARTEFACTS, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    uris = {}
    for kind, archive in (("layer", built.layer), ("functions", built.functions)):
        key = f"{kind}/{archive.name}"
        s3.upload_file(str(archive), ARTEFACTS, key)
        uris[kind] = f"s3://{ARTEFACTS}/{key}"
    return uris


def _first_failure(cloudformation: Any, stack_name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    if not failed:
        return "no resource says why"
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason given')}"
