"""What a person would call the browser behind a user agent: good enough for a list, relied on by nothing."""

from __future__ import annotations

import re
from typing import Final

# The first that matches wins: Edge and Opera name Chrome too, Chrome names Safari, an iPhone's Firefox names Safari.
BROWSERS: Final = (
    (re.compile(r"\bEdg(?:A|iOS)?/"), "Edge"),
    (re.compile(r"\b(?:OPR|Opera)/"), "Opera"),
    (re.compile(r"\bSamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"\b(?:Firefox|FxiOS)/"), "Firefox"),
    (re.compile(r"\b(?:Chrome|CriOS|Chromium|HeadlessChrome)/"), "Chrome"),
    (re.compile(r"\bSafari/|\bAppleWebKit/"), "Safari"),
)
PLATFORMS: Final = (
    (re.compile(r"\biPhone\b"), "iPhone"),
    (re.compile(r"\biPad\b"), "iPad"),
    (re.compile(r"\bAndroid\b"), "Android"),
    (re.compile(r"\bWindows\b"), "Windows"),
    (re.compile(r"\bMac OS X\b|\bMacintosh\b"), "macOS"),
    (re.compile(r"\bCrOS\b"), "ChromeOS"),
    (re.compile(r"\bLinux\b|\bX11\b"), "Linux"),
)
UNKNOWN: Final = "unknown"


def describe(user_agent: str) -> tuple[str, str]:
    """Return the browser and the platform, each `unknown` where the user agent does not say."""
    browser = next((name for pattern, name in BROWSERS if pattern.search(user_agent)), UNKNOWN)
    platform = next((name for pattern, name in PLATFORMS if pattern.search(user_agent)), UNKNOWN)
    return browser, platform
