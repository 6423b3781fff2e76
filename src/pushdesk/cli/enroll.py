"""`pushdesk enroll`: a link, a code and a QR code that let one browser get a user's notifications."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import draw, say, say_json, tell
from pushdesk.errors import PushdeskError
from pushdesk.invitation_code import read_lifetime
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from pushdesk.desk import Desk
    from pushdesk.model import Invitation

COLOURS: Final = "\x1b[38;5;231;48;5;16m"
"""White blocks on black, of the colours that no theme changes: the code is as readable on a light terminal."""
NO_COLOURS: Final = "\x1b[0m"


def enroll(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose notifications the browser is to get")],
    *,
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="How long the code is valid, from 60s to 30d")
    ] = "24h",
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Invite one browser to get a user's notifications: shows a link and a code, this once."""

    def run() -> int:
        wanted, lifetime_s = check_user(user), _lifetime_s(expires)

        async def work(desk: Desk) -> None:
            invitation = await desk.invite(wanted, lifetime_s)
            if not invitation.url.startswith("https:"):
                tell("the link is not https: it works on the server's own machine only.")
            if as_json:
                say_json(msgspec.to_builtins(invitation))
            else:
                _show(invitation)

        return run_on_desk(work, reach)

    end(run)


def _lifetime_s(expires: str) -> int:
    try:
        return read_lifetime(expires)
    except ValueError as error:
        raise PushdeskError(f"--expires {error}.", code="bad_field", fields=("expires",)) from None


def _show(invitation: Invitation) -> None:
    say(f"link   {invitation.url}")
    say(f"code   {invitation.code}")
    say(f"until  {invitation.expires_at:%Y-%m-%d %H:%M} UTC, for one browser")
    if sys.stdout.isatty():
        _show_qr_code(invitation.url)


def _show_qr_code(url: str) -> None:
    """Write the QR code (ISO/IEC 18004) of a link to the terminal, if there is room for it."""
    import segno

    drawing = io.StringIO()
    segno.make_qr(url).terminal(drawing, compact=True)
    lines = drawing.getvalue().splitlines()
    if shutil.get_terminal_size().columns < len(lines[0]):
        tell(f"for the QR code the terminal needs {len(lines[0])} columns.")
        return
    try:
        drawing.getvalue().encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        tell("for the QR code the terminal needs UTF-8.")
        return
    is_plain = os.environ.get("TERM") == "dumb"
    before, after = ("", "") if is_plain else (COLOURS, NO_COLOURS)
    draw("".join(f"{before}{line}{after}\n" for line in lines))
