from __future__ import annotations

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.user_id import check_user


@pytest.mark.parametrize("user", ["a", "a" * 128, "ünï🐝", "Me", "..", " ", "a@b", "<b>[x]"])
def test_an_id_is_taken_as_it_is(user: str) -> None:
    assert check_user(user) == user


@pytest.mark.parametrize("user", ["", "a" * 129, "a\nb", "\x00", "\x7f", "\x85", "\ud800", "a/b", "me", "e\u0301"])
def test_what_cannot_be_an_id_is_refused_without_being_repeated(user: str) -> None:
    with pytest.raises(PushdeskError) as refused:
        check_user(user)
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("user",))
    assert refused.value.detail.startswith("A user's id ")
