"""A self-hosted Web Push server with an operator's console in the terminal."""

from __future__ import annotations

__version__ = "0.1.0"
