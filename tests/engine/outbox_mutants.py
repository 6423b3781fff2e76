"""Bugs for the outbox's state machine to find: `python -m tests.engine.outbox_mutants [EXAMPLES]`.

Each is planted in a copy of the source, on which the machine is run; what it says first goes into docs/outbox.md. Takes
some minutes, as a bug that is hard to reach takes many examples.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.figures import table, write_figures
from tests.programs import CHECKOUT

DOCUMENT: Final = CHECKOUT / "docs" / "outbox.md"
FIGURES: Final = "outbox mutants"
SOURCE: Final = CHECKOUT / "src"
EXAMPLES: Final = 400
STEPS: Final = 40
CONTROL: Final = 20
"""Examples of the source as it is."""


class Mutant(NamedTuple):
    """A bug: a part of a file that is there once, and what stands there instead."""

    planted: str
    file: str
    old: str
    new: str

    def plant(self, source: Path) -> None:
        """Change a copy of the source.

        Raises:
            ValueError: The source has changed, and the mutant has to follow.
        """
        path = source / "pushdesk" / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has this {text.count(self.old)} times; bring {self.planted!r} up to date.")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTANTS: Final = (
    Mutant(
        "a notification is acknowledged before it is committed",
        "engine/acceptance.py",
        "        return await accepted\n",
        "        accepted.set_result(None)\n        return await accepted\n",
    ),
    Mutant(
        "what was claimed when the server died stays claimed",
        "engine/outbox.py",
        "        await self._table.release_claims(self._in_flight.ids)\n        self._acceptance",
        "        self._acceptance",
    ),
    Mutant(
        "what starts at once is not claimed",
        "engine/spreader.py",
        "        claims = {job.delivery.id: self._in_flight.claim for job in starting}\n",
        "        claims: dict[str, str] = {}\n",
    ),
    Mutant(
        "two of a topic are under way at once",
        "engine/topics.py",
        "        if pair in self._under_way:\n            return False\n",
        "",
    ),
    Mutant(
        "what is to follow another of its topic never does",
        "engine/topics.py",
        "        return self._parked.pop(pair, None)\n",
        "        return None\n",
    ),
    Mutant(
        "of two of a topic, the one with the later id is the newer",
        "storage/ending.py",
        "        newer.c.precedence >= deliveries.c.precedence,\n"
        "        or_(newer.c.precedence > deliveries.c.precedence, newer.c.dispatch > deliveries.c.dispatch),\n",
        "        newer.c.dispatch > deliveries.c.dispatch,\n",
    ),
    Mutant(
        "what was superseded while it was under way is tried again",
        "storage/settling.py",
        "    if ended:\n        settlements",
        "    if False:\n        settlements",
    ),
    Mutant(
        "what is scheduled is as new as when it was accepted",
        "engine/topics.py",
        "        moment = (message.due_at_ms if is_for_later else message.accepted_at_ms) * 1000\n",
        "        moment = message.accepted_at_ms * 1000\n",
    ),
    Mutant(
        "after a restart, the order of a topic begins anew by the clock",
        "engine/outbox.py",
        "self._acceptance.take_up(await self._table.precedence())",
        "self._acceptance.take_up(0)",
    ),
    Mutant(
        "what is under way is not cancelled",
        "storage/ending.py",
        "        deliveries.c.dispatch == dispatch, deliveries.c.next_attempt_at.is_not(None)\n",
        "        deliveries.c.dispatch == dispatch,\n"
        "        deliveries.c.next_attempt_at.is_not(None),\n"
        "        deliveries.c.claim_id.is_(None),\n",
    ),
    Mutant(
        "what is cancelled before it is spread is still counted",
        "engine/outbox.py",
        "            self._stock.queued -= before.state in OPEN_STATES\n",
        "",
    ),
    Mutant(
        "only the message that was throttled waits, not its device",
        "engine/lane.py",
        "        self._held[subscription] = until\n",
        "",
    ),
    Mutant(
        "what waits expires a minute too soon",
        "storage/ending.py",
        "            dispatches.c.expires_at <= now_ms,\n",
        "            dispatches.c.expires_at <= now_ms + 60_000,\n",
    ),
    Mutant(
        "what waits expires a minute too late",
        "storage/ending.py",
        "            dispatches.c.expires_at <= now_ms,\n",
        "            dispatches.c.expires_at <= now_ms - 60_000,\n",
    ),
    Mutant(
        "a dispatch is done when its first delivery is",
        "storage/ending.py",
        "        ~_is_worked_on(),\n",
        "",
    ),
    Mutant(
        "a dispatch that ended as the server died is being sent for ever",
        "storage/outbox.py",
        "{row.dispatch for row in freed if row.next_attempt_at is None}",
        "set()",
    ),
    Mutant(
        "what was paused is sent to after a restart",
        "engine/outbox.py",
        "self._lanes.take_up(await self._lane_table.paused(),",
        "self._lanes.take_up({},",
    ),
    Mutant(
        "an idempotency key stands for whatever is asked with it",
        "engine/dispatcher.py",
        "first.body_digest != key.body_digest",
        "False",
    ),
)


def try_out(mutant: Mutant | None, examples: int) -> str:
    """Return what the machine says of a mutant first, or of the source as it is: nothing where it finds nothing.

    Raises:
        ValueError: The source has changed, and the mutant has to follow.
    """
    with TemporaryDirectory() as directory:
        source = Path(directory) / "src"
        shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            mutant.plant(source)
        run = [sys.executable, "-m", "tests.engine.outbox_machine", str(examples), str(STEPS)]
        environment = {"PYTHONPATH": f"{source}:{CHECKOUT}", "PYTHONDONTWRITEBYTECODE": "1", "HOME": directory}
        ended = subprocess.run(run, env=environment, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603 (ourselves)
    return "" if ended.returncode == 0 else _said(ended.stderr)


def _said(errors: str) -> str:
    """Return the last error: what it says, or where it was."""
    if "hypothesis.errors.Flaky" in errors:
        return "differently each time"
    *_, last = [line for line in errors.splitlines() if re.match(r"\w*(Error|Exception)", line.rpartition(".")[2])] or [
        errors
    ]
    message = last.partition(": ")[2].partition("\n")[0]
    rules = re.findall(r'outbox_machine\.py", line \d+, in (\w+)', errors)
    # The machine's own words begin small.
    return message if message.islower() else (rules[-1] if rules else last).replace("_", " ")


def main() -> None:
    """Plant all of them, and write what comes of it into the document."""
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
    if said := try_out(None, CONTROL):
        raise SystemExit(f"Without any bug: {said}")
    rows: list[tuple[object, ...]] = []
    for mutant in MUTANTS:
        rows.append((mutant.planted, try_out(mutant, examples) or "**not found**"))
        print(*rows[-1], sep=": ", flush=True)  # noqa: T201 (a program)
    write_figures(DOCUMENT, FIGURES, table(("planted", "found, as it broke"), rows))


if __name__ == "__main__":
    main()
