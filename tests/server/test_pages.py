"""The files that browsers receive, and what every answer carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.assets import assets_directory
from tests.server.running import running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
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


@pytest.mark.parametrize("path", ["/", "/sw.js", "/api/v1/vapid", "/healthz", "/metrics", "/nothing"])
async def test_every_answer_carries_the_security_headers(server: Running, path: str) -> None:
    headers = (await server.ask("GET", path)).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers
    assert headers["Server"] == "pushdesk"
    assert headers["Cache-Control"] in {"no-store", "no-cache"}


async def test_https_is_to_be_kept_to_where_it_is_used(tmp_path: Path) -> None:
    async with running(tmp_path, access_url="https://push.example") as server:
        for path in ("/", "/nothing"):
            assert "max-age=" in (await server.ask("GET", path)).headers["Strict-Transport-Security"]


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
