"""The files that browsers receive, and what every answer carries."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.assets import assets_directory
from tests.server.running import running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.server.running import Running

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def test_the_page_is_at_the_root(server: Running) -> None:
    answer = await server.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.content == (assets_directory() / "index.html").read_bytes()


async def test_an_invitation_leads_to_the_same_page(server: Running) -> None:
    page, invited = await server.ask("GET", "/"), await server.ask("GET", "/enroll")
    assert invited.content == page.content
    for name in ("Content-Type", "Content-Security-Policy", "Cache-Control", "ETag", "Referrer-Policy"):
        assert invited.headers[name] == page.headers[name]


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"local_identity": False}, {}),
        ({"listening_on_loopback_only": False}, {}),
        ({}, {"X-Forwarded-For": "1.2.3.4"}),
    ],
)
async def test_the_page_is_told_where_it_can_name_nobody(
    tmp_path: Path, options: dict[str, Any], headers: dict[str, str]
) -> None:
    file = (assets_directory() / "index.html").read_bytes()
    etag = f'"{hashlib.sha256(file).hexdigest()[:32]}"'
    async with running(tmp_path, **options) as server:
        for path in ("/", "/enroll"):
            # A browser that has the other one does not keep it.
            page = await server.ask("GET", path, headers=headers | {"If-None-Match": etag})
            assert page.status == 200
            assert page.content == file.replace(b"<form>", b"<form data-by-invitation>") != file


async def test_a_browser_under_another_name_of_this_machine_is_sent_to_the_one_that_works(server: Running) -> None:
    elsewhere = {"Host": server.url.removeprefix("http://").replace("127.0.0.1", "localhost")}
    for path in ("/", "/enroll"):
        sent = await server.ask("GET", path, headers=elsewhere | {"Sec-Fetch-Mode": "navigate"})
        assert (sent.status, sent.headers["Location"]) == (302, f"{server.url}{path}")
    assert (await server.ask("GET", "/", headers={"Sec-Fetch-Mode": "navigate"})).status == 200
    assert (await server.ask("GET", "/", headers=elsewhere)).status == 200


@pytest.mark.parametrize("file", sorted(path.name for path in assets_directory().iterdir()))
async def test_every_asset_is_served_by_its_name(server: Running, file: str) -> None:
    answer = await server.ask("GET", f"/{file}")
    assert answer.status == 200
    assert answer.content == (assets_directory() / file).read_bytes()
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("sw.js", "text/javascript; charset=utf-8"),
        ("pushdesk.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("manifest.webmanifest", "application/manifest+json"),
        ("icon-192.png", "image/png"),
    ],
)
async def test_assets_have_their_content_type(server: Running, file: str, content_type: str) -> None:
    assert (await server.ask("GET", f"/{file}")).headers["Content-Type"] == content_type


async def test_the_worker_may_serve_the_whole_origin_and_only_it_says_so(server: Running) -> None:
    assert (await server.ask("GET", "/sw.js")).headers["Service-Worker-Allowed"] == "/"
    assert "Service-Worker-Allowed" not in (await server.ask("GET", "/pushdesk.js")).headers


async def test_an_unchanged_file_is_not_sent_again(server: Running) -> None:
    first = await server.ask("GET", "/sw.js")
    etag = first.headers["ETag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        again = await server.ask("GET", "/sw.js", headers={"If-None-Match": known})
        assert (again.status, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
    changed = await server.ask("GET", "/sw.js", headers={"If-None-Match": '"other"'})
    assert (changed.status, changed.content) == (200, first.content)


async def test_head_is_get_without_the_content(server: Running) -> None:
    answer = await server.ask("HEAD", "/")
    assert (answer.status, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/..%2fpyproject.toml",
        "//etc/passwd",
        "/assets/sw.js",
        "/sw.js/",
        "/sw.js%00",
        "/.hidden.html",
        "/notes.md",
    ],
)
async def test_no_path_leads_out_of_the_table(tmp_path: Path, path: str) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("index.html", "sw.js", ".hidden.html", "notes.md"):
        (assets / name).write_text(name)
    async with running(tmp_path, assets=assets) as server:
        assert (await server.ask("GET", "/")).content == b"index.html"
        answer = await server.say(
            f"GET {path} HTTP/1.1\r\nHost: {server.authority}\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b'"code":"not_found"' in answer


def assert_security_headers(headers: Mapping[str, str], *, is_https: bool = False) -> None:
    """Every answer has these, and each once."""
    expected = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Server": "pushdesk",
    }
    if is_https:
        expected["Strict-Transport-Security"] = "max-age=31536000"
    assert {name: headers.get(name) for name in expected} == expected
    assert ("Strict-Transport-Security" in headers) == is_https
    assert headers["Cache-Control"] in {"no-store", "no-cache"}
    assert re.fullmatch("[0-9a-f]{16}", headers["X-Request-Id"])
    assert "Set-Cookie" not in headers


OF_EVERY_KIND = [
    pytest.param("GET", "/", 200, id="page"),
    pytest.param("GET", "/sw.js", 200, id="worker"),
    pytest.param("HEAD", "/pushdesk.js", 200, id="no content"),
    pytest.param("GET", "/api/v1/vapid", 200, id="API"),
    pytest.param("GET", "/healthz", 200, id="health"),
    pytest.param("GET", "/metrics", 200, id="metrics"),
    pytest.param("GET", "/api/v1/admin/stats", 401, id="no token"),
    pytest.param("POST", "/api/v1/enrollments", 400, id="no body"),
    pytest.param("PUT", "/", 405, id="another method"),
    pytest.param("GET", "/nothing", 404, id="nothing"),
    pytest.param("GET", "/%00", 404, id="nonsense"),
]


@pytest.mark.parametrize(("method", "path", "status"), OF_EVERY_KIND)
@pytest.mark.parametrize("is_https", [False, True], ids=["http", "https"])
async def test_every_answer_carries_the_security_headers(
    tmp_path: Path, method: str, path: str, status: int, *, is_https: bool
) -> None:
    access: dict[str, Any] = {"access_url": "https://push.example"} if is_https else {}
    async with running(tmp_path, **access) as server:
        answer = await server.ask(method, path)
    assert answer.status == status
    assert_security_headers(answer.headers, is_https=is_https)


async def test_an_answer_that_has_not_changed_carries_them_too(server: Running) -> None:
    etag = (await server.ask("GET", "/")).headers["ETag"]
    answer = await server.ask("GET", "/", headers={"If-None-Match": etag})
    assert answer.status == 304
    assert_security_headers(answer.headers)


async def test_a_browser_that_is_sent_elsewhere_is_told_too(server: Running) -> None:
    host = server.authority.replace("127.0.0.1", "localhost")
    answer = await server.ask("GET", "/", headers={"Host": host, "Sec-Fetch-Mode": "navigate"})
    assert answer.status == 302
    assert_security_headers(answer.headers)


async def test_another_method_is_refused_with_those_that_are_taken(server: Running) -> None:
    for method, path, allowed in (
        ("PUT", "/api/v1/users/anna/webpush/subscription", "DELETE,POST"),
        ("POST", "/", "GET,HEAD"),
        ("DELETE", "/api/v1/admin/stats", "GET"),
    ):
        answer = await server.admin(method, path)
        problem = assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == allowed
        assert method in problem["detail"]
