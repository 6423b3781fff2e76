"""The running server, directly and through what stands before it."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from pushdesk import __version__
from pushdesk.config import Config, IdentityConfig, ServerConfig
from pushdesk.doctor.access_url import (
    judge_context,
    judge_local_page,
    judge_port,
    judge_trusted_proxy,
    look_at_certificate,
    look_at_local_page,
)
from pushdesk.doctor.examination import Server, examine
from pushdesk.doctor.fetching import MAX_BODY, Fetcher, Page, Unfetched
from pushdesk.doctor.findings import Check, Level
from pushdesk.doctor.server import page_problems, worker_problems
from pushdesk.errors import StartUpError
from pushdesk.model import Experiment
from tests.database_changes import change_database
from tests.doctor.surroundings import Authority, Target, circumstances, found, listening, proxy
from tests.server.running import ADMIN_TOKEN, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.doctor.findings import Finding

PID = os.getpid()


async def look(data_dir: Path, url: str | None, **more: Any) -> tuple[Finding, ...]:
    """Examine a data directory whose lock names this URL."""
    return await examine(circumstances(data_dir, server=Server(PID, url), **({"token": ADMIN_TOKEN} | more)))


def levels(findings: tuple[Finding, ...], *checks: Check) -> list[Level]:
    return [found(findings, check).level for check in checks]


async def test_a_running_server_is_well(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        findings = await look(tmp_path, server.url)
    checks = (Check.SERVER, Check.VERSION, Check.READINESS, Check.PAGE, Check.WORKER, Check.SERVER_KEY)
    assert levels(findings, *checks) == [Level.OK] * len(checks)
    assert __version__ in found(findings, Check.VERSION).what
    assert levels(findings, Check.LOCAL_PAGE, Check.SECURE_CONTEXT) == [Level.OK] * 2
    assert ADMIN_TOKEN not in str(findings)


async def test_a_server_that_does_not_answer_is_broken(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        url = server.url
    findings = await look(tmp_path, url)
    finding = found(findings, Check.SERVER)
    assert finding.level is Level.BROKEN
    assert "nothing listens there" in finding.what
    assert f"Process {PID} " in finding.what
    assert not any(finding.check is Check.PAGE for finding in findings)


@pytest.mark.parametrize("url", ["nonsense:://[x", "http://localhost:port", ""])
async def test_a_lock_that_holds_nonsense_is_a_server_that_does_not_answer(tmp_path: Path, url: str) -> None:
    assert found(await look(tmp_path, url), Check.SERVER).level is Level.BROKEN


async def test_a_process_that_does_not_listen_is_no_server_to_ask(tmp_path: Path) -> None:
    findings = await look(tmp_path, None)
    assert found(findings, Check.SERVER).level is Level.NOT_LOOKED_AT


async def test_a_server_of_another_version_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as server:
        monkeypatch.setattr("pushdesk.doctor.server.__version__", "9.9")
        finding = found(await look(tmp_path, server.url), Check.VERSION)
    assert finding.level is Level.WARNING
    assert "9.9" in finding.what


@pytest.mark.parametrize(("token", "said"), [("wrong" * 10, "does not take"), (None, "no admin token")])
async def test_without_its_token_the_version_is_not_known(tmp_path: Path, token: str | None, said: str) -> None:
    async with running(tmp_path) as server:
        finding = found(await look(tmp_path, server.url, token=token), Check.VERSION)
    assert finding.level is Level.NOT_LOOKED_AT
    assert said in finding.what


async def test_a_server_whose_database_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await change_database(tmp_path / "pushdesk.db", "ALTER TABLE server_state RENAME TO gone")
        findings = await look(tmp_path, server.url)
        await change_database(tmp_path / "pushdesk.db", "ALTER TABLE gone RENAME TO server_state")
    finding = found(findings, Check.READINESS)
    assert finding.level is Level.BROKEN
    assert "no such table" in finding.what


async def test_a_key_that_is_not_the_databases_is_broken(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await change_database(
            tmp_path / "pushdesk.db", "UPDATE vapid_keys SET public_key = 'B' || substr(public_key, 3) || 'A'"
        )
        findings = await look(tmp_path, server.url)
    assert levels(findings, Check.SERVER_KEY, Check.VAPID_KEY) == [Level.BROKEN, Level.BROKEN]


async def test_a_server_with_push_switched_off_is_a_warning(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset[Experiment]()) as server:
        finding = found(await look(tmp_path, server.url), Check.SERVER_KEY)
    assert finding.level is Level.WARNING
    assert "switched off" in finding.what


@asynccontextmanager
async def behind(data_dir: Path, authority: Authority, **changes: Any) -> AsyncIterator[tuple[str, str]]:
    """Run a server and an https proxy before it; gives the URLs of both."""
    async with (
        running(data_dir) as server,
        listening(proxy(Target(server.url), **changes), authority.server()) as url,
    ):
        yield server.url, url


async def through(data_dir: Path, url: str, access_url: str, authority: Authority) -> tuple[Finding, ...]:
    config = Config(data_dir=data_dir, server=ServerConfig(access_url=access_url))
    return await look(data_dir, url, config=config, tls=authority.trusting(), token=None)


async def test_an_access_url_that_leads_here_securely_is_ok(tmp_path: Path) -> None:
    authority = Authority()
    async with behind(tmp_path, authority) as (url, access_url):
        findings = await through(tmp_path, url, access_url, authority)
    assert levels(findings, Check.SECURE_CONTEXT, Check.ACCESS_URL, Check.CERTIFICATE) == [Level.OK] * 3
    assert [finding.level for finding in findings if finding.check is Check.WORKER] == [Level.OK] * 2


async def test_headers_that_a_proxy_drops_are_missed(tmp_path: Path) -> None:
    authority = Authority()
    drops = ("Service-Worker-Allowed", "Content-Security-Policy", "X-Content-Type-Options", "Cache-Control")
    async with behind(tmp_path, authority, drops=drops) as (url, access_url):
        findings = await through(tmp_path, url, access_url, authority)
    broken = {finding.check: finding.what for finding in findings if finding.level is Level.BROKEN}
    assert set(broken) == {Check.PAGE, Check.WORKER}
    for missed in ("Service-Worker-Allowed", "nosniff", "Cache-Control"):
        assert missed in broken[Check.WORKER]
    assert "Content-Security-Policy" in broken[Check.PAGE]
    assert access_url in broken[Check.PAGE]


async def test_an_old_worker_from_a_cache_is_a_warning(tmp_path: Path) -> None:
    authority = Authority()
    async with behind(tmp_path, authority, bodies={"/sw.js": b"// last year's"}) as (url, access_url):
        findings = await through(tmp_path, url, access_url, authority)
    assert found(findings, Check.ACCESS_URL).level is Level.WARNING


async def test_an_access_url_that_leads_elsewhere_is_broken(tmp_path: Path) -> None:
    authority = Authority()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with running(tmp_path / "one") as server, behind(tmp_path / "two", authority) as (_, access_url):
        findings = await through(tmp_path / "one", server.url, access_url, authority)
    finding = found(findings, Check.ACCESS_URL)
    assert finding.level is Level.BROKEN
    assert "another server answers" in finding.what


async def test_an_access_url_where_nobody_listens_is_broken(tmp_path: Path) -> None:
    authority = Authority()
    async with running(tmp_path) as server:
        findings = await through(tmp_path, server.url, "https://localhost:1", authority)
    assert levels(findings, Check.ACCESS_URL, Check.CERTIFICATE) == [Level.BROKEN] * 2


@pytest.mark.parametrize(
    ("days", "level"), [(90, Level.OK), (13, Level.WARNING), (0.5, Level.WARNING), (-1, Level.BROKEN)]
)
async def test_a_certificate_that_ends_is_said_before_it_has_ended(days: float, level: Level) -> None:
    authority = Authority()
    async with listening(web.Application(), authority.server(days=days)) as url:
        finding = await look_at_certificate(url, authority.trusting(), now=time.time())
    assert finding.level is level
    if days < 0:
        assert "expired" in finding.what


async def test_a_certificate_of_a_stranger_is_broken() -> None:
    async with listening(web.Application(), Authority().server()) as url:
        finding = await look_at_certificate(url, Authority().trusting(), now=time.time())
    assert finding.level is Level.BROKEN
    assert "not trusted" in finding.what


async def test_plain_http_at_an_https_access_url_is_broken() -> None:
    async with listening(web.Application()) as url:
        finding = await look_at_certificate(url.replace("http", "https"), None, now=time.time())
    assert finding.level is Level.BROKEN


@pytest.mark.parametrize(("sets", "level"), [({}, Level.BROKEN), ({"X-Forwarded-For": "192.0.2.7"}, Level.OK)])
async def test_strangers_who_pass_for_the_local_page_are_found_by_trying(
    tmp_path: Path, sets: dict[str, str], level: Level
) -> None:
    target = Target()
    async with (
        listening(proxy(target, sets=sets)) as access_url,
        running(tmp_path, access_url=access_url) as server,
        Fetcher() as fetcher,
    ):
        target.url = server.url
        finding = await look_at_local_page(fetcher, access_url)
        assert await server.is_empty()
    assert finding.level is level


async def test_what_is_no_answer_of_ours_says_nothing_of_the_local_page() -> None:
    async with listening(web.Application()) as url, Fetcher() as fetcher:
        assert (await look_at_local_page(fetcher, url)).level is Level.NOT_LOOKED_AT
    async with Fetcher() as fetcher:
        assert (await look_at_local_page(fetcher, url)).level is Level.NOT_LOOKED_AT


@pytest.mark.parametrize(
    ("access_url", "is_on", "is_on_loopback", "level"),
    [
        ("http://localhost:8484", True, True, Level.OK),
        ("https://push.example.com", False, True, Level.OK),
        ("https://push.example.com", True, False, Level.OK),
        ("https://push.example.com", True, True, None),
    ],
)
def test_the_local_page_has_to_be_tried_only_where_a_proxy_may_stand_before_it(
    access_url: str, level: Level | None, *, is_on: bool, is_on_loopback: bool
) -> None:
    finding = judge_local_page(access_url, is_on=is_on, is_on_loopback=is_on_loopback)
    assert (finding and finding.level) == level


@pytest.mark.parametrize(
    ("access_url", "level"),
    [
        ("https://push.example.com", Level.OK),
        ("http://localhost:8484", Level.OK),
        ("http://127.0.0.1:8484", Level.OK),
        ("http://[::1]:8484", Level.OK),
        ("http://192.168.1.5:8484", Level.BROKEN),
        ("http://push.example.com", Level.BROKEN),
        ("http://localhost.example.com", Level.BROKEN),
    ],
)
def test_where_browsers_subscribe(access_url: str, level: Level) -> None:
    assert judge_context(access_url).level is level


@pytest.mark.parametrize(
    ("access_url", "is_right"),
    [
        ("http://localhost:8484", True),
        ("http://localhost:9000", False),
        ("http://localhost", False),
        ("https://localhost:9000", True),
        ("https://push.example.com", True),
    ],
)
def test_a_local_access_url_names_the_port_that_is_listened_on(access_url: str, *, is_right: bool) -> None:
    assert (judge_port(access_url, 8484) is None) == is_right


@pytest.mark.parametrize(
    ("access_url", "trusted", "expected"),
    [
        ("https://push.example.com", (), [Level.WARNING]),
        ("https://push.example.com", ("127.0.0.1/32",), [Level.OK]),
        ("https://push.example.com", ("10.0.0.0/8", "::/0"), [Level.BROKEN]),
        ("http://localhost:8484", (), []),
    ],
)
def test_a_proxy_is_to_be_believed_and_nobody_else(
    access_url: str, trusted: tuple[str, ...], expected: list[Level]
) -> None:
    networks = [ip_network(network) for network in trusted]
    assert [finding.level for finding in judge_trusted_proxy(access_url, networks)] == expected


async def test_offline_an_access_url_elsewhere_is_not_asked(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, server=ServerConfig(access_url="https://push.example.invalid"))
    async with running(tmp_path) as server:
        offline = await look(tmp_path, server.url, config=config, token=None)
        online = await look(tmp_path, server.url, config=config, token=None, is_offline=False, four=())
    assert levels(offline, Check.ACCESS_URL, Check.LOCAL_PAGE) == [Level.NOT_LOOKED_AT] * 2
    assert not any(finding.check is Check.CERTIFICATE for finding in offline)
    assert levels(online, Check.ACCESS_URL, Check.CERTIFICATE) == [Level.BROKEN] * 2
    assert found(online, Check.LOCAL_PAGE).level is Level.NOT_LOOKED_AT


async def test_with_a_configuration_that_cannot_be_read_what_rests_on_it_is_not_looked_at(tmp_path: Path) -> None:
    findings = await examine(circumstances(tmp_path, config_error=StartUpError("Line 3 is wrong.")))
    assert found(findings, Check.CONFIGURATION).level is Level.BROKEN
    unknown = (Check.LISTENING, Check.SECURE_CONTEXT, Check.SUBSCRIBER)
    assert levels(findings, *unknown) == [Level.NOT_LOOKED_AT] * 3
    assert levels(findings, Check.ENCRYPTION, Check.FILE_SYSTEM) == [Level.OK] * 2


async def test_an_address_that_cannot_be_listened_on_is_broken(tmp_path: Path) -> None:
    problem = StartUpError("Port 8484 on localhost is taken by another program.", hint="Choose one with --port.")
    finding = found(await examine(circumstances(tmp_path, address_problem=problem)), Check.LISTENING)
    assert (finding.level, finding.advice) == (Level.BROKEN, "Choose one with --port.")


async def test_nobody_names_a_user_where_that_is_switched_off(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, identity=IdentityConfig(local=False))
    finding = found(await examine(circumstances(tmp_path, config=config)), Check.LOCAL_PAGE)
    assert "Nobody may name a user" in finding.what


GOOD = {
    "content-type": "text/javascript; charset=utf-8",
    "service-worker-allowed": "/",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
}


@pytest.mark.parametrize(
    ("status", "changes", "problems"),
    [
        (200, {}, 0),
        (200, {"content-type": "application/javascript"}, 0),
        (200, {"cache-control": "max-age=0, must-revalidate"}, 0),
        (200, {"cache-control": "max-age=86400"}, 1),
        (200, {"content-type": "text/html"}, 1),
        (200, {"content-type": "\x1b[2J<b>"}, 1),
        (200, {"service-worker-allowed": "/app/"}, 1),
        (302, {}, 1),
    ],
)
def test_a_worker_that_browsers_refuse_is_known(status: int, changes: dict[str, str], problems: int) -> None:
    found_problems = worker_problems(Page(status, GOOD | changes, b""))
    assert len(found_problems) == problems
    assert "".join(found_problems).isprintable()


POLICY = "default-src 'none'; script-src 'self'"


@pytest.mark.parametrize(
    ("policy", "problems"),
    [
        (POLICY, 0),
        (f"frame-ancestors *, {POLICY}", 0),
        ("", 1),
        ("default-src 'none'; script-src 'self' 'unsafe-inline'", 1),
        ("default-src *; script-src 'self'", 1),
    ],
)
def test_a_policy_that_lets_scripts_in_is_known(policy: str, problems: int) -> None:
    headers = GOOD | {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
    assert len(page_problems(Page(200, headers, b""))) == problems


async def test_an_answer_without_end_is_cut_off_and_a_redirect_not_followed() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not (request.transport is None or request.transport.is_closing()):
            await response.write(b"x" * 65536)
        return response

    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://192.0.2.1/")

    app = web.Application()
    app.router.add_get("/endless", endless)
    app.router.add_get("/moved", moved)
    async with listening(app) as url, Fetcher() as fetcher:
        assert len((await fetcher.get(f"{url}/endless")).body) == MAX_BODY
        assert (await fetcher.get(f"{url}/moved")).status == 302
        with pytest.raises(Unfetched, match="its name was not found"):
            await fetcher.get("http://no-such-host.invalid")
