"""`python -m pushdesk`."""

from __future__ import annotations

from pushdesk.cli.app import main

if __name__ == "__main__":
    main()
