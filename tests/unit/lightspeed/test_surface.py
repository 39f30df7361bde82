"""The package's public names, and the packages that it may import."""

import ast
import subprocess
import sys
from inspect import ismodule
from pathlib import Path

import pytest

import lightspeed

PACKAGE = Path(lightspeed.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ALLOWED = {"lightspeed", "msgspec", "requests", "urllib3", "zlib_ng"}
SURFACE = [
    "CATALOGUE",
    "CLUSTERS",
    "PAGE_LIMIT",
    "Action",
    "AnswerLost",
    "ApiError",
    "AuthenticationError",
    "BrokenResponse",
    "CatalogueError",
    "Client",
    "Clock",
    "Connection",
    "Endpoint",
    "Filter",
    "InvalidConnection",
    "InvalidParameters",
    "InvalidRequest",
    "LightspeedError",
    "NotFound",
    "NotSent",
    "Operation",
    "Page",
    "Parameters",
    "PermissionDenied",
    "Quota",
    "QuotaWindow",
    "RateLimited",
    "Request",
    "Response",
    "ResponseTooLarge",
    "ServerError",
    "SystemClock",
    "Transport",
    "TransportError",
    "UnexpectedResponse",
    "UnknownEntity",
    "UnknownLanguage",
    "UnsupportedOperation",
    "WriteResponse",
    "build_request",
    "get_entity",
]


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
    return names


def test_the_public_surface_is_pinned() -> None:
    public = {name for name, found in vars(lightspeed).items() if not (name.startswith("_") or ismodule(found))}

    assert public == set(SURFACE)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_module_knows_only_http_and_the_shop(module: Path) -> None:
    top = {name.split(".")[0] for name in imported(module)}

    assert top - set(sys.stdlib_module_names) <= ALLOWED


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_only_the_command_line_imports_the_command_line(module: Path) -> None:
    names = imported(module)

    if module.stem != "__main__" and "cli" not in module.parts:
        assert [name for name in names if f"{name}.".startswith("lightspeed.cli.")] == []
        assert not names & {"argparse", "shutil"}


def test_importing_the_package_loads_nothing_of_the_command_line_or_aws() -> None:
    program = "import lightspeed, lightspeed.connection_check, sys; print(*sys.modules)"
    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"argparse", "lightspeed.cli.main", "lightspeed.cli.arguments", "boto3", "botocore"} & set(loaded)
