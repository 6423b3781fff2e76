"""Texts as strangers write them, and a server that has them everywhere."""

from __future__ import annotations

from typing import Final

from pushdesk.model import (
    Attempt,
    Discarded,
    Evidence,
    KeyState,
    LogLevel,
    Outcome,
    Remedy,
    Scope,
    Service,
    ServiceHealth,
    Verdict,
    VerdictCode,
)
from tests.console.fake_desk import NOON, FakeDesk

HOSTILE: Final = {
    "markup": "[/x][red]boo[/red][@click=app.quit]press[/]",
    "escape": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://evil\x1b\\link\x9b2J\x00\r\n\x07",
    "override": "\u202egnirts\u202c\u2066x\u2069\u200f",
    "huge": "W\u0301\U0001f469\u200d\U0001f4bb" * 20_000,
    "combining": "a" + "\u0301\u0489" * 5_000,
    "invisible": "\u200b\u2060\ufeff\u00ad" * 20,
    "surrogate": "a\ud800b",
}


def hostile_desk(text: str) -> FakeDesk:
    """Return a server that has a text wherever there can be one."""
    desk = FakeDesk()
    one = desk.subscribe(text, browser=text, platform=text, fingerprint=text, key_id=text)
    delivery = desk.deliver(one, Outcome.REFUSED, reason=text, device=text, next_attempt_at=NOON)
    desk.attempts[delivery.id] = (Attempt(1, NOON, Outcome.THROTTLED, 429, text, 3.0, {text[:100]: text}),)
    desk.hold_key(text, KeyState.RETIRING, retiring_at=NOON, before={Service.MOZILLA: 2})
    desk.write(text, LogLevel.WARNING, user=text, reason=text)
    desk.hold_token(text, Scope.READ)
    verdict = Verdict(
        VerdictCode.GONE,
        text,
        text,
        text,
        Remedy.INVITE,
        text,
        one.id,
        delivery.id,
        NOON,
        NOON,
        (Evidence(text, NOON),),
    )
    for asked in (text, one.id, delivery.id):
        desk.verdicts[asked] = verdict
    cache = desk._stats.cache
    desk.set_stats(
        storage=text,
        version=text,
        key_id=text,
        url=text,
        warnings=(text,),
        services=(ServiceHealth(Service.FCM, sent=1, last_error=text, last_error_at=NOON, retry_at=NOON),),
        cache=type(cache)(ttl_s=180.0, entries=1, max_size=100, size=50, last_discarded=Discarded(NOON, text, 17, 18)),
    )
    return desk


def assert_harmless(text: str) -> None:
    """Fail if a text has in it what a terminal would act on."""
    for character in text:
        assert character == "\n" or character.isprintable() or character in "\u200d\xa0", repr(character)
