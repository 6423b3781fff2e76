from __future__ import annotations

import pytest

from tests.browser.presence import required


def test_an_absent_browser_skips_and_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHDESK_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install lynx"):
        required("Lynx", None, "apt-get install lynx")


def test_an_absent_browser_fails_where_browsers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHDESK_REQUIRE", "wheel,browsers")
    with pytest.raises(pytest.fail.Exception, match="apt-get install lynx"):
        required("Lynx", None, "apt-get install lynx")


def test_a_browser_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHDESK_REQUIRE", "browsers")
    assert required("Lynx", "/usr/bin/lynx", "") == "/usr/bin/lynx"
