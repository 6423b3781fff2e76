from __future__ import annotations

import re
from typing import NoReturn

import pytest

from pushdesk.tracebacks import where


def fail(secret: str) -> NoReturn:
    raise KeyError(secret)


def fail_otherwise(secret: str) -> NoReturn:
    try:
        fail(secret)
    except KeyError:
        raise ValueError(secret) from None


def descend(levels: int) -> NoReturn:
    if levels == 0:
        raise ValueError
    descend(levels - 1)


def test_it_names_files_lines_and_functions_of_an_error_and_of_its_cause_and_no_values() -> None:
    with pytest.raises(ValueError, match="canary") as caught:
        fail_otherwise("canary")
    told = where(caught.value)
    here = r"test_tracebacks\.py:\d+ "
    assert re.fullmatch(
        rf"{here}test_it_names\w+ > {here}fail_otherwise < KeyError at {here}fail_otherwise > {here}fail", told
    )


def test_it_stays_short() -> None:
    with pytest.raises(ValueError, match=r"^$") as caught:
        descend(50)
    assert where(caught.value).count(" descend") == 6


def test_causes_that_go_round_end() -> None:
    one, other = ValueError(), KeyError()
    one.__context__, other.__context__ = other, one
    assert where(one).count(" < ") == 7


def test_an_error_that_was_never_raised_comes_from_nowhere() -> None:
    assert where(ValueError("canary")) == ""
