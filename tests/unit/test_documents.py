"""The documents are true: their examples are event files that tests run; their commands, names and links exist."""

import argparse
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import connector.errors
import lightspeed.errors
from connector.http.problem_details import STATUSES
from connector.http.routes import ROUTES
from connector.operator import main as operator
from connector.settings import Settings
from lightspeed.catalogue.entities import CATALOGUE
from lightspeed.cli.arguments import CommandError
from lightspeed.cli.commands import build_parser
from publish.event import PublishRequest
from subscribe.event import SubscribeRequest
from webhook.receiver import KINDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
EXAMPLES = [
    (name, path, text)
    for name, page in TEXTS.items()
    for path, text in re.findall(r"<!-- (events/\S+\.json) -->\n```json\n(.*?)```", page, re.DOTALL)
]
REFERENCE = TEXTS["functions/README.md"]
OPERATION = TEXTS["functions/OPERATION.md"]
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Return each command of a program in the documents' blocks, with its page."""
    for name, page in TEXTS.items():
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page, re.DOTALL):
            joined = block.replace("\\\n", " ")
            for line in re.findall(rf"(?m)^\s*(?:\$ )?python -m {program} (.*)$", joined):
                yield name, shlex.split(line.partition(" > ")[0].partition(" | ")[0], comments=True)


@pytest.mark.parametrize(("page", "path", "text"), EXAMPLES, ids=[f"{page} {path}" for page, path, _ in EXAMPLES])
def test_an_example_is_the_event_file_of_that_name(page: str, path: str, text: str) -> None:
    assert json.loads(text) == json.loads((ROOT / path).read_text(encoding="utf-8")), page


@pytest.mark.parametrize("name", TEXTS)
def test_a_block_of_commands_says_so_and_is_therefore_tested(name: str) -> None:
    blocks = re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```$", TEXTS[name])
    command = re.compile(r"(?m)^ *(?:\$ )?(?:python3? -m|make|aws|pip|meltano) ")

    assert [text for kind, text in blocks if kind not in ("sh", "console", "text") and command.search(text)] == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_make_target_named_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)(?:`|^)make ([a-z][a-z0-9]+)", TEXTS[name]))

    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", TEXTS[name])

    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_to_a_heading_leads_somewhere(name: str) -> None:
    broken = []
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", TEXTS[name]):
        page = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
        headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
        if anchor not in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}:
            broken.append(f"{path}#{anchor}")

    assert broken == []


def is_refused(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    """Return whether a parser refuses a command; help is none."""
    try:
        parser.parse_args(words)
    except SystemExit as end:
        return end.code != 0
    except (CommandError, connector.errors.ConnectorError):
        return True
    return False


def test_every_command_of_the_operator_can_be_parsed() -> None:
    found = list(commands("connector"))
    parser = operator.build_parser()

    assert len(found) > 10
    assert [(page, words) for page, words in found if is_refused(parser, words)] == []


def test_every_command_of_the_client_can_be_parsed() -> None:
    found = list(commands("lightspeed"))
    parser = build_parser()

    assert len(found) > 5
    assert [(page, words) for page, words in found if is_refused(parser, words)] == []


def test_every_package_of_the_layer_is_on_the_map() -> None:
    page = TEXTS["functions/ARCHITECTURE.md"].partition("### Where things are")[2].partition("\n## ")[0]
    layer = ROOT / "layers" / "lightspeed"
    packages = [path.parent.relative_to(layer) for path in layer.glob("*/*/__init__.py")]
    assert len(packages) > 10
    assert [str(package) for package in packages if f"`{package.as_posix()}/`" not in page] == []


@pytest.mark.parametrize("event", [SubscribeRequest, PublishRequest])
def test_every_key_of_an_event_is_documented(event: type[msgspec.Struct]) -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(event)}

    assert {key for key in keys if f"`{key}`" not in REFERENCE} == set()


