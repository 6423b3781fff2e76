"""The real sender process, with one thing added: some endpoints do it harm. `python -m tests.sender.fragile FD`."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from pushdesk.sender.program import main
from pushdesk.sender.sending import Sending

if TYPE_CHECKING:
    from pushdesk.sender.frames import Push, Result

send = Sending.send


async def send_or_die(itself: Sending, push: Push, number: int = 0) -> Result:
    # Not the push that tries a new device out.
    if push.endpoint.endswith("/poison") and (push.plaintext == b"{}" or b"Harmful" in push.plaintext):
        os.kill(os.getpid(), signal.SIGKILL)
    if push.endpoint.endswith("/garbage"):
        # Over the socket to the engine, whose number is the argument.
        os.write(int(sys.argv[1]), b"\xff" * 64)
    return await send(itself, push, number)


if __name__ == "__main__":
    setattr(Sending, "send", send_or_die)  # noqa: B010 (a method, to everybody else)
    main()
