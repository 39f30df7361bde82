"""The page that shows the API: no token, its own files only, and a policy that keeps it so."""

import gzip
import re

import pytest
from werkzeug.test import Client

from subscribe.docs import PAGE_FILES, load

GZIP = {"Accept-Encoding": "gzip"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", *(f"/docs/{name}" for name in PAGE_FILES)])
def test_the_page_needs_no_token_and_has_a_strict_policy(browser: Client, path: str) -> None:
    plain, packed = browser.get(path), browser.get(path, headers=GZIP)

    assert plain.status_code == packed.status_code == 200
    assert plain.headers["Content-Security-Policy"] == POLICY
    assert plain.headers["X-Content-Type-Options"] == "nosniff"
    assert plain.headers["Content-Type"] == packed.headers["Content-Type"]
    assert "Content-Encoding" not in plain.headers
    body = gzip.decompress(packed.data) if packed.headers.get("Content-Encoding") == "gzip" else packed.data
    assert body == plain.data


def test_the_page_loads_its_own_files_and_no_other(browser: Client) -> None:
    text = browser.get("/docs").text
    named = re.findall(r'(?:src|href)="([^"]*)"', text)

    assert sorted(named) == sorted(
        ["data:,", *(f"docs/{name}" for name in PAGE_FILES if not name.startswith("status"))]
    )
    assert re.findall(r"<script(?![^>]* src=)[^>]*>|\son\w+=|style=", text) == []


@pytest.mark.parametrize("name", ["index.html", "start.js", "page.css"])
def test_our_own_files_name_no_host(name: str) -> None:
    assert b"//" not in re.sub(rb"^// .*$", b"", load(name, gzipped=False)[0], flags=re.MULTILINE)


def test_the_page_asks_no_validator_and_keeps_no_token() -> None:
    script = load("start.js", gzipped=False)[0].decode()

    assert "validatorUrl: null" in script
    assert "persistAuthorization: false" in script


def test_the_whole_page_is_small(browser: Client) -> None:
    paths = ["/docs", "/openapi.json", *(f"/docs/{name}" for name in PAGE_FILES)]

    assert sum(len(browser.get(path, headers=GZIP).data) for path in paths) < 600_000


def test_the_files_are_kept_by_a_browser_and_the_page_is_not(browser: Client) -> None:
    assert browser.get("/docs/swagger-ui.css").headers["Cache-Control"] == "public, max-age=86400"
    assert browser.get("/docs").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "openapi.json", "index.html", "__init__.py", "..%2Fapp.py", "%2e%2e"])
def test_nothing_else_is_served(browser: Client, name: str) -> None:
    assert browser.get(f"/docs/{name}").status_code == 404
