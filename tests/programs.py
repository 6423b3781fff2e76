"""Programs that tests run: the real `pushdesk` and what stands around it, in an environment of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).parents[1]
PUSHDESK = (sys.executable, "-m", "pushdesk")


class Finished(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str


def bare_environment(home: Path, **more: str) -> dict[str, str]:
    """Make an environment with nothing in it of who runs the tests."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


async def run(*command: str, env: Mapping[str, str], cwd: Path | None = None, timeout_s: float = 60.0) -> Finished:
    """Run a program to its end, with nothing to read and no terminal."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"{command} went on for {timeout_s} s\n{out.decode()}\n{err.decode()}") from None
    return Finished(process.returncode or 0, out.decode(), err.decode())
