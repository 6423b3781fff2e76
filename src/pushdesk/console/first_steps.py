"""What somebody is told who looks at a server on which nobody is subscribed."""

from __future__ import annotations

from textual.content import Content

from pushdesk.console.status import BUSY, QUIET, STRONG
from pushdesk.console.text import plain


def first_steps(url: str, *, sends: bool, can_change: bool) -> Content:
    """Return what a first user is to do.

    Args:
        url: Of the server.
        sends: Whether push is switched on.
        can_change: Whether whoever looks may do more than that.
    """
    if not sends:
        return _switch_on()
    url = plain(url)
    invite = ("  or press ", ("e", "bold"), " for an invitation: a link and a QR code for a phone\n")
    test = ("Come back here and press ", ("t", "bold"), " to send your first push\n\n")
    look = ("Come back here and see it among the subscriptions (", ("3", "bold"), ")\n\n")
    return Content.assemble(
        ("No browser is subscribed yet.\n\n", "bold"),
        ("1 ", STRONG),
        "Open ",
        (url, "bold underline"),
        " in Firefox or Chromium ",
        ("(y copies it)\n", QUIET),
        *(invite if can_change else ()),
        ("2 ", STRONG),
        "Type a name, press the button and allow notifications\n",
        ("3 ", STRONG),
        *(test if can_change else look),
        ("No internet, or no browser at hand?\n", QUIET),
        ("pushdesk simulate", "bold"),
        (" runs a push service with browsers of its own", QUIET),
    )


def _switch_on() -> Content:
    return Content.assemble(
        ("Push is switched off on this server.\n", f"bold {BUSY}"),
        "Browsers cannot subscribe, and nothing is sent.\n\n",
        ("1 ", STRONG),
        "Switch it on where it was switched off: ",
        ("web-push = true", "bold"),
        " under ",
        ("[experiments]", "bold"),
        " in the configuration\n",
        ("2 ", STRONG),
        "Start the server again; this console will find it\n\n",
        ("Until then the server can be looked at, and keys and tokens can be made.", QUIET),
    )
