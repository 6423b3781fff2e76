"""A simulator that runs, seen from outside: what goes wrong there is set over its control API."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.simulator.display import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWERS_WITHIN_S = 10.0


class _Active(msgspec.Struct):
    fault: str


class _Faults(msgspec.Struct):
    items: list[_Active]


class _Problem(msgspec.Struct):
    detail: str


async def put_faults(url: str, faults: Sequence[str]) -> list[str]:
    """Let these go wrong from now on, and nothing else; returns what goes wrong then.

    Args:
        url: Where the simulator listens.
        faults: As docs/simulator.md says how they are written.

    Raises:
        UnreachableError: Nothing answers there.
        PushdeskError: It refused, or is no simulator.
    """
    timeout = aiohttp.ClientTimeout(total=_ANSWERS_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.put(f"{url}/_control/faults", json={"faults": list(faults)}, allow_redirects=False) as answer,
        ):
            content = await answer.read()
            if answer.status == HTTPStatus.OK:
                return [plain(one.fault) for one in msgspec.json.decode(content, type=_Faults).items]
            raise PushdeskError(plain(msgspec.json.decode(content, type=_Problem).detail), code="bad_field")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnreachableError(
            f"No simulator answers at {plain(url)}.", hint="Is it running there? Name its port with --port."
        ) from error
    except msgspec.DecodeError as error:
        raise PushdeskError(f"What answers at {plain(url)} is no simulator.", hint="Check --port.") from error
