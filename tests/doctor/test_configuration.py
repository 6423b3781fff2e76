"""The configuration: what cannot be read, who may change it, whom it lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.config import load
from pushdesk.doctor.configuration import judge_allowed, judge_error, judge_mode, judge_sites
from pushdesk.doctor.examination import examine
from pushdesk.doctor.findings import Check, Level
from pushdesk.errors import StartUpError
from tests.doctor.surroundings import circumstances

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pushdesk.toml"
    path.write_text("[server]\nport = 8484\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_file_that_can_be_read_is_ok_and_so_is_none(file: Path) -> None:
    assert judge_error(None, file).level is Level.OK
    file.unlink()
    assert judge_error(None, file).level is Level.OK


def test_an_error_names_file_line_and_advice(file: Path) -> None:
    file.write_text("[server]\n\nprot = 1\n", encoding="utf-8")
    with pytest.raises(StartUpError) as error:
        load({}, {}, default_data_dir=file.parent)
    finding = judge_error(error.value, file)
    assert finding.level is Level.BROKEN
    assert finding.what.startswith(f"{file}, line 3:")
    assert finding.advice == "Did you mean `port`?"


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, Level.OK), (0o644, Level.OK), (0o664, Level.BROKEN), (0o602, Level.BROKEN)]
)
def test_who_else_may_change_it_is_said(file: Path, mode: int, level: Level) -> None:
    file.chmod(mode)
    (finding,) = judge_mode(file)
    assert finding.level is level


def test_one_with_a_key_in_it_may_not_be_read_by_others_either(file: Path) -> None:
    file.write_text('[summary]\napi_key = "sk-secret"\n', encoding="utf-8")
    assert judge_mode(file)[0].level is Level.OK
    file.chmod(0o640)
    (finding,) = judge_mode(file)
    assert finding.level is Level.BROKEN
    assert "sk-secret" not in str(finding)


def test_of_one_that_is_not_there_nothing_is_said(tmp_path: Path) -> None:
    assert judge_mode(tmp_path / "pushdesk.toml") == []


@pytest.mark.parametrize(
    ("origins", "is_for_others", "levels"),
    [
        ((), True, []),
        (("http://127.0.0.1:8485",), False, [Level.OK]),
        (("http://127.0.0.1:8485",), True, [Level.WARNING]),
        (("https://10.0.0.5",), True, [Level.WARNING]),
        (("https://[::1]:8485",), True, [Level.WARNING]),
        (("https://autopush.internal",), True, [Level.WARNING]),
        (("http://push.example.com",), True, [Level.WARNING]),
        (("http://push.example.com",), False, [Level.WARNING]),
        (("https://push.example.com",), True, [Level.OK]),
    ],
)
def test_what_strangers_could_have_this_server_post_to_is_said(
    origins: tuple[str, ...], levels: list[Level], *, is_for_others: bool
) -> None:
    assert [finding.level for finding in judge_allowed(origins, is_for_others=is_for_others)] == levels


@pytest.mark.parametrize(
    ("origins", "levels"),
    [
        ((), []),
        (("https://shop.example.com", "http://localhost:3000"), [Level.OK]),
        (("http://shop.example.com",), [Level.WARNING]),
    ],
)
def test_sites_on_which_no_browser_subscribes_are_said(origins: tuple[str, ...], levels: list[Level]) -> None:
    assert [finding.level for finding in judge_sites(origins)] == levels


ON = "[experiments]\nturn-summaries = true\n"
SAID = '[summary]\nbase_url = "http://localhost:11434/v1"\n'


@pytest.mark.parametrize(
    ("written", "flags", "levels"),
    [
        ("", {}, []),
        (ON, {}, [Level.WARNING]),
        (ON + SAID, {}, [Level.OK]),
        (SAID, {}, []),
        ("", {"--dev": True}, []),
    ],
    ids=["off", "nobody is named", "somebody is named", "off, and somebody is named", "somebody develops"],
)
async def test_summaries_that_nobody_writes_are_said(
    file: Path, written: str, flags: dict[str, object], levels: list[Level]
) -> None:
    file.write_text(written, encoding="utf-8")
    config = load(flags, {}, default_data_dir=file.parent)
    findings = [
        each for each in await examine(circumstances(file.parent, config=config)) if each.check is Check.SUMMARIES
    ]
    assert [each.level for each in findings] == levels
    if levels == [Level.WARNING]:
        assert "[summary] base_url" in findings[0].advice
