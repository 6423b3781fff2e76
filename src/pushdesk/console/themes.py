"""The two themes of the console's own; Textual's others can be chosen in the palette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.filter import Monochrome, NoColor
from textual.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.filter import LineFilter

DARK: Final = Theme(
    name="pushdesk-dark",
    primary="#6cb6ff",
    secondary="#8ba4c7",
    accent="#f0b35b",
    success="#7bc77e",
    warning="#e8b04a",
    error="#f0706a",
    foreground="#d6dde6",
    background="#0f1419",
    surface="#151b22",
    panel="#1c242d",
    variables={"footer-key-foreground": "#f0b35b", "border-blurred": "#2b3642"},
)
LIGHT: Final = Theme(
    name="pushdesk-light",
    primary="#0b63b5",
    secondary="#4a6484",
    accent="#8f5400",
    success="#1a7f37",
    warning="#8a5a00",
    error="#b3202a",
    foreground="#1f2630",
    background="#fafbfc",
    surface="#f1f3f6",
    panel="#e4e8ee",
    dark=False,
    variables={"footer-key-foreground": "#8f5400", "border-blurred": "#c9d1db"},
)
NO_COLOR: Final = NoColor()


def filters_in(filters: Sequence[LineFilter], *, ansi: bool) -> list[LineFilter]:
    """Return the filters by which colours are changed before they are painted.

    Without colours there are shades of grey, but in a terminal's own sixteen, whose shades nobody knows: all of them
    would be black. Textual chooses between the two before the theme is known.
    """
    return [NO_COLOR if ansi and isinstance(each, Monochrome) else each for each in filters]
