"""The sizes of terminals that pictures are taken at."""

from __future__ import annotations

import pytest

SMALL = pytest.param((80, 24), id="80x24")
USUAL = pytest.param((120, 40), id="120x40")
LARGE = pytest.param((200, 60), id="200x60")
each_size = pytest.mark.parametrize("size", [SMALL, USUAL])
every_size = pytest.mark.parametrize("size", [SMALL, USUAL, LARGE])
smallest_size = pytest.mark.parametrize("size", [SMALL])
"""For what another picture of both sizes is made of, but for a few words."""
