"""`pushdesk send`: one notification to one user, through the server that runs or, if none does, by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from pushdesk.cli.datadir import ServerLock
from pushdesk.cli.hosting import read_config
from pushdesk.cli.one_shot import ASK_AGAIN_S, DRAIN_S, drain, open_own, open_remote, server_or_lock
from pushdesk.cli.output import say, say_json, tell
from pushdesk.errors import EXIT_DONE, EXIT_NO, PushdeskError
from pushdesk.model import DispatchState, Notification, Outcome
from pushdesk.server.fields import fit
from pushdesk.server.parameters import IDEMPOTENCY_KEY
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.cli.options import Reach
    from pushdesk.config import Config
    from pushdesk.engine.engine import Engine
    from pushdesk.model import Delivery, Dispatch

S = TypeVar("S", bound=msgspec.Struct)

WORDS: Final[dict[Outcome, str]] = {
    Outcome.WAITING: "… waiting",
    Outcome.ACCEPTED: "✓ accepted",
    Outcome.GONE: "✗ gone",
    Outcome.KEY_MISMATCH: "✗ other key",
    Outcome.REFUSED: "✗ refused",
    Outcome.OUR_CONFIGURATION: "! our key",
    Outcome.THROTTLED: "↻ throttled",
    Outcome.TRANSIENT: "↻ will retry",
    Outcome.EXPIRED: "✗ expired",
    Outcome.SUPERSEDED: "- superseded",
    Outcome.HELD: "! held",
    Outcome.CANCELLED: "- cancelled",
}


LATER: Final = " The next server to start here goes on with it."
"""What becomes of what our own engine did not settle."""


class Sending(NamedTuple):
    """What to send, to whom, through which server, and how to tell what came of it."""

    user: str
    message: Mapping[str, object]
    """The fields of a `Notification` that were given."""
    wait_s: float
    as_json: bool
    idempotency_key: str | None
    reach: Reach


def run_send(sending: Sending, environ: Mapping[str, str]) -> int:
    """Send, wait, and tell what came of it; returns the exit code.

    Raises:
        PushdeskError: A field cannot be used, the server cannot be reached or refuses.
    """
    check_user(sending.user)
    notification = read_fields(sending.message, Notification)
    return asyncio.run(_send(sending, notification, read_config(sending.reach.flags, environ), environ))


def read_fields(fields: Mapping[str, object], shape: type[S]) -> S:
    """Make a notification, or whatever else is to be sent, out of what was typed.

    Raises:
        PushdeskError: `bad_field`.
    """
    return fit({name: value for name, value in fields.items() if value is not None}, shape)


def read_key(key: str | None) -> str | None:
    """Return an idempotency key as it was typed, if one was.

    Raises:
        PushdeskError: `bad_field`.
    """
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        detail = "--idempotency-key must be 1 to 255 visible ASCII characters."
        raise PushdeskError(detail, code="bad_field", fields=("idempotency_key",))
    return key


async def _send(sending: Sending, notification: Notification, config: Config, environ: Mapping[str, str]) -> int:
    found = await server_or_lock(sending.reach, config)
    if isinstance(found, str):
        async with open_remote(found, sending.reach, config, environ) as desk:
            dispatch = await desk.notify(
                sending.user, notification, wait_s=sending.wait_s, idempotency_key=sending.idempotency_key
            )
    else:
        dispatch = await _send_alone(found, sending, notification, config)
    if sending.as_json:
        say_json(msgspec.to_builtins(dispatch))
    else:
        report(dispatch, later=LATER if isinstance(found, ServerLock) else "")
    return exit_code(dispatch)


async def _send_alone(lock: ServerLock, sending: Sending, notification: Notification, config: Config) -> Dispatch:
    """Send with an engine of our own: tried at least once, however short the wait, as nobody goes on with it."""
    async with open_own(lock, config) as engine:
        try:
            accepted = await engine.notify(
                sending.user, notification, wait_s=sending.wait_s, idempotency_key=sending.idempotency_key
            )
            if notification.send_at is None:
                await begun(engine, accepted.id)
        finally:
            await drain(engine)
        return await engine.dispatch(accepted.id)


async def begun(engine: Engine, dispatch: str) -> None:
    """Wait until a dispatch has come to its devices, behind what was due before it."""
    deadline = asyncio.get_running_loop().time() + DRAIN_S
    while (await engine.dispatch(dispatch)).state in {DispatchState.SCHEDULED, DispatchState.QUEUED}:
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(ASK_AGAIN_S)


def exit_code(dispatch: Dispatch) -> int:
    """Say whether a dispatch came to anything: it is a no if there was nobody, or nobody whose push service took it."""
    if dispatch.state is not DispatchState.DONE:
        return EXIT_DONE
    return EXIT_DONE if dispatch.counts.get(Outcome.ACCEPTED) else EXIT_NO


def report(dispatch: Dispatch, *, later: str) -> None:
    """Tell what came of a dispatch: a line for each device.

    Args:
        dispatch: With its deliveries.
        later: What becomes of it if it is not settled yet.
    """
    for delivery in dispatch.deliveries:
        say(_line(delivery))
    if dispatch.next is not None:
        say(f"… and {sum(dispatch.counts.values()) - len(dispatch.deliveries)} more")
    if dispatch.send_at is not None:
        tell(f"dispatch {dispatch.id} is scheduled for {dispatch.send_at:%Y-%m-%d %H:%M:%S} UTC.{later}")
    elif dispatch.state is not DispatchState.DONE:
        tell(f"dispatch {dispatch.id} is accepted and not settled yet.{later}")
    elif not dispatch.deliveries:
        tell(f"nobody to send to: {dispatch.user} has no device that gets notifications.")


def _line(delivery: Delivery) -> str:
    status = f"({delivery.status})" if delivery.status is not None else ""
    latency = f"{delivery.latency_ms:.0f} ms" if delivery.latency_ms is not None else ""
    parts = (f"{WORDS[delivery.outcome]:<12}", status, delivery.service, delivery.device, latency, delivery.reason)
    return "  ".join(part for part in parts if part)
