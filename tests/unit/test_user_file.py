"""A file of users: what is kept of it, and what is wrong with it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.user_file import UserFile

if TYPE_CHECKING:
    from pathlib import Path


async def users_of(file: UserFile) -> list[str]:
    return [user async for user in file.users()]


def written(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "users.txt"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("content", "users"),
    [
        (b"", []),
        (b"anna\nbert\n", ["anna", "bert"]),
        (b"anna\r\n\r\n\nbert", ["anna", "bert"]),
        ("\ufeffZoë\na b\n".encode(), ["Zoë", "a b"]),
        (b"anna\nanna\n", ["anna", "anna"]),
    ],
)
async def test_users_are_read_as_often_as_they_are_wanted(tmp_path: Path, content: bytes, users: list[str]) -> None:
    with UserFile.read(written(tmp_path, content)) as file:
        assert await users_of(file) == users
        assert await users_of(file) == users
        assert (file.number, file.bad.count) == (len(users), 0)


async def test_what_is_read_is_what_it_was_then(tmp_path: Path) -> None:
    name = written(tmp_path, b"anna\n")
    with UserFile.read(name) as file:
        written(tmp_path, b"bert\n")
        assert await users_of(file) == ["anna"]


async def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"anna\nbert\n")))
    with UserFile.read("-") as file:
        assert await users_of(file) == ["anna", "bert"]


async def test_bad_lines_are_named_and_the_others_kept(tmp_path: Path) -> None:
    with UserFile.read(written(tmp_path, b"anna\na/b\n\n\xff\nbert\nme\n")) as file:
        assert await users_of(file) == ["anna", "bert"]
        with pytest.raises(PushdeskError) as caught:
            file.bad.check(hint="Do this.")
    assert (caught.value.code, caught.value.fields) == ("bad_field", ("line 2", "line 4", "line 6"))
    assert "line 4: It is not UTF-8." in caught.value.detail
    assert caught.value.hint == "Do this."


@pytest.mark.parametrize(
    ("content", "most"), [(b"a\nb\nc\nd\n", 3), (b"\n\n\n\n", 3), (b"a" * 70_000, 100)], ids=["many", "empty", "long"]
)
def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, content: bytes, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.user_file.MOST_USERS", most)
    with pytest.raises(PushdeskError) as caught:
        UserFile.read(written(tmp_path, content))
    assert caught.value.code == "too_large"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PushdeskError) as caught:
        UserFile.read(str(tmp_path / "none.txt"))
    assert (caught.value.code, caught.value.fields) == ("bad_field", ("users",))
    assert "none.txt cannot be read: No such file" in caught.value.detail
