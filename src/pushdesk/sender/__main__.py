"""`python -m pushdesk.sender FD`, which the engine runs."""

from __future__ import annotations

from pushdesk.sender.program import main

if __name__ == "__main__":
    main()
