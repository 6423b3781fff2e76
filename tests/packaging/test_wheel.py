"""The wheel, in an environment with nothing else in it, away from the checkout."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pushdesk import __version__
from tests.programs import CHECKOUT, run, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.wheel
@pytest.mark.timeout(300)
async def test_the_wheel_alone_is_a_working_pushdesk(environment: dict[str, str], tmp_path: Path) -> None:
    wheels, away = tmp_path / "wheels", tmp_path / "away"
    away.mkdir()
    build = ("-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels))
    built = await run(sys.executable, *build, str(CHECKOUT), env=environment, timeout_s=100)
    assert built.code == 0, built.err
    (wheel,) = wheels.glob("pushdesk-*.whl")

    made = await run("python3", "-m", "venv", str(tmp_path / "venv"), env=environment)
    assert made.code == 0, made.out + made.err
    python, pushdesk = str(tmp_path / "venv" / "bin" / "python"), str(tmp_path / "venv" / "bin" / "pushdesk")
    install = (python, "-m", "pip", "--quiet", "install", "--use-pep517", "--no-build-isolation")
    for what in (
        ("--require-hashes", "--requirement", str(CHECKOUT / "requirements" / "build.txt")),
        ("--require-hashes", "--requirement", str(CHECKOUT / "requirements" / "run.txt")),
        ("--no-deps", str(wheel)),
    ):
        installed = await run(*install, *what, env=environment, cwd=away, timeout_s=200)
        assert installed.code == 0, installed.err

    version = await run(pushdesk, "--version", env=environment, cwd=away)
    assert version == (0, f"pushdesk {__version__}\n", "")

    async with aiohttp.ClientSession() as session, serving(program=[pushdesk], env=environment, cwd=away) as server:
        assert await fetch(session, f"{server.url}/") == (CHECKOUT / "assets" / "index.html").read_bytes()
        for asset in (path for path in (CHECKOUT / "assets").rglob("*") if path.is_file()):
            name = asset.relative_to(CHECKOUT / "assets").as_posix()
            assert await fetch(session, f"{server.url}/{name}") == asset.read_bytes(), name
        assert await server.end(signal.SIGTERM) == 0


async def fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as answer:
        assert answer.status == 200, url
        return await answer.read()
