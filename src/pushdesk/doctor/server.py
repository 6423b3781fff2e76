"""The running server: whether it answers, is this version, and gives browsers what they need."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pushdesk import __version__
from pushdesk.doctor.fetching import Unfetched
from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning
from pushdesk.plain_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.doctor.fetching import Fetcher, Page

SCRIPTS: Final = frozenset({"text/javascript", "application/javascript", "application/x-javascript"})
"""What browsers take for a worker (HTML, "JavaScript MIME type")."""
PATHS: Final = ("/healthz", "/readyz", "/", "/sw.js", "/api/v1/vapid")


@dataclass(frozen=True, slots=True)
class Pages:
    """What a server answered, by path; for a path without an answer, why there was none."""

    url: str
    answers: Mapping[str, Page | str]

    def page(self, path: str) -> Page | None:
        """The answer at a path, if there was one."""
        found = self.answers[path]
        return None if isinstance(found, str) else found

    @property
    def fault(self) -> str:
        """Why the server does not answer at all; empty if it does."""
        found = self.answers["/healthz"]
        return found if isinstance(found, str) else ""

    @property
    def public_key(self) -> str | None:
        """The VAPID key that browsers are told to subscribe with."""
        page = self.page("/api/v1/vapid")
        said = page.json if page is not None and page.status == 200 else None
        key = said.get("public_key") if isinstance(said, dict) else None
        return key if isinstance(key, str) else None


@dataclass(frozen=True, slots=True)
class About:
    """What a running server says of itself to whoever has its token."""

    version: str | None = None
    access_url: str | None = None
    refusal: str = ""
    """Why it says nothing."""


async def look_at_pages(fetcher: Fetcher, url: str) -> Pages:
    """Fetch what browsers and watchers fetch."""

    async def fetched(path: str) -> Page | str:
        try:
            return await fetcher.get(f"{url}{path}")
        except Unfetched as error:
            return str(error)

    answers = await asyncio.gather(*(fetched(path) for path in PATHS))
    return Pages(url, dict(zip(PATHS, answers, strict=True)))


async def ask_about(fetcher: Fetcher, url: str, token: str | None) -> About:
    """Ask a server for its version and its access URL."""
    if token is None:
        return About(refusal="there is no admin token to ask it with")
    try:
        page = await fetcher.get(f"{url}/api/v1/admin/stats", token=token)
    except Unfetched as error:
        return About(refusal=str(error))
    if page.status in {401, 403}:
        return About(refusal="it does not take the admin token")
    said = page.json
    if page.status != 200 or not isinstance(said, dict):
        return About(refusal=f"it answered {page.status}")
    version, access_url = said.get("version"), said.get("url")
    return About(version if isinstance(version, str) else None, access_url if isinstance(access_url, str) else None)


def judge_server(pages: Pages, pid: int) -> list[Finding]:
    """Say whether a server answers and is ready."""
    health = pages.page("/healthz")
    if health is None or health.status != 200:
        reason = pages.fault or f"it answered {health.status if health else 0}"
        return [
            broken(
                Check.SERVER,
                f"Process {pid} holds the data directory and does not answer at {pages.url}: {reason}.",
                why="It hangs, or is just starting or stopping. No other server can work on this data directory.",
                advice="Look at its log; end that process and start it again.",
            )
        ]
    findings = [ok(Check.SERVER, f"The server answers at {pages.url} (process {pid}).")]
    ready = pages.page("/readyz")
    if ready is not None and ready.status == 200:
        return [*findings, ok(Check.READINESS, "It is ready: database, keys and queue work.")]
    return [
        *findings,
        broken(
            Check.READINESS,
            f"It is not ready: {_problems(ready)}",
            why="Notifications are refused, or accepted and not sent.",
            advice="Look at its log, then start it again.",
        ),
    ]


def judge_version(about: About) -> Finding:
    """Say whether the server is the version that this command is."""
    if about.version is None:
        refusal = about.refusal or "it did not say it"
        return not_looked_at(
            Check.VERSION, f"Its version is not known: {refusal}.", why="PUSHDESK_TOKEN can hold the token."
        )
    if about.version == __version__:
        return ok(Check.VERSION, f"It is pushdesk {__version__}, as this command.")
    return warning(
        Check.VERSION,
        f"It is pushdesk {plain_text(about.version)[:40]}, and this command is {__version__}.",
        why="It was started before an update, or another installation is in the path.",
        advice="Start the server again.",
    )


def judge_browser_files(pages: Pages) -> list[Finding]:
    """Say whether page and worker come with the headers that they need."""
    findings = []
    for check, name, path, problems, why in (
        (
            Check.PAGE,
            "page",
            "/",
            page_problems,
            "Without these headers what one slip lets into the page can act as the user.",
        ),
        (
            Check.WORKER,
            "service worker",
            "/sw.js",
            worker_problems,
            "Browsers refuse such a worker, or keep an old one for a day; without it no notification is shown.",
        ),
    ):
        page = pages.page(path)
        found = [f"no answer: {pages.answers[path]}"] if page is None else problems(page)
        if found:
            findings.append(
                broken(
                    check,
                    f"The {name} at {pages.url}{path} is not as it should be: {'; '.join(found)}.",
                    why=why,
                    advice="Something between this server and browsers changes it: let your proxy pass headers on.",
                )
            )
        else:
            findings.append(ok(check, f"The {name} comes with its headers."))
    return findings


def page_problems(page: Page) -> list[str]:
    """Say what is wrong with the page's answer: status, type, and the policy that keeps strange scripts out."""
    if page.status != 200:
        return [f"status {page.status}"]
    problems = []
    if _type(page) != "text/html":
        problems.append(f"its type is {_shown(_type(page))}")
    policies = [_directives(policy) for policy in page.headers.get("content-security-policy", "").split(",")]
    if not any(policy.get("default-src") == "'none'" and policy.get("script-src") == "'self'" for policy in policies):
        problems.append("no Content-Security-Policy that keeps other scripts out")
    return problems + _sniffing(page)


