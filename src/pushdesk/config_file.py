"""The configuration file: TOML that is read whole and refused by file, line and nearest valid name."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pushdesk.errors import StartUpError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ConfigFile(Struct, frozen=True):
    """A file that was read; an absent one reads as empty."""

    path: Path
    source: str = ""
    tables: dict[str, dict[str, Any]] = {}

    def refuse_unknown(self, known: Mapping[str, Sequence[str] | None]) -> None:
        """Refuse tables and keys that mean nothing.

        Args:
            known: The keys of every table; None for a table that takes any.

        Raises:
            StartUpError: Names file, line and nearest valid name.
        """
        for table, content in self.tables.items():
            if table not in known:
                raise self.error(table, problem="is no table of pushdesk's.", hint=nearest(table, list(known)))
            if not isinstance(content, dict):
                raise self.error(table, problem="is a table, not a value.", hint=f"Write [{table}].")
            keys = known[table]
            for key in content:
                if keys is not None and key not in keys:
                    raise self.error(table, key, problem="is no setting of pushdesk's.", hint=nearest(key, keys))

    def error(self, table: str, key: str | None = None, *, problem: str, hint: str = "") -> StartUpError:
        """Make the error for a table or one of its keys: a sentence that begins with where it stands."""
        line = self._line_of(table, key)
        where = f"{self.path}, line {line}" if line else str(self.path)
        what = f"`{key}` in [{table}]" if key else f"[{table}]"
        return StartUpError(f"{where}: {what} {problem}", hint=hint)

    def _line_of(self, table: str, key: str | None) -> int | None:
        """Find the line of a table or key, which tomllib does not tell; None for spellings too clever to be found."""
        header = re.compile(rf"\s*\[+\s*[\"']?{re.escape(table)}[\"']?\s*[\].]")
        direct = re.compile(rf"\s*[\"']?{re.escape(table)}[\"']?\s*[.=]")
        entry = re.compile(rf"\s*[\"']?{re.escape(key or '')}[\"']?\s*[.=]")
        inside, found = False, None
        for number, line in enumerate(self.source.splitlines(), 1):
            if line.lstrip().startswith("["):
                inside = header.match(line) is not None
                if inside and found is None:
                    found = number
            elif key and inside and entry.match(line):
                return number
            elif found is None and direct.match(line):
                found = number
        return found


def read_config_file(path: Path, *, must_exist: bool) -> ConfigFile:
    """Read a file.

    Raises:
        StartUpError: It cannot be read or is not TOML, or it is absent and `must_exist`.
    """
    try:
        source = path.read_text(encoding="utf-8")
        return ConfigFile(path, source, tomllib.loads(source))
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise StartUpError(f"The configuration file {path} does not exist.") from None
        return ConfigFile(path)
    except OSError as error:
        raise StartUpError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StartUpError(f"The configuration file {path} is not UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise StartUpError(f"The configuration file {path} is not TOML: {error}.") from None


def nearest(word: str, known: Sequence[str]) -> str:
    """Say which valid name was probably meant."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
