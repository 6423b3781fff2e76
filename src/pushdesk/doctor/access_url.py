"""The access URL: whether browsers subscribe there, whether it leads here, and who it lets name a user."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pushdesk.doctor.configuration import is_local
from pushdesk.doctor.fetching import Unfetched, certificate_of
from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from pushdesk.doctor.fetching import Fetcher
    from pushdesk.doctor.server import Pages

DAY_S: Final = 24 * 3600
RENEW_S: Final = 14 * DAY_S


def judge_context(access_url: str) -> Finding:
    """Say whether browsers subscribe at the access URL: in a secure context only (W3C Secure Contexts section 3.1)."""
    if access_url.startswith("https:"):
        return ok(Check.SECURE_CONTEXT, f"Browsers subscribe at {access_url}: it is https.")
    if is_local(access_url):
        return ok(
            Check.SECURE_CONTEXT,
            f"Browsers of this machine subscribe at {access_url}, and no others.",
            advice="For others, put an https proxy before it and set --access-url to its address.",
        )
    return broken(
        Check.SECURE_CONTEXT,
        f"No browser subscribes at {access_url}: it is neither https nor this machine.",
        why="Push is for secure contexts only.",
        advice="Put an https proxy before it and set --access-url to its address.",
    )


def judge_port(access_url: str, port: int) -> Finding | None:
    """Say whether a local access URL names the port that is listened on; None if it does, or is for a proxy to know."""
    parts = urlsplit(access_url)
    named = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if not is_local(access_url) or parts.scheme == "https" or named == port:
        return None
    return broken(
        Check.ACCESS_URL,
        f"The access URL {access_url} is not where the server listens: that is port {port}.",
        why="The page is not there, and the one that is there may not name its user.",
        advice="Leave --access-url out, or give it the port of --port.",
    )


async def look_at_certificate(access_url: str, tls: ssl.SSLContext | None, *, now: float) -> Finding:
    """Say whether the certificate of an https access URL is trusted, and for how long."""
    why = "When it has ended, no browser opens the page, and no worker is updated."
    try:
        left_s = (await certificate_of(access_url, tls)).ends_at - now
    except Unfetched as error:
        return broken(
            Check.CERTIFICATE,
            f"{access_url} cannot be reached securely: {error}.",
            why="Browsers refuse such a page, and its worker.",
            advice="Look at the proxy and its certificate, and that this machine resolves that name as browsers do.",
        )
    if left_s < RENEW_S:
        days = max(0, int(left_s // DAY_S))
        return warning(
            Check.CERTIFICATE,
            f"The certificate of {access_url} ends in {days} day{'' if days == 1 else 's'}.",
            why=why,
            advice="Renew it, and see why that was not done automatically.",
        )
    return ok(Check.CERTIFICATE, f"Its certificate is trusted for {int(left_s // DAY_S)} more days.")


def judge_way(here: Pages, there: Pages) -> list[Finding]:
    """Say whether the access URL leads to this server, and brings what it says.

    Args:
        here: What the server answered directly.
        there: What it answered through the access URL.
    """
    if there.fault:
        return [
            broken(
                Check.ACCESS_URL,
                f"The server cannot be reached at {there.url}: {there.fault}.",
                why="Browsers and applications find it there, or not at all.",
                advice="Start or correct the proxy; if this machine cannot reach it by that name, look from another.",
            )
        ]
    if here.public_key is not None and there.public_key != here.public_key:
        another = "another server answers" if there.public_key else "something else answers"
        return [
            broken(
                Check.ACCESS_URL,
                f"At {there.url} {another}.",
                why="Browsers that subscribe there are not this server's.",
                advice=f"Let the proxy forward to {here.url}, or correct --access-url.",
            )
        ]
    worker, own = there.page("/sw.js"), here.page("/sw.js")
    if worker is not None and own is not None and worker.status == own.status == 200 and worker.body != own.body:
        return [
            warning(
                Check.ACCESS_URL,
                f"{there.url}/sw.js is another than this server's.",
                why="A cache on the way keeps an old one, which browsers go on using after updates.",
                advice="Let the proxy or CDN not cache /sw.js.",
            )
        ]
    return [ok(Check.ACCESS_URL, f"{there.url} leads to this server.")]


async def look_at_local_page(fetcher: Fetcher, access_url: str) -> Finding:
    """Try whether strangers pass for the page of this machine, as the requests of a proxy on it come from it too.

    Asks for the test push of a user whom nobody is: 404 means that the user was believed.
    """
    nobody = f"doctor-{secrets.token_hex(8)}"
    try:
        answer = await fetcher.post(f"{access_url}/api/v1/users/{nobody}/webpush/test", {})
    except Unfetched as error:
        return not_looked_at(Check.LOCAL_PAGE, f"Whether strangers may name a user was not seen: {error}.")
    said = answer.json
    if isinstance(said, dict) and said.get("code") == "subscription_not_found":
        return broken(
            Check.LOCAL_PAGE,
            f"Whoever reaches {access_url} may name any user, without a token.",
            why="A proxy on this machine passes requests on without X-Forwarded-For, so that all come from this "
            "machine: strangers can subscribe as anybody.",
            advice="Set local = false in [identity], and let the proxy send X-Forwarded-For.",
        )
    if answer.status in {401, 403}:
        return ok(Check.LOCAL_PAGE, f"Nobody may name a user at {access_url} without a token.")
    return not_looked_at(
        Check.LOCAL_PAGE, f"Whether strangers may name a user was not seen: {access_url} answered {answer.status}."
    )


def judge_local_page(access_url: str, *, is_on: bool, is_on_loopback: bool) -> Finding | None:
    """Say what the configuration says of the local page; None if that has to be tried.

    Args:
        access_url: The access URL.
        is_on: `[identity] local`.
        is_on_loopback: Whether the server listens on this machine's own addresses only.
    """
    if not is_on:
        return ok(Check.LOCAL_PAGE, "Nobody may name a user without a token.")
    if not is_on_loopback:
        return ok(
            Check.LOCAL_PAGE,
            "Nobody may name a user without a token, as the server listens on more than this machine.",
            advice="Let browsers in with `pushdesk enroll USER`.",
        )
    if is_local(access_url):
        return ok(
            Check.LOCAL_PAGE,
            "The page may name its user without a token, on this machine only.",
            advice="Before a proxy forwards to it, set --access-url to the proxy's address, or local = false in "
            "[identity].",
        )
    return None


def judge_trusted_proxy(access_url: str, trusted: Sequence[IPv4Network | IPv6Network]) -> list[Finding]:
    """Say whether a proxy is believed whom it forwards for, and nobody else is."""
    if everybody := [str(network) for network in trusted if network.prefixlen == 0]:
        return [
            broken(
                Check.TRUSTED_PROXY,
                f"Everybody is believed to be a proxy: {', '.join(everybody)}.",
                why="Whoever sends X-Forwarded-For chooses the address that limits count for.",
                advice="Name the proxy's own address with --trusted-proxy.",
            )
        ]
    if access_url.startswith("https:") and not trusted:
        return [
            warning(
                Check.TRUSTED_PROXY,
                "No proxy is believed whom it forwards for.",
                why="All that comes by it counts as one address: one busy client uses up the rate limit of all.",
                advice="Name the proxy's address with --trusted-proxy, such as 127.0.0.1/32.",
            )
        ]
    return [ok(Check.TRUSTED_PROXY, "The proxy is believed whom it forwards for.")] if trusted else []
