"""`pushdesk enroll` and `pushdesk users` in a real terminal: the QR code, and what is typed to confirm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import segno

from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run
from tests.terminal.pseudo import Terminal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pty

LIGHT = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
"""Which of the two modules in a cell are light: those that a block fills."""
QUIET_ZONE = 4


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


def modules(terminal: Terminal) -> list[list[int]]:
    """Read the QR code on the screen; 1 is dark."""
    rows: list[list[int]] = []
    for number, line in enumerate(terminal._screen.display):
        drawn = line.rstrip()
        if not drawn or set(drawn) - set(LIGHT):
            continue
        pairs = [LIGHT[cell] for cell in drawn]
        rows += [[1 - upper for upper, _ in pairs], [1 - lower for _, lower in pairs]]
        cells = [terminal._screen.buffer[number][column] for column in range(len(drawn))]
        assert {(cell.fg, cell.bg) for cell in cells} == {("ffffff", "000000")}
    return rows


async def test_a_terminal_is_shown_the_qr_code_of_the_link(environment: dict[str, str]) -> None:
    async with Terminal(*PUSHDESK, "enroll", "ada", env=environment) as terminal:
        assert await terminal.end(within_s=30) == EXIT_DONE
        link = next(line.split()[1] for line in terminal.text.splitlines() if line.startswith("link "))
        shown = modules(terminal)
    wanted = [[int(module) for module in row] for row in segno.make_qr(link).matrix_iter(border=QUIET_ZONE)]
    assert shown[: len(wanted)] == wanted


@pytest.mark.parametrize(
    ("more", "arguments"),
    [({"LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}, []), ({"COLUMNS": "30"}, []), ({}, ["--json"])],
)
async def test_where_no_qr_code_has_room_there_is_none(
    more: dict[str, str], arguments: list[str], environment: dict[str, str]
) -> None:
    async with Terminal(*PUSHDESK, "enroll", "ada", *arguments, env=environment | more) as terminal:
        assert await terminal.end(within_s=30) == EXIT_DONE
        assert modules(terminal) == []
        assert "/enroll#" in terminal.text


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [("ada\r", EXIT_DONE, False), ("Ada\r", EXIT_USAGE, True), ("\r", EXIT_USAGE, True), ("\x04", EXIT_USAGE, True)],
)
async def test_a_user_is_removed_when_their_name_is_typed(
    typed: str,
    code: int,
    left: bool,  # noqa: FBT001 (a column of the table)
    environment: dict[str, str],
) -> None:
    await run(*PUSHDESK, "enroll", "ada", env=environment)
    async with Terminal(*PUSHDESK, "users", "remove", "ada", env=environment) as terminal:
        await terminal.shows("type ada to confirm:")
        terminal.press(typed)
        assert await terminal.end(within_s=30) == code
    again = await run(*PUSHDESK, "users", "remove", "ada", "--yes", env=environment)
    assert again.code == (EXIT_DONE if left else EXIT_NO)


async def test_ctrl_c_removes_nobody(environment: dict[str, str]) -> None:
    await run(*PUSHDESK, "enroll", "ada", env=environment)
    async with Terminal(*PUSHDESK, "users", "remove", "ada", env=environment) as terminal:
        await terminal.shows("type ada to confirm:")
        terminal.press("\x03")
        assert await terminal.end(within_s=10) == EXIT_INTERRUPTED
    assert (await run(*PUSHDESK, "users", "remove", "ada", "--yes", env=environment)).code == EXIT_DONE
