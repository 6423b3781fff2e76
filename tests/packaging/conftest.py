"""Environments with nothing in them, and how packages are fetched into them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.programs import bare_environment


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Make an environment with nothing in it but a Python, git, and how this machine reaches packages."""
    home = tmp_path / "home"
    home.mkdir()
    fetching = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy") or name == "SSL_CERT_FILE"
    }
    # pip's own cache only spares the network; what is installed is the same.
    fetching.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    # A checkout that belongs to somebody else, as in a container, is to be cloned all the same.
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return bare_environment(home) | fetching | git | {"PATH": f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"}
