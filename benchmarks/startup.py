"""How long commands take until they are there: `python -m benchmarks.startup [ROUNDS]`.

`pushdesk --version`, `pushdesk send` through a server that runs, `pushdesk serve` until it listens, and the console
with the server in it until its first paint in a terminal: each from the start of its process, by a bare
`python -c pass`, in turns within one run, the median of the rounds. Beside the time the CPU that it took by then. Then
what each imports: time by package as `python -X importtime` has it, each module's own, summed up; which slows all of
it down alike.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.processes import family_cpu_s, load_average
from tests.programs import bare_environment, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROUNDS: Final = 7
TOKEN: Final = "t" * 32
SHOWN: Final = 6
"""Packages that are named for each command."""
BARE: Final = "python -c pass"
LISTENING: Final = b"listening on"
PAINTED: Final = b"Overview"
"""A word of the console's first screen."""
STUCK_S: Final = 60.0


class Cost(NamedTuple):
    """What a start cost."""

    seconds: float
    cpu_s: float


class Command(NamedTuple):
    """A command, and how it is known that it is there: it has ended, or has said something."""

    arguments: Sequence[str]
    says: bytes = b""
    on_terminal: bool = False


def start(python: Sequence[str], command: Command, environment: Mapping[str, str], folder: Path) -> tuple[Cost, str]:
    """Start a command until it is there, then end it; returns also what it wrote on stderr."""
    errors = folder / "stderr"
    ours, theirs = pty.openpty() if command.on_terminal else os.pipe()
    if command.on_terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    used_s, began_s = os.times(), time.perf_counter()
    with errors.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 (our own programs)
            (*python, *command.arguments),
            env=environment,
            stdin=theirs if command.on_terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs if command.on_terminal else said,
            start_new_session=True,
        )
    os.close(theirs)
    try:
        if not command.says:
            process.wait(STUCK_S)
            seconds, now = time.perf_counter() - began_s, os.times()
            cpu_s = now.children_user + now.children_system - used_s.children_user - used_s.children_system
        else:
            wait_for(command.says, ours)
            seconds, cpu_s = time.perf_counter() - began_s, family_cpu_s(process.pid)
    finally:
        end(process, ours)
    return Cost(seconds, cpu_s), errors.read_text(encoding="utf-8")


def wait_for(text: bytes, ours: int) -> None:
    """Read until a text has come."""
    came = b""
    while text not in came:
        readable, _, _ = select.select([ours], [], [], STUCK_S)
        assert readable, "it says nothing"
        more = os.read(ours, 65536)
        assert more, "it ended before it was there"
        came += more


def end(process: subprocess.Popen[bytes], ours: int) -> None:
    """End a process, reading what it still says, and close its output."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    deadline_s = time.monotonic() + STUCK_S
    while process.poll() is None:
        if time.monotonic() > deadline_s:
            process.kill()
        if select.select([ours], [], [], 0.05)[0]:
            with suppress(OSError):
                os.read(ours, 65536)
    os.close(ours)


def imports(said: str) -> dict[str, float]:
    """Return the seconds that each package's modules took by themselves."""
    found: dict[str, float] = defaultdict(float)
    for line in said.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and own.strip().isdecimal():
            package = rest.rpartition("|")[2].strip().partition(".")[0]
            found["Python's own" if package.lstrip("_") in STDLIB else package] += int(own) / 1e6
    return found


STDLIB: Final = frozenset(name.lstrip("_") for name in sys.stdlib_module_names) | {"encodings", "site"}


def measure(rounds: int, url: str, folder: Path) -> tuple[dict[str, list[Cost]], dict[str, list[dict[str, float]]]]:
    """Return by command what its starts cost, and what it imported; the console writes that where nobody sees it."""
    environment = bare_environment(folder, PUSHDESK_TOKEN=TOKEN, TERM="xterm-256color")
    here = ("--port", "0", "--data-dir", str(folder / "data"))
    commands = {
        BARE: Command(("-c", "pass")),
        "pushdesk --version": Command(("-m", "pushdesk", "--version")),
        "pushdesk send": Command(("-m", "pushdesk", "send", "ada", "Hello", "--server", url)),
        "pushdesk serve": Command(("-m", "pushdesk", "serve", *here), LISTENING),
        "pushdesk": Command(("-m", "pushdesk", *here), PAINTED, on_terminal=True),
    }
    costs: dict[str, list[Cost]] = defaultdict(list)
    imported: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(-1, rounds):
        for name, command in commands.items():
            cost, _ = start((sys.executable,), command, environment, folder)
            if number >= 0:
                # The first round makes the data directory, and compiles what is not.
                costs[name].append(cost)
                if not command.on_terminal:
                    _, said = start((sys.executable, "-X", "importtime"), command, environment, folder)
                    imported[name].append(imports(said))
    return costs, imported


def rows(costs: Mapping[str, list[Cost]], imported: Mapping[str, list[dict[str, float]]]) -> list[str]:
    lines = ["| | ms | by a bare Python | ms of CPU | by a bare Python |", "| --- | --: | --: | --: | --: |"]
    for name, all_of in costs.items():
        cells = []
        for pick in BY_TIME, BY_CPU:
            of_bare = median(map(pick, costs[BARE]))
            cells += [f"{1000 * median(map(pick, all_of)):.0f}", f"{median(map(pick, all_of)) / of_bare:.1f}"]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", "| | modules' own import time, ms | of which |", "| --- | --: | --- |"]
    for name, all_imported in imported.items():
        by_package = {
            package: median(each.get(package, 0.0) for each in all_imported) for package in set().union(*all_imported)
        }
        largest = sorted(by_package.items(), key=lambda item: -item[1])[:SHOWN]
        total_s = median(sum(each.values()) for each in all_imported)
        named = ", ".join(f"{package} {1000 * seconds:.0f}" for package, seconds in largest if seconds >= 0.0005)
        lines.append(f"| `{name}` | {1000 * total_s:.0f} | {named} |")
    return lines


BY_TIME: Final[Callable[[Cost], float]] = lambda cost: cost.seconds  # noqa: E731
BY_CPU: Final[Callable[[Cost], float]] = lambda cost: cost.cpu_s  # noqa: E731


async def run(rounds: int) -> list[str]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = bare_environment(folder, PUSHDESK_ADMIN_TOKEN=TOKEN)
        async with serving("--port", "0", "--data-dir", str(folder / "other"), env=environment) as server:
            return rows(*await asyncio.to_thread(measure, rounds, server.url, folder))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    before = load_average()
    print("\n".join(asyncio.run(run(rounds))))
    print(f"\n{rounds} rounds; load average {before:.2f} before, {load_average():.2f} after.")


if __name__ == "__main__":
    main()