def worker_problems(page: Page) -> list[str]:
    """Say what is wrong with the worker's answer (Service Workers section 3.4, "Update" and "Register")."""
    if page.status != 200:
        return [f"status {page.status}"]
    problems = []
    if _type(page) not in SCRIPTS:
        problems.append(f"its type is {_shown(_type(page))} and not text/javascript")
    if page.headers.get("service-worker-allowed") != "/":
        problems.append("no Service-Worker-Allowed: /")
    caching = page.headers.get("cache-control", "").lower()
    if not any(word in caching for word in ("no-cache", "no-store", "max-age=0")):
        problems.append("Cache-Control lets it be kept")
    return problems + _sniffing(page)


def judge_key(pages: Pages, current: str | None) -> Finding:
    """Say whether browsers are given the database's current key.

    Args:
        pages: What the server answered.
        current: The public key in the database; None if it could not be read.
    """
    page = pages.page("/api/v1/vapid")
    if page is not None and page.status == 404:
        return warning(
            Check.SERVER_KEY,
            "Push is switched off on the running server.",
            why="No browser can subscribe, and notifications are refused.",
            advice="Set web-push = true in [experiments], unless it is meant to be off.",
        )
    if pages.public_key is None or current is None:
        return not_looked_at(Check.SERVER_KEY, "The server's key was not compared with the database's.")
    if pages.public_key == current:
        return ok(Check.SERVER_KEY, "Browsers are given the database's current key.")
    return broken(
        Check.SERVER_KEY,
        "Browsers are given another key than the database's current one.",
        why="What they subscribe with it cannot be sent to: the database was replaced while the server ran.",
        advice="Start the server again.",
    )


def _problems(page: Page | None) -> str:
    said = page.json if page is not None else None
    problems = said.get("problems") if isinstance(said, dict) else None
    if isinstance(problems, dict) and problems:
        return plain_text("; ".join(str(problem) for problem in problems.values()))[:200]
    return "no answer." if page is None else f"it answered {page.status}."


def _type(page: Page) -> str:
    return page.headers.get("content-type", "").partition(";")[0].strip().lower()


def _shown(kind: str) -> str:
    return plain_text(kind)[:40] or "not said"


def _sniffing(page: Page) -> list[str]:
    return [] if page.headers.get("x-content-type-options", "").lower() == "nosniff" else ["no nosniff"]


def _directives(policy: str) -> dict[str, str]:
    pairs = (part.strip().partition(" ") for part in policy.split(";"))
    return {name.lower(): value.strip() for name, _, value in pairs}
