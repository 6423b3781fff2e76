"""Prints how fast pushdesk is into docs/performance.md: `scripts/performance-report [PART…] [-- ARGUMENT…]`.

Each part is a program of its own, `python -m benchmarks.PART`, that prints Markdown; what it tells on stderr is shown
as it comes, and what is said after `--` is said to it. One that fails, or takes too long, leaves the document as it
was, and the others their turn. The scale test is a command of pushdesk itself, and prints text.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.backends.openssl import backend

from benchmarks.processes import load_average
from tests.figures import write_figures
from tests.programs import CHECKOUT, PUSHDESK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DOCUMENT: Final = CHECKOUT / "docs" / "performance.md"
PICTURE: Final = CHECKOUT / "docs" / "scaletest.svg"
LIMIT_S: Final = 3600.0
"""After which a part is taken for one that will not end."""
SCALETEST: Final = "scaletest"
PARTS: Final = (
    "startup",
    "encryption",
    "transport",
    "statements",
    "accept",
    "senders",
    "libraries",
    SCALETEST,
    "growth",
    "latency",
)
"""In the order of the document."""


class PartFailedError(Exception):
    """A part did not come to its end."""


def command(part: str) -> tuple[str, ...]:
    """Return the program of a part."""
    if part == SCALETEST:
        return (*PUSHDESK, SCALETEST, "--conversations", "5000", "--turns", "10", "--baseline", "--svg", str(PICTURE))
    return (sys.executable, "-m", f"benchmarks.{part}")


def printed(program: Sequence[str], *, limit_s: float) -> str:
    """Run a program to its end and return what it printed; nothing that it began, and no file, is left behind.

    Raises:
        PartFailedError: It failed, printed nothing, or went on for longer than it may.
    """
    with (
        TemporaryDirectory(prefix="pushdesk-report-") as folder,
        subprocess.Popen(  # noqa: S603 - the programs are those above
            program,
            cwd=CHECKOUT,
            env={**os.environ, "TMPDIR": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            out, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise PartFailedError(f"it went on for {limit_s:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise PartFailedError(f"it ended with {process.returncode}")
    if not out.strip():
        raise PartFailedError("it printed nothing")
    return out.strip()


def machine() -> str:
    """Return what the figures are measured on, and what else it does."""
    for_tls, for_keys = (words.split()[1] for words in (ssl.OPENSSL_VERSION, backend.openssl_version_text()))
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, OpenSSL {for_tls} for TLS, {for_keys} for keys; "
        f"load average before: {load_average():.2f}."
    )


def in_markdown(part: str, out: str) -> str:
    """Return what a part printed as it stands in the document."""
    if part == SCALETEST:
        return f"![What the scale test took]({PICTURE.name})\n\n```\n{out}\n```"
    return out


def measure(part: str, document: Path, *, program: Sequence[str], limit_s: float) -> None:
    """Measure a part, and write what comes of it into the document.

    Raises:
        PartFailedError: It did not come to its end; the document is as it was.
    """
    measured_on, began_s = machine(), time.monotonic()
    figures = printed(program, limit_s=limit_s)
    write_figures(document, part, f"{measured_on}\n\n{in_markdown(part, figures)}")
    sys.stderr.write(f"{part}: measured in {time.monotonic() - began_s:.0f} s\n")


def main() -> None:
    """Measure what was asked for; ends with 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    arguments = sys.argv[1:]
    place = arguments.index("--") if "--" in arguments else len(arguments)
    asked = parser.parse_args(arguments[:place]).parts
    if unknown := [part for part in asked if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    failed = []
    for part in asked or PARTS:
        sys.stderr.write(f"{part}: begun\n")
        try:
            measure(part, DOCUMENT, program=(*command(part), *arguments[place + 1 :]), limit_s=LIMIT_S)
        except PartFailedError as failure:
            failed.append(f"{part}: {failure}; the document has what it had.")
            sys.stderr.write(f"{failed[-1]}\n")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
