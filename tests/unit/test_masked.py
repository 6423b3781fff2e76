"""What holds secrets shows them neither in its repr nor to Rich."""

from __future__ import annotations

import importlib
import io
import pkgutil
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.console import Console

import pushdesk
from pushdesk.masked import Masked
from pushdesk.webpush.push_answer import PushAnswer
from pushdesk.webpush.request import PushRequest

if TYPE_CHECKING:
    from collections.abc import Iterator


def structs(of: type[Struct] = Struct) -> Iterator[type[Struct]]:
    for each in of.__subclasses__():
        yield each
        yield from structs(each)


def test_every_struct_with_a_repr_of_its_own_is_masked() -> None:
    for module in pkgutil.walk_packages(pushdesk.__path__, "pushdesk."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    own = {each for each in structs() if each.__module__.startswith("pushdesk.") and "__repr__" in vars(each)}
    assert {PushAnswer, PushRequest} < own
    assert {each for each in own if not issubclass(each, Masked)} == set()


def test_rich_is_told_nothing() -> None:
    painted = io.StringIO()
    console = Console(file=painted, width=200)
    console.print([PushRequest("https://push.example/secret", {"Authorization": "secret"}, b"secret")])
    console.print([PushAnswer(201, {"Location": "secret"}, b"secret", 0.1)])
    assert painted.getvalue() == "[PushRequest()]\n[PushAnswer()]\n"
