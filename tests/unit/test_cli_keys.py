"""`pushdesk keys`: through the server that runs, and by itself; files, words, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pushdesk.cli.keys import lines
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE
from pushdesk.model import KeyState, Service, VapidKey
from pushdesk.webpush.key_formats import read_key
from tests import vapid_key_texts as texts
from tests.programs import PUSHDESK, Finished, bare_environment, run, serving
from tests.push_service import PushService
from tests.subscribing import subscribe
from tests.terminal.pseudo import Terminal


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


async def keys(environment: dict[str, str], *words: str) -> Finished:
    return await run(*PUSHDESK, "keys", *words, env=environment)


async def listed(environment: dict[str, str]) -> dict[str, Any]:
    """Return the keys, by id."""
    found = await keys(environment, "list", "--json")
    assert found.code == EXIT_DONE, found.err
    return {key["id"]: key for key in json.loads(found.out)}


async def vapid(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/vapid") as answer:
        key: str = (await answer.json())["key_id"]
        return key


async def test_a_server_that_runs_follows_at_once(environment: dict[str, str]) -> None:
    async with PushService() as service:
        options = ("--port", "0", "--allow-endpoint", service.origin)
        async with serving(*options, env=environment) as server:
            await subscribe(server.url, "ada", service.device("phone"))
            old = await vapid(server.url)
            rotated = await keys(environment, "rotate", "--yes")
            new = await vapid(server.url)
            assert rotated == (EXIT_DONE, f"{new} is current from now on\n", "")
            assert new != old

            text = await keys(environment, "list")
            current, retiring, progress = text.out.splitlines()
            assert current.startswith(f"{new}  current   made 20")
            assert current.endswith("  no devices")
            assert retiring.startswith(f"{old}  retiring  made 20")
            assert retiring.endswith("  1 device (1 other)")
            assert "0 of 1 have left it (0 %)" in progress
            assert progress.endswith("1 user would be lost by retiring it now")

            asked = await keys(environment, "retire", old)
            assert (asked.code, asked.out) == (EXIT_USAGE, "")
            assert asked.err == (
                f"pushdesk: Retiring the key {old} ends 1 subscription, until their browsers come by and "
                "subscribe again. 1 user is left without any device. Confirm with --yes.\n"
            )
            retired = await keys(environment, "retire", old, "--yes")
            assert retired == (EXIT_DONE, f"{old} is retired: nothing is signed with it any more\n", "")
            back = await keys(environment, "rollback", old, "--yes", "--json")
            assert (json.loads(back.out)["id"], json.loads(back.out)["state"]) == (old, "current")
            assert await vapid(server.url) == old

            revoked = await keys(environment, "revoke", "--yes")
            newest = await vapid(server.url)
            assert revoked.out == (
                f"{newest} is current from now on, and all others are revoked: 1 device (1 other) lost\n"
            )
            found = await listed(environment)
            assert {key["state"] for name, key in found.items() if name != newest} == {"revoked"}
            assert next(iter(found)) == newest


async def test_without_a_server_it_is_done_for_the_next_one(environment: dict[str, str]) -> None:
    (old,) = await listed(environment)
    assert (await keys(environment, "rotate", "--yes")).code == EXIT_DONE
    found = await listed(environment)
    assert sorted(key["state"] for key in found.values()) == ["current", "retiring"]
    assert found[old]["state"] == "retiring"
    # Nobody is lost, so there is nothing to be confirmed.
    assert (await keys(environment, "retire", old)).code == EXIT_DONE
    async with serving(env=environment) as server:
        assert (await listed(environment))[await vapid(server.url)]["state"] == "current"


async def test_scripts_that_do_not_confirm_change_nothing(environment: dict[str, str]) -> None:
    before = await listed(environment)
    (key,) = before
    file = Path(environment["HOME"]) / "key.pem"
    for words in (["rotate"], ["revoke"], ["export"], ["export", key, "--output", str(file)]):
        asked = await keys(environment, *words)
        assert (asked.code, asked.out, asked.err.count("\n")) == (EXIT_USAGE, "", 1)
        assert asked.err.endswith("Confirm with --yes.\n")
    assert not file.exists()
    assert await listed(environment) == before


async def test_a_key_is_exported_to_a_file_of_ours_alone_and_imported_elsewhere(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (key,) = await listed(environment)
    file = tmp_path / "key.pem"
    done = await keys(environment, "export", "--yes", "--output", str(file))
    assert done == (EXIT_DONE, "", f"pushdesk: the key {key} is in {file}.\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_key(file.read_text()).id == key
    assert (await keys(environment, "export", key, "--yes")).out == file.read_text()
    raw = (await keys(environment, "export", "--yes", "--format", "raw")).out
    assert set(json.loads(raw)) == {"publicKey", "privateKey"}
    whole = (await keys(environment, "export", "--yes", "--json")).out
    assert read_key(raw).id == read_key(whole).id == json.loads(whole)["id"] == key

    again = await keys(environment, "export", "--yes", "--output", str(file))
    assert (again.code, "is there already" in again.err) == (EXIT_USAGE, True)
    elsewhere = environment | {"PUSHDESK_DATA_DIR": str(tmp_path / "elsewhere")}
    imported = await keys(elsewhere, "import", str(file))
    assert imported == (EXIT_DONE, f"{key} is retiring from now on, and fits no devices\n", "")
    assert (await listed(elsewhere))[key]["state"] == "retiring"


async def test_a_key_that_cannot_be_kept_is_not_fetched(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    async with serving(env=environment) as server:
        for name, reason in (
            ("missing/key.pem", "No such file or directory"),
            ("mine/key.pem", "Not a directory"),
            ("mine", "is there already"),
            ("link", "is there already"),
        ):
            refused = await keys(environment, "export", "--yes", "--output", str(tmp_path / name))
            assert (refused.code, refused.out, refused.err.count("\n")) == (EXIT_USAGE, "", 1), name
            assert reason in refused.err
        await server.end(signal.SIGTERM)
        assert "key_exported" not in await server.errors()
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


async def test_no_file_is_left_where_no_key_came(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    async with serving(env=environment) as server:
        missing = await keys(environment, "export", "00000000", "--yes", "--output", str(file))
        assert missing.code == EXIT_NO
        assert not file.exists()
        # No file may grow, as on a full disk.
        full = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
        refused = await run(*full, *PUSHDESK, "keys", "export", "--yes", "--output", str(file), env=environment)
        assert (refused.code, refused.err) == (EXIT_USAGE, f"pushdesk: {file} cannot be written: File too large.\n")
        assert not file.exists()
        await server.end(signal.SIGTERM)
        assert (await server.errors()).count("key_exported") == 1


@pytest.mark.pty
async def test_the_key_that_was_warned_of_is_exported_whichever_is_current_by_then(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    async with serving(env=environment) as server:
        key = await vapid(server.url)
        command = (*PUSHDESK, "keys", "export", "--output", str(file))
        async with Terminal(*command, env=environment) as terminal:
            await terminal.says("type export to confirm:")
            assert f"the key {key}" in terminal.text
            assert file.read_text() == ""
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert (await keys(environment, "rotate", "--yes")).code == EXIT_DONE
            terminal.press("export\n")
            assert await terminal.end(within_s=30) == EXIT_DONE
        assert await vapid(server.url) != key
    assert read_key(file.read_text()).id == key


async def test_a_key_comes_from_a_pipe_too_and_becomes_current_if_that_is_confirmed(
    environment: dict[str, str],
) -> None:
    async def piped(*words: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *PUSHDESK,
            "keys",
            "import",
            "-",
            *words,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(texts.NODE_TEXT.encode())
        return process.returncode, out.decode(), err.decode()

    key = read_key(texts.NODE_TEXT).id
    code, out, err = await piped("--current")
    assert (code, out) == (EXIT_USAGE, "")
    assert err.endswith("Confirm with --yes.\n")
    assert await piped("--current", "--yes") == (EXIT_DONE, f"{key} is current from now on, and fits no devices\n", "")
    assert (await piped())[0] == EXIT_USAGE


async def test_what_is_no_key_is_refused_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "encrypted").write_text(texts.OPENSSL_ENCRYPTED_PKCS8)
    (tmp_path / "public").write_text(texts.OPENSSL_PUBLIC_ONLY)
    before = await listed(environment)
    for name, reason in (
        ("binary", "not a text in UTF-8"),
        ("large", "too large"),
        ("encrypted", "has a password"),
        ("public", "only the public half"),
        ("missing", "No such file"),
        (".", "directory"),
    ):
        refused = await keys(environment, "import", str(tmp_path / name))
        assert (refused.code, refused.out, refused.err.count("\n")) == (EXIT_USAGE, "", 1), name
        assert reason.lower() in refused.err.lower()
    assert await listed(environment) == before


def test_nobody_is_lost_whose_other_devices_are_bound_to_another_key() -> None:
    now = datetime(2030, 1, 31, tzinfo=UTC)
    key = VapidKey("0badc0de", "B", KeyState.RETIRING, now, 9, retiring_at=now, before={Service.FCM: 10})
    assert "1 of 10 have left it (10 %); nobody would be lost by retiring it now" in lines(key)[1]


async def test_keys_that_are_not_there_are_not_found(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server:
        for words in (["retire", "00000000"], ["rollback", "00000000"], ["export", "00000000"]):
            missing = await keys(environment, *words, "--yes")
            assert (missing.code, missing.err.count("\n")) == (EXIT_NO, 1)
        current = await keys(environment, "retire", await vapid(server.url), "--yes")
        assert current.code == EXIT_USAGE
        assert "Rotate first" in current.err
        already = await keys(environment, "rollback", await vapid(server.url), "--yes")
        assert (already.code, already.err) == (
            EXIT_USAGE,
            f"pushdesk: Key {await vapid(server.url)} is current already.\n",
        )
        nonsense = await keys(environment, "retire", "nonsense", "--yes")
        assert (nonsense.code, nonsense.err.count("\n")) == (EXIT_USAGE, 1)


@pytest.mark.pty
@pytest.mark.parametrize(("typed", "code"), [("rotate", EXIT_DONE), ("yes", EXIT_USAGE)])
async def test_whoever_sits_at_a_terminal_types_the_word(environment: dict[str, str], typed: str, code: int) -> None:
    before = await listed(environment)
    async with Terminal(*PUSHDESK, "keys", "rotate", env=environment) as terminal:
        await terminal.says("type rotate to confirm:")
        assert "rotating it affects nobody" in terminal.text
        terminal.press(f"{typed}\n")
        assert await terminal.end(within_s=30) == code
    assert (len(await listed(environment)) > len(before)) is (code == EXIT_DONE)
