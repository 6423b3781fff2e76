"""The faults of a pushdesk simulator on this machine: what goes wrong there, asked for and set (docs/simulator.md)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from pushdesk.console.text import plain
from pushdesk.errors import ERROR_KINDS, PushdeskError

SUGGESTED: Final = "http://127.0.0.1:8485"
"""Where a simulator is that was started without further ado."""
HOSTS: Final = frozenset({"127.0.0.1", "localhost"})
"""By other names it answers nobody."""
MOST_FAULTS: Final = 50
LONGEST_FAULT: Final = 500
LARGEST_ANSWER: Final = 256 * 1024
PATIENCE_S: Final = 5.0


class SetFault(msgspec.Struct, frozen=True):
    """A fault of a simulator."""

    fault: str
    met: int = 0
    """How often it was met."""
    left: int | None = None
    """How often it still will be; None without an end."""


class _Listed(msgspec.Struct):
    items: tuple[SetFault, ...]


class _Problem(msgspec.Struct):
    code: str = ""
    detail: str = ""
    hint: str = ""


def check_url(url: str) -> str:
    """Return the address of a simulator without what comes after its port.

    Raises:
        PushdeskError: `bad_field` for what is no address on this machine.
    """
    try:
        parts = urlsplit(url.strip())
        if parts.scheme == "http" and parts.hostname in HOSTS and parts.port:
            return f"http://{parts.hostname}:{parts.port}"
    except ValueError:
        pass
    raise PushdeskError(f"A simulator is on this machine, such as {SUGGESTED}.", code="bad_field")


async def faults(url: str) -> tuple[SetFault, ...]:
    """Return what goes wrong in a simulator.

    Raises:
        PushdeskError: It does not answer, or is none.
    """
    return await _ask("GET", url)


async def set_faults(url: str, wanted: list[str]) -> tuple[SetFault, ...]:
    """Have these go wrong in a simulator and nothing else, and return them as it understood them.

    Raises:
        PushdeskError: One is none, of which nothing was changed; or it does not answer.
    """
    if len(wanted) > MOST_FAULTS or any(len(fault) > LONGEST_FAULT for fault in wanted):
        raise PushdeskError(f"That is more than {MOST_FAULTS} faults, or a far too long one.", code="bad_field")
    return await _ask("PUT", url, msgspec.json.encode({"faults": wanted}))


async def _ask(method: str, url: str, body: bytes | None = None) -> tuple[SetFault, ...]:
    origin = check_url(url)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    address = f"{origin}/_control/faults"
    try:
        # Not by a proxy: it is on this machine.
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.request(method, address, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            said = await answer.content.read(LARGEST_ANSWER)
            is_good = answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise PushdeskError(
            f"No simulator answers at {origin}.", code="not_found", hint="pushdesk simulate starts one."
        ) from None
    try:
        if is_good:
            return msgspec.json.decode(said, type=_Listed).items
        problem = msgspec.json.decode(said, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    if problem.code not in ERROR_KINDS:
        raise PushdeskError(f"What answers at {origin} is no simulator of pushdesk.", code="not_found")
    raise PushdeskError(plain(problem.detail), code=problem.code, hint=plain(problem.hint))
