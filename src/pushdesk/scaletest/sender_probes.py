"""Probes inside a sender process: `python -m pushdesk.scaletest.sender_probes FOLDER FD`, run in its place.

Its socket is the engine's. So what was counted is told in a file in FOLDER, which is written anew ten times a second.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from pushdesk.scaletest.measures import Part
from pushdesk.scaletest.metering import Meter
from pushdesk.scaletest.seams import OF_SENDING, metered, wrap

TELL_EVERY_S: Final = 0.1
_SUFFIX: Final = ".parts"


def parts_in(folder: Path) -> dict[int, dict[str, Part]]:
    """Return what sender processes have told in a folder, by process."""
    return {
        int(file.stem): msgspec.json.decode(file.read_bytes(), type=dict[str, Part])
        for file in folder.glob(f"*{_SUFFIX}")
    }


def _tell(meter: Meter, folder: Path) -> None:
    file = folder / f"{os.getpid()}{_SUFFIX}"
    told = b""
    while True:
        now = msgspec.json.encode(
            {part: Part(used / 1e9, meter.switches.get(part, 0)) for part, used in list(meter.cpu_ns.items())}
        )
        if now != told:
            written = file.with_suffix(".new")
            written.write_bytes(now)
            written.replace(file)
            told = now
        time.sleep(TELL_EVERY_S)


def main() -> None:
    """Install the probes and run the sender process."""
    from pushdesk.sender.program import main as run  # noqa: PLC0415 (what is wrapped is loaded by it)

    folder = Path(sys.argv[1])
    sys.argv[1:2] = []
    meter = Meter()
    for seam in OF_SENDING:
        wrap(seam.module, seam.name, partial(metered, part=seam.part, meter=meter))
    meter.start()
    threading.Thread(target=_tell, args=(meter, folder), name="scale test probes", daemon=True).start()
    run()


if __name__ == "__main__":
    main()
