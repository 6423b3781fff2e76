"""The ids of bindings: which there are, and that the documented ones are among them."""

from __future__ import annotations

import re

from pushdesk.cli.keymap import binding_ids
from tests.programs import CHECKOUT


def test_every_documented_binding_exists() -> None:
    document = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    listed = document.partition("`[keymap]` maps")[2].partition("nearest")[0]
    documented = set(re.findall(r"`([a-z]+\.[a-z_]+)`", listed))
    assert len(documented) > 10
    assert documented <= set(binding_ids())
