"""The configuration: whether it can be read, by whom it can be changed, whom it lets in, and whether it is complete."""

from __future__ import annotations

import ipaddress
import shlex
import stat
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pushdesk.config_file import read_config_file
from pushdesk.doctor.findings import Check, Finding, broken, ok, warning
from pushdesk.errors import PushdeskError
from pushdesk.model import Experiment
from pushdesk.webpush.endpoint import is_allowed_address

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.config import Config

OTHERS: Final = 0o077
WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


def judge_error(error: PushdeskError | None, file: Path) -> Finding:
    """Say whether the configuration could be read."""
    if error is None:
        if file.exists():
            return ok(Check.CONFIGURATION, f"{file} can be read.")
        return ok(Check.CONFIGURATION, f"There is no {file}: the defaults hold, and what the environment says.")
    return broken(
        Check.CONFIGURATION,
        error.detail,
        why="Nothing starts with it. What follows was looked at with the defaults, and some of it not at all.",
        advice=error.hint or "Correct it: docs/configuration.md has every setting.",
    )


def judge_mode(file: Path) -> list[Finding]:
    """Say whether others may change the configuration, or read a key in it."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return []
    if mode & WRITABLE:
        return [
            broken(
                Check.CONFIGURATION_MODE,
                f"Others may change {file} ({mode:04o}).",
                why="Who writes it decides where pushes are sent and who is let in.",
                advice=shlex.join(["chmod", "go-w", str(file)]),
            )
        ]
    if mode & OTHERS and _holds_key(file):
        return [
            broken(
                Check.CONFIGURATION_MODE,
                f"Others may read {file} ({mode:04o}), and it holds an API key.",
                why="The key of [summary] is paid for by you.",
                advice=f"{shlex.join(['chmod', '600', str(file)])}, or name a file for it with api_key_file.",
            )
        ]
    return [ok(Check.CONFIGURATION_MODE, f"Nobody else may change {file}.")]


def _holds_key(file: Path) -> bool:
    try:
        summary = read_config_file(file, must_exist=True).tables.get("summary")
    except PushdeskError:
        return False
    return isinstance(summary, dict) and "api_key" in summary


def judge_allowed(origins: tuple[str, ...], *, is_for_others: bool) -> list[Finding]:
    """Say what the allowed endpoints let in.

    Args:
        origins: `[push] allow_endpoint`.
        is_for_others: Whether browsers on other machines can reach the server, and so name endpoints.
    """
    if not origins:
        return []
    inside = [origin for origin in origins if _is_private(origin)]
    if inside and is_for_others:
        return [
            warning(
                Check.ALLOWED_ENDPOINTS,
                f"Pushes may be sent to private addresses: {', '.join(inside)}.",
                why="Whoever subscribes names the endpoint: strangers can have this server post to anything there.",
                advice="Take out of [push] allow_endpoint what is no push service, such as the simulator.",
            )
        ]
    plain = [origin for origin in origins if origin.startswith("http:") and not _is_private(origin)]
    if plain:
        return [
            warning(
                Check.ALLOWED_ENDPOINTS,
                f"Pushes may be sent by plain http: {', '.join(plain)}.",
                why="Everybody on the way sees endpoints, and who has one can have that browser pushed to.",
                advice="Use https for them in [push] allow_endpoint.",
            )
        ]
    return [ok(Check.ALLOWED_ENDPOINTS, f"Pushes may also be sent to {', '.join(origins)}.")]


def judge_sites(origins: tuple[str, ...]) -> list[Finding]:
    """Say whether browsers can subscribe on the pages of other sites (`[server] allow_origin`)."""
    insecure = [origin for origin in origins if origin.startswith("http:") and not is_local(origin)]
    if insecure:
        return [
            warning(
                Check.ALLOWED_ORIGINS,
                f"No browser subscribes on pages of {', '.join(insecure)}: that is not https.",
                why="Push is for secure contexts only, and plain http can be changed on its way.",
                advice="Give the site https, and name it so in [server] allow_origin.",
            )
        ]
    return [ok(Check.ALLOWED_ORIGINS, f"Pages of {', '.join(origins)} may subscribe browsers.")] if origins else []


def judge_summaries(config: Config) -> list[Finding]:
    """Say whether there is who writes the summaries of turns, if the experiment is set to be on.

    Whoever develops has every experiment on, and meant nothing by it.
    """
    if Experiment.TURN_SUMMARIES not in config.experiments:
        return []
    if config.summary.base_url is None:
        return [
            warning(
                Check.SUMMARIES,
                "turn-summaries is on, and nobody is asked for summaries.",
                why="Without [summary] base_url every turn is summed up by pushdesk, as if the experiment were off.",
                advice='Name an API like OpenAI\'s: [summary] base_url = "http://localhost:11434/v1"; '
                "or switch turn-summaries off in [experiments].",
            )
        ]
    return [ok(Check.SUMMARIES, f"Summaries of turns are asked for at {config.summary.base_url}.")]


def is_local(origin: str) -> bool:
    """Whether only this machine is meant: `localhost` or a loopback address."""
    host = urlsplit(origin).hostname or ""
    return host == "localhost" or host.endswith(".localhost") or host == "::1" or host.startswith("127.")


def _is_private(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return not is_allowed_address(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".localhost", ".local", ".internal"))