def test_every_named_action_is_documented() -> None:
    actions = {(entity, action.name) for entity, row in CATALOGUE.items() for action in row.actions}
    (row,) = re.findall(r"(?m)^\| `action` \|(.*)$", REFERENCE)
    documented = {
        (entity, action)
        for entity, names in re.findall(r"`([a-z/]+)`: ((?:`\w+`(?:, )?)+)", row)
        for action in re.findall(r"`(\w+)`", names)
    }

    assert documented == actions


def test_every_route_is_documented() -> None:
    shown = {f"{route.method} {route.path.replace('+', '')}" for route in ROUTES}

    assert {route for route in shown if f"`{route}" not in REFERENCE} == set()


def test_every_type_of_problem_is_documented() -> None:
    code = "".join(path.read_text("utf-8") for top in ("functions", "layers") for path in (ROOT / top).rglob("*.py"))
    raised = set(re.findall(r'HttpProblem\(\s*\w+,\s*"([a-z-]+)"', code))
    kinds = {kind for _, kind in STATUSES.values()} | raised | set(KINDS.values())

    assert {"too-slow", "not-all-queued", "not-signed"} <= kinds
    assert {kind for kind in kinds if f"`{kind}`" not in REFERENCE} == set()


def test_every_command_of_the_operator_is_documented() -> None:
    found = re.findall(r"(?m)^    ([a-z]+)  ", operator.build_parser().format_help())

    assert len(found) > 10
    assert {name for name in found if not re.search(rf"`{name}\b", OPERATION)} == set()


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser of each command, and of each of its verbs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield inner
                yield from parsers(inner)


def test_every_command_of_the_operator_has_examples() -> None:
    every = list(parsers(operator.build_parser()))

    assert len(every) > 15
    assert [parser.prog for parser in every if "examples:" not in parser.format_help()] == []


def test_every_error_has_a_remedy() -> None:
    internal = {"ConnectorError", "LightspeedError", "CatalogueError", "ApiError"}  # bases, which no one raises
    errors = {
        name
        for module in (connector.errors, lightspeed.errors)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__
        if not name.startswith("_")
    }

    assert {name for name in errors - internal if f"`{name}`" not in OPERATION} == set()


def test_every_alarm_and_every_parameter_of_the_stack_is_documented() -> None:
    parameters = TEMPLATE.partition("\nParameters:\n")[2].partition("\nConditions:\n")[0]
    names = re.findall(r"(?m)^  (\w+):$", parameters) + re.findall(r"(?m)^  (\w+Alarm):$", TEMPLATE)

    alarms = sum(name.endswith("Alarm") for name in names)
    assert len(names) > 20
    assert f"| CloudWatch alarms | {alarms}, at 0.10 each | {alarms / 10:.2f} |" in OPERATION
    assert {name for name in names if f"`{name}`" not in OPERATION} == set()


def test_every_step_of_the_demo_on_the_front_page_exists() -> None:
    demo = (ROOT / "tests/local/demo.py").read_text(encoding="utf-8")
    steps = re.findall(r"(?m)^[ \d]\d  (.*)$", TEXTS["README.md"])

    assert len(steps) >= 4
    assert [step for step in steps if f'"{step}"' not in demo] == []


def test_blocks_of_json_and_toml_can_be_read() -> None:
    for page in TEXTS.values():
        for language, block in re.findall(r"```(json|toml)\n(.*?)```", page, re.DOTALL):
            found = json.loads(block) if language == "json" else tomllib.loads(block)
            if "action" in found:
                msgspec.convert(found, PublishRequest)
            elif "entity" in found:
                msgspec.convert(found, SubscribeRequest)


def test_the_subscriptions_file_of_the_page_is_the_file_in_events() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXTS["functions/subscribe/README.md"], re.DOTALL)

    assert tomllib.loads(block) == tomllib.loads((ROOT / "events/subscriptions.toml").read_text(encoding="utf-8"))


