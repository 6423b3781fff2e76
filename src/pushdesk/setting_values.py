"""What the values of settings look like: each reader takes what was written and returns what it means.

A value comes from TOML with its type, or from a variable or a flag as text; a reader takes both. It raises
`ValueError` with the end of a sentence that begins with the setting's name.
"""

from __future__ import annotations

import difflib
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Reader: TypeAlias = "Callable[[object], object]"

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES: Final = {"MB": 10**6, "GB": 10**9}
ANY: Final = "*"
"""Stands for every origin, where that is allowed."""
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
THEMES: Final = (
    *("pushdesk-dark", "pushdesk-light", "textual-dark", "textual-light", "ansi-dark", "ansi-light"),
    *("atom-one-dark", "atom-one-light", "dracula", "flexoki", "gruvbox", "monokai", "nord", "tokyo-night"),
    *("catppuccin-mocha", "catppuccin-latte", "catppuccin-frappe", "catppuccin-macchiato"),
    *("rose-pine", "rose-pine-moon", "rose-pine-dawn", "solarized-dark", "solarized-light"),
)
"""The console's themes, two of its own and Textual's: named here so that a server needs no Textual to read them."""

_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text(value: object) -> str:
    """Read a text that is not empty and holds no control characters."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("must be a text in UTF-8 without control characters")
    return value


def switch(value: object) -> bool:
    """Read true or false; as text also yes, no, 1 and 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise ValueError("must be true or false")


def whole(lowest: int, highest: int) -> Callable[[object], int]:
    """Make a reader of whole numbers between two bounds, both allowed."""

    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return value

    return read


def duration(lowest_s: int, highest_s: int) -> Callable[[object], int]:
    """Make a reader of durations (`90s`, `3m`, `24h`, `7d`) that returns seconds, between two bounds, both allowed.

    No time at all may be written 0.
    """

    def read(value: object) -> int:
        is_zero = value in ("0", 0) and value is not False
        seconds = 0 if is_zero else _measured(value, SECONDS)
        if seconds is None or not lowest_s <= seconds <= highest_s:
            bounds = f"from {_in_units(lowest_s or 1, SECONDS)} to {_in_units(highest_s, SECONDS)}"
            raise ValueError(f"must be {'' if lowest_s else '0 or '}a duration {bounds}, with its unit")
        return seconds

    return read


def size(lowest: int, highest: int) -> Callable[[object], int]:
    """Make a reader of sizes (`40MB`, `2GB`) that returns bytes, between two bounds, both allowed.

    Nothing at all may be written 0.
    """

    def read(value: object) -> int:
        is_zero = value in ("0", 0) and value is not False
        number = 0 if is_zero else _measured(value, BYTES)
        if number is None or not lowest <= number <= highest:
            bounds = f"from {_in_units(lowest or BYTES['MB'], BYTES)} to {_in_units(highest, BYTES)}"
            raise ValueError(f"must be {'' if lowest else '0 or '}a size {bounds}, with its unit")
        return number

    return read


def _measured(value: object, units: Mapping[str, int]) -> int | None:
    """Return what a whole number with a unit comes to; None for anything else."""
    match = re.fullmatch(rf"(\d{{1,9}})({'|'.join(units)})", value, re.ASCII) if isinstance(value, str) else None
    return int(match[1]) * units[match[2]] if match else None


def _in_units(number: int, units: Mapping[str, int]) -> str:
    """Write a number with the largest unit that divides it into more than one, as people do: 24h, 60s."""
    smallest, *larger = units
    unit = [smallest, *(unit for unit in larger if number % units[unit] == 0 and number > units[unit])][-1]
    return f"{number // units[unit]}{unit}"


def choice(*words: str) -> Callable[[object], str]:
    """Make a reader of one word out of several."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


def theme(value: object) -> str:
    """Read the name of a theme."""
    if value not in THEMES:
        nearest = difflib.get_close_matches(str(value)[:100], THEMES, n=1, cutoff=0)
        raise ValueError(f"must be the name of a theme; the nearest is {nearest[0]}")
    return str(value)


def origin(value: object) -> str:
    """Read an origin, `http(s)://HOST[:PORT]` (RFC 6454 section 6.2), and return it without its default port."""
    wanted = "must be an origin such as https://push.example.com or http://127.0.0.1:8485"
    try:
        parts = urlsplit(text(value))
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    host = parts.hostname or ""
    extras = (parts.username, parts.password, parts.query, parts.fragment, parts.path.strip("/"))
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[0-9a-z.:_-]+", host) or any(extras) or port == 0:
        raise ValueError(wanted)
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        authority += f":{port}"
    return f"{parts.scheme}://{authority}"


def web_address(value: object) -> str:
    """Read a web address that more is appended to: an origin, and the beginning of a path."""
    wanted = "must be a web address such as https://api.example.com/v1"
    try:
        scheme, _, rest = text(value).partition("://")
        authority, slash, path = rest.partition("/")
        start = origin(f"{scheme}://{authority}")
    except ValueError:
        raise ValueError(wanted) from None
    if not re.fullmatch(r"[\w.~:@!$&'()*+,;=%/-]*", path, re.ASCII):
        raise ValueError(wanted)
    return f"{start}{slash}{path}".rstrip("/")


def credential(value: object) -> str:
    """Read what is sent in a header to be let in."""
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,8192}", value):
        raise ValueError("must be one line of visible ASCII characters")
    return value


def origins(value: object) -> tuple[str, ...]:
    """Read a list of origins, in a variable separated by commas."""
    return tuple(dict.fromkeys(origin(item) for item in _items(value)))


def origins_or_any(value: object) -> tuple[str, ...]:
    """Read a list of origins, in which `*` stands for every one."""
    return tuple(dict.fromkeys(ANY if item == ANY else origin(item) for item in _items(value)))


def _items(value: object) -> Sequence[object]:
    """Return what is in a list, which in a variable is separated by commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, (list, tuple)) else [value]


def networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read a list of networks, `10.0.0.0/8`, or single addresses."""
    found = []
    for item in _items(value):
        try:
            found.append(ip_network(text(item)))
        except ValueError:
            raise ValueError("must be a network such as 10.0.0.0/8 or fd00::/8, or an address") from None
    return tuple(dict.fromkeys(found))
