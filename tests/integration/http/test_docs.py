"""The page that shows the API: no token, its own files only, and a policy that keeps it so."""

import gzip
import hashlib
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
    named = [address.partition("?v=")[0] for address in re.findall(r'(?:src|href)="([^"]*)"', text)]

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


@pytest.mark.parametrize("page", ["/docs", "/status"])
def test_a_browser_keeps_the_files_that_a_page_names_and_never_the_page(browser: Client, page: str) -> None:
    answer = browser.get(page, headers={"Accept": "text/html"})
    addresses = re.findall(r'(?:src|href)="(docs/[^"]*)"', answer.text)

    assert answer.headers["Cache-Control"] == "no-cache"
    assert len(addresses) > 1
    for address in addresses:
        assert browser.get(f"/{address}").headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert browser.get(f"/{address.partition('?')[0]}").headers["Cache-Control"] == "no-cache"
        assert browser.get(f"/{address}0").headers["Cache-Control"] == "no-cache"


def test_another_content_has_another_address(browser: Client) -> None:
    for name, version in re.findall(r'"docs/([^"?]+)\?v=([^"]*)"', browser.get("/docs").text):
        assert version == hashlib.sha256(load(name, gzipped=True)[0]).hexdigest()[:12]


@pytest.mark.parametrize("name", ["nothing.js", "openapi.json", "index.html", "__init__.py", "..%2Fapp.py", "%2e%2e"])
def test_nothing_else_is_served(browser: Client, name: str) -> None:
    assert browser.get(f"/docs/{name}").status_code == 404
