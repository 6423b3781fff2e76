"""`pushdesk why`: on a real server and a push service that answers as it is told, alone, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import structs

from pushdesk.cli.why import FINE
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE
from pushdesk.model import Evidence, Measure, Remedy, Service, Verdict, VerdictCode
from pushdesk.simulator.answers import PreparedAnswer
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.service import Simulator
from tests.mischief import tricking
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mischief import Peer

TOKYO = timezone(timedelta(hours=9))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path, TZ="JST-9")


async def test_it_tells_what_became_of_it_in_words_and_the_zone_of_who_asks(environment: dict[str, str]) -> None:
    async with (
        Simulator() as simulator,
        serving("--port", "0", "--allow-endpoint", simulator.origin, env=environment) as server,
        VirtualBrowser(simulator.url, user="ada") as browser,
    ):
        await browser.subscribe(server.url)
        taken = await run(*PUSHDESK, "why", "ada", env=environment)
        assert taken.code == EXIT_DONE, taken.err
        first, since, advice, *facts = taken.out.splitlines()
        assert first.startswith("✓ ada: The push service took it.")
        at = datetime.strptime(since, "  since %Y-%m-%d %H:%M:%S JST").replace(tzinfo=TOKYO)
        assert abs((datetime.now(TOKYO) - at).total_seconds()) < 60
        assert advice.startswith("  → On Linux, ")
        assert f"{since.replace('since ', '')}  Answered 201." in facts
        # The one device has nothing more to tell.
        assert not any(line.startswith("✓") for line in facts)

        simulator.answers.add(PreparedAnswer(status=410, body="\x1b[31mgone\u202e for good"))
        sent = await run(*PUSHDESK, "send", "ada", "Hello", "--json", env=environment)
        (delivery,) = json.loads(sent.out)["deliveries"]
        told = [
            await run(*PUSHDESK, "why", *asked, env=environment)
            for asked in (["ada"], ["--delivery", delivery["id"]], ["--subscription", delivery["subscription"]])
        ]
        for finished in told:
            assert finished.code == EXIT_NO, finished.err
            assert ": The subscription has ended: its push service knows it no longer." in finished.out
            assert "  → Have the user open the page on this device" in finished.out
            assert "gone for good" in finished.out
            assert "\x1b" not in finished.out
            assert "\u202e" not in finished.out
        assert [finished.out.split(":")[0] for finished in told] == ["✗ ada", "✗ Firefox · Linux", "✗ Firefox · Linux"]

        as_json = await run(*PUSHDESK, "why", "ada", "--json", env=environment)
        assert as_json.code == EXIT_NO
        verdict = msgspec.json.decode(as_json.out, type=Verdict)
        assert (verdict.code, verdict.remedy, len(verdict.devices)) == (VerdictCode.GONE, Remedy.INVITE, 1)

        other = VirtualBrowser(simulator.url, user="ada", user_agent="(Linux; Android 10) Chrome/156.0.0.0")
        async with other:
            await other.subscribe(server.url)
        both = await run(*PUSHDESK, "why", "ada", env=environment)
        # That the other one took its test push is not that what was sent before came.
        assert both.code == EXIT_NO
        assert "  → The user has subscribed again since: send it again.\n" in both.out
        assert [line.split(": ")[0] for line in both.out.splitlines() if line[:1] in "✓✗" and line] == [
            "✗ ada",
            "✓ Chrome · Android",
            "✗ Firefox · Linux",
        ]


async def test_without_a_server_it_looks_by_itself(environment: dict[str, str]) -> None:
    nobody = await run(*PUSHDESK, "why", "ada", env=environment)
    assert (nobody.code, nobody.err) == (EXIT_NO, "")
    assert nobody.out.startswith("✗ ada: Nobody of this id is known here.\n")
    assert (await run(*PUSHDESK, "enroll", "ada", env=environment)).code == EXIT_DONE
    invited = await run(*PUSHDESK, "why", "ada", env=environment)
    assert invited.code == EXIT_NO
    assert "✗ ada: No browser of this user is subscribed.\n" in invited.out
    assert "  → An invitation is open" in invited.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], EXIT_USAGE, "Name one of USER, --subscription and --delivery."),
        (["ada", "--delivery", "1"], EXIT_USAGE, "Name one of USER, --subscription and --delivery."),
        (["a/b"], EXIT_USAGE, "A user's id has no slash."),
        ([""], EXIT_USAGE, "A user's id has 1 to 128 characters."),
        (["--subscription", ""], EXIT_USAGE, "--subscription is empty."),
        (["--subscription", "1"], EXIT_NO, "There is no such subscription."),
        (["--delivery", "1"], EXIT_NO, "There is no such delivery."),
        (["ada", "--server", "http://127.0.0.1:9"], EXIT_REFUSED, "There is no token"),
    ],
)
async def test_a_refusal_is_one_line_and_a_code(
    arguments: list[str], code: int, said: str, environment: dict[str, str]
) -> None:
    finished = await run(*PUSHDESK, "why", *arguments, env=environment)
    assert (finished.code, finished.out) == (code, ""), finished.err
    assert finished.err.startswith(f"pushdesk: {said}")
    assert finished.err.count("\n") == 1


async def test_a_server_that_is_not_there_is_unreachable_and_a_wrong_token_refused(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "x" * 32
    finished = await run(*PUSHDESK, "why", "ada", "--server", "http://127.0.0.1:9", env=environment)
    assert (finished.code, finished.err.count("\n")) == (EXIT_UNREACHABLE, 1)
    async with serving(env=environment) as server:
        refused = await run(*PUSHDESK, "why", "ada", "--server", server.url, env=environment)
        assert (refused.code, refused.err.count("\n")) == (EXIT_REFUSED, 1)


async def test_a_server_may_tell_any_times(environment: dict[str, str]) -> None:
    far = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(microsecond=0, tzinfo=UTC))
    told = Verdict(
        VerdictCode.GONE,
        "ada",
        "It ended.",
        "Wait.",
        Remedy.WAIT,
        "ada",
        since=far[0],
        until=far[1],
        evidence=(Evidence("Long ago.", far[0]), Evidence("Far ahead.", far[1])),
    )

    async def tells(peer: Peer) -> None:
        await peer.answer(msgspec.json.encode(told))

    environment["PUSHDESK_TOKEN"] = "x" * 32
    for zone in ("JST-9", "PST8"):
        async with tricking(tells) as server:
            finished = await run(*PUSHDESK, "why", "ada", "--server", server.url, env=environment | {"TZ": zone})
        assert (finished.code, finished.err) == (EXIT_NO, "")
        assert "Long ago." in finished.out
        assert "Far ahead." in finished.out


async def test_what_an_operator_can_do_is_told_as_a_command_and_a_pause_is_no_yes(environment: dict[str, str]) -> None:
    device = Verdict(
        VerdictCode.WAITING,
        "Firefox · Linux",
        "It is paused.",
        "Resume it.",
        Remedy.WAIT,
        "ada",
        measures=(Measure.RESUME, Measure.CANCEL),
        service=Service.MOZILLA,
        dispatch="d1",
    )
    told = structs.replace(device, about="ada", devices=(device,))

    async def tells(peer: Peer) -> None:
        await peer.answer(msgspec.json.encode(told))

    environment["PUSHDESK_TOKEN"] = "x" * 32
    async with tricking(tells) as server:
        finished = await run(*PUSHDESK, "why", "ada", "--server", server.url, env=environment)
    assert (finished.code, finished.err) == (EXIT_NO, "")
    assert finished.out.splitlines() == [
        "✗ ada: It is paused.",
        "  → Resume it.",
        "    pushdesk services resume mozilla",
        "    pushdesk cancel d1",
    ]


def test_what_is_no_fault_is_a_yes() -> None:
    assert set(VerdictCode) - FINE == {
        VerdictCode.PUSH_DISABLED,
        VerdictCode.UNKNOWN_USER,
        VerdictCode.NO_SUBSCRIPTION,
        VerdictCode.GONE,
        VerdictCode.KEY_MISMATCH,
        VerdictCode.KEY_ENDED,
        VerdictCode.OUR_CONFIGURATION,
        VerdictCode.REFUSED,
        VerdictCode.THROTTLED,
        VerdictCode.TRANSIENT,
        VerdictCode.EXPIRED,
        VerdictCode.HELD,
        VerdictCode.CANCELLED,
    }
