"""`pushdesk services`: how the push services are, and what an operator does about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.confirmation import do_confirmed
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import say, say_json, tell
from pushdesk.errors import EXIT_DONE
from pushdesk.model import LaneState, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.cli.options import Reach
    from pushdesk.desk import Desk
    from pushdesk.model import DecidedBrake, ServiceHealth

services = options.group("services", "The push services: how they are; pause, reset, decide.")

_Which = Annotated[Service, typer.Argument(metavar="SERVICE", help="fcm, mozilla, apple, wns or other")]


@services.command("list")
def list_(
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """List the push services that were talked to or are to be, with what keeps anything from being sent there."""

    async def work(desk: Desk) -> None:
        found = (await desk.stats()).services
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        for health in found:
            say(_line(health))
            if (brake := health.brake) is not None:
                held = f"the brake is on since {brake.since:%Y-%m-%d %H:%M} UTC, {_devices(brake.held)} held"
                say(f"         {held}: {brake.reason}")
            for stop in health.stopped:
                say(f"         key {stop.key} stopped since {stop.since:%Y-%m-%d %H:%M} UTC: {stop.reason}")
        if not found:
            tell("no push service was sent to since the server started.")

    end(lambda: run_on_desk(work, reach))


@services.command()
def pause(
    service: _Which,
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Send nothing to a push service until it is resumed, also after a restart. What is for it waits."""
    _change(lambda desk: desk.pause_service(service), as_json=as_json, reach=reach)


@services.command()
def resume(
    service: _Which,
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Send to a push service again that was paused."""
    _change(lambda desk: desk.resume_service(service), as_json=as_json, reach=reach)


@services.command()
def reset(
    service: _Which,
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Forget what was wrong with a push service (throttling, faults, refused keys), and try again at once."""
    _change(lambda desk: desk.reset_service(service), as_json=as_json, reach=reach)


@services.command("confirm", short_help="Say that the devices which its brake holds have ended.")
def confirm_(
    service: _Which,
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Say that the devices which a push service's brake holds have ended: they are disabled, and can be restored."""
    words = "are disabled"
    _decide(
        lambda desk, word: desk.confirm_brake(service, confirm=word),
        "confirm",
        yes=yes,
        as_json=as_json,
        words=words,
        reach=reach,
    )


@services.command(short_help="Say that the devices which its brake holds have not ended.")
def release(
    service: _Which,
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Say that the devices which a push service's brake holds have not ended: they are sent to again."""
    words = "are sent to again; what they missed is not sent"
    _decide(
        lambda desk, word: desk.release_brake(service, confirm=word),
        "release",
        yes=yes,
        as_json=as_json,
        words=words,
        reach=reach,
    )


def _decide(
    act: Callable[[Desk, str], Awaitable[DecidedBrake]],
    word: str,
    *,
    yes: bool,
    as_json: bool,
    words: str,
    reach: Reach,
) -> None:
    def run() -> int:
        decided = do_confirmed(act, word, yes=yes, reach=reach)
        if as_json:
            say_json(msgspec.to_builtins(decided))
        else:
            say(f"{decided.service.service}: {_devices(decided.subscriptions)} {words}")
        return EXIT_DONE

    end(run)


def _change(
    change: Callable[[Desk], Awaitable[ServiceHealth]],
    *,
    as_json: bool,
    reach: Reach,
) -> None:
    async def work(desk: Desk) -> None:
        health = await change(desk)
        if as_json:
            say_json(msgspec.to_builtins(health))
        else:
            say(_line(health))

    end(lambda: run_on_desk(work, reach))


def _line(health: ServiceHealth) -> str:
    line = f"{health.service:<7}  {health.state:<9}  {health.in_flight} under way, {health.waiting} waiting"
    if health.state is LaneState.OPEN:
        return line
    since = "" if health.since is None else f"; so since {health.since:%Y-%m-%d %H:%M} UTC"
    until = "" if health.until is None else f", until {health.until:%H:%M:%S} UTC"
    return f"{line}{since}{until}: {health.reason}"


def _devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"