def test_every_setting_is_documented() -> None:
    settings = set(re.findall(r"`([A-Z_]{4,})`", Settings.__doc__ or ""))

    assert settings
    assert {name for name in settings if f"`{name}`" not in REFERENCE} == set()


def sentences(page: str) -> Iterator[str]:
    """Return the sentences of a page and the cells of its tables; a piece of code counts as one word."""
    text = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n\s*- |\n\d+\. |\n\|", text):
        for cell in re.sub(r"`[^`]*`", "code", paragraph).split("|"):
            yield from re.split(r"(?<=[.:;?!])\**\s+", " ".join(cell.split()))


@pytest.mark.parametrize("name", TEXTS)
def test_a_sentence_has_at_most_25_words(name: str) -> None:
    assert [sentence for sentence in sentences(TEXTS[name]) if len(sentence.split()) > 25] == []


@pytest.mark.parametrize("name", TEXTS)
def test_pages_use_common_words(name: str) -> None:
    rare = r"(?i)\b(whoever|anew|lest|nobody|told apart|as good as|for nothing|stands|tells|hence|whilst)\b"

    assert re.findall(rare, " ".join(sentences(TEXTS[name]))) == []


@pytest.mark.parametrize(
    "named",
    [
        "the region",
        "`samconfig.toml`",
        "version 2 of the AWS CLI",
        "back office",
        "read permission",
        "It checks them",
        "dollars a month",
    ],
)
def test_the_deployment_names_what_a_new_user_needs(named: str) -> None:
    chapter = TEXTS["README.md"].partition("\n## Deploy\n")[2].partition("\n## ")[0]

    assert named in " ".join(chapter.split())


@pytest.mark.parametrize(
    ("page", "limit"),
    [
        ("README.md", "Nothing has run against a real shop or on AWS itself."),
        ("functions/subscribe/README.md", "**No real Athena has run these views.**"),
        ("functions/subscribe/README.md", "dbt itself is too large for `make test`"),
        ("layers/lightspeed/README.md", "Meltano is too large for `make test`"),
    ],
)
def test_what_was_never_tried_is_told(page: str, limit: str) -> None:
    assert limit in " ".join(TEXTS[page].split())


@pytest.mark.parametrize(
    ("page", "chapter"),
    [
        ("functions/subscribe/README.md", "## Every order each morning"),
        ("functions/subscribe/README.md", "## React within a minute"),
        ("functions/subscribe/README.md", "## Notice deletes"),
        ("functions/subscribe/README.md", "## Two shops"),
        ("functions/subscribe/README.md", "## Strip personal data"),
        ("functions/publish/README.md", "## Push stock and prices from an ERP"),
        ("functions/MIGRATION.md", "## What is called what"),
        ("functions/MIGRATION.md", "## What is better"),
        ("functions/MIGRATION.md", "## What is missing"),
        ("functions/MIGRATION.md", "## From Alumio"),
        ("functions/MIGRATION.md", "## From elastic.io"),
        ("functions/MIGRATION.md", "## From a Singer tap"),
        ("README.md", "## Limits"),
        ("functions/subscribe/README.md", "## Limits"),
        ("functions/publish/README.md", "## Limits"),
    ],
)
def test_every_job_has_a_chapter_and_limits_are_told(page: str, chapter: str) -> None:
    assert chapter in TEXTS[page].splitlines()


def test_what_api_gateway_answers_by_itself_is_listed() -> None:
    (line,) = [line for line in REFERENCE.splitlines() if line.startswith("API Gateway itself answers in its own form")]

    for answer in ("413 over 10 MB", "429 over 20 calls a second", "431 for more than 10,240 bytes"):
        assert answer in line
    assert "ThrottlingRateLimit: 20 " in TEMPLATE


@pytest.mark.parametrize("page", TEXTS)
def test_no_page_reads_records_with_guessed_types(page: str) -> None:
    assert re.findall(r"read_json|read_ndjson\(|\*\.jsonl", TEXTS[page]) == []


def test_the_front_page_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 200
