"""The console's tests; Textual reads its environment when it is imported, so it is settled here, before that."""

from __future__ import annotations

import os

for name in ("NO_COLOR", "TEXTUAL", "TEXTUAL_THEME", "TEXTUAL_FILTERS", "TEXTUAL_DRIVER", "COLORTERM", "TERM_PROGRAM"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["TERM"] = "xterm-256color"
