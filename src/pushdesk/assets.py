"""Where the files are that browsers receive."""

from __future__ import annotations

from pathlib import Path


def assets_directory() -> Path:
    """Return the directory of the page, the worker and the client library.

    An installed package carries them within; a checkout has them at its top.
    """
    here = Path(__file__).resolve().parent
    packaged = here / "assets"
    return packaged if packaged.is_dir() else here.parents[1] / "assets"
