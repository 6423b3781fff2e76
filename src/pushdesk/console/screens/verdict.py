"""Why somebody did not get something: the server's verdict, its evidence, and the action that helps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from pushdesk.console.bindings import key_of
from pushdesk.console.broadcast_commands import cancel
from pushdesk.console.device_commands import give, restore, send_again, test
from pushdesk.console.figures import age, moment, span
from pushdesk.console.keys import bind
from pushdesk.console.screens.asking import ask
from pushdesk.console.screens.live_dialog import LiveDialog
from pushdesk.console.screens.pane import cannot_change
from pushdesk.console.status import BUSY, QUIET, STRONG, VERDICTS
from pushdesk.console.subject import Subject
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.facts import Facts
from pushdesk.console.widgets.rows import HEADER, Rows
from pushdesk.desk import (
    DeliveryChanged,
    DispatchChanged,
    KeyChanged,
    SubscriptionChanged,
    SubscriptionRemoved,
    UserAdded,
    UserRemoved,
)
from pushdesk.errors import PushdeskError
from pushdesk.measures import commands
from pushdesk.model import Measure, Remedy, Verdict, VerdictCode

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.desk import AnyEvent

MOST_ROWS: Final = 8
"""Devices that are seen at once."""
LONGEST: Final = 2000
"""Characters of a sentence that are shown."""
BUTTONS: Final = {
    Remedy.INVITE: ("invite", "Invite the user"),
    Remedy.TEST: ("test", "Send the test push"),
    Remedy.SEND_AGAIN: ("send_again", "Send it again"),
    Remedy.SEE_KEYS: ("see_keys", "See the keys"),
}
"""The actions that help, and what their button says."""
MEASURES: Final = {
    Measure.RESUME: ("see_service", "See the push service"),
    Measure.RESET: ("see_service", "See the push service"),
    Measure.RELEASE: ("see_service", "See the push service"),
    Measure.CONFIRM: ("see_service", "See the push service"),
    Measure.RESTORE: ("restore", "Restore the device"),
    Measure.CANCEL: ("cancel", "Take it back"),
}
"""The actions of what an operator can do besides, and what their button says."""
HINTS: Final = {
    Remedy.WAIT: "R looks again.",
    Remedy.CONFIGURE: "docs/configuration.md has every setting, and pushdesk doctor looks at what is set.",
}
"""What is said where nothing can be done from here."""
NOT_SENT_TO: Final = frozenset({VerdictCode.GONE, VerdictCode.KEY_MISMATCH, VerdictCode.KEY_ENDED})
"""The verdicts on a device that nothing is sent to."""
UNTIL: Final = {
    VerdictCode.THROTTLED: "next try",
    VerdictCode.TRANSIENT: "next try",
    VerdictCode.OUR_CONFIGURATION: "next try",
    VerdictCode.SCHEDULED: "due",
}
"""What happens at the end of some verdicts."""


class VerdictScreen(LiveDialog):
    """A verdict. Of a user it has a line for each device, which leads to the verdict on that one."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"invite", "test", "send_again", "restore", "cancel"})
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"see_keys"})
    BINDINGS: ClassVar[list[BindingType]] = [
        # Asked already.
        bind("w", "whole_user", "User", "verdict.user", "Ask about the user, with all their devices", show=True),
        bind("e", "invite", "Invite", "invite.open", "Invite the user's browser", show=True),
        bind("T", "test", "Test", "subscriptions.test", "Send the test push, to this device or to all", show=True),
        bind("r", "send_again", "Send again", "deliveries.resend", "Send once more what was not received", show=True),
        bind("6", "see_keys", "Keys", "screen.keys", "The VAPID keys", show=True),
        bind("8", "see_broadcasts", "Broadcasts", "screen.broadcasts", "The broadcasts, and what is scheduled"),
        bind("u", "restore", "Restore", "subscriptions.restore", "Send again to the device, which is disabled"),
        bind("x", "cancel", "Take back", "dispatches.cancel", "Take back what was to be sent"),
        bind(
            "exclamation_mark",
            "see_service",
            "Push service",
            "pane.trouble",
            "The push service that it is about: pause, brake, refused keys",
            display="!",
        ),
        bind("ctrl+d", "scroll(1)", "Down", "verdict.down", "Scroll down"),
        bind("ctrl+u", "scroll(-1)", "Up", "verdict.up", "Scroll up"),
    ]

    class Judged(Message):
        """The verdict came from the server."""

        def __init__(self, verdict: Verdict) -> None:
            super().__init__()
            self.verdict = verdict

    def __init__(self, subject: Subject) -> None:
        super().__init__(f"Did {subject.label} get it?", scrolls=True)
        self._subject = subject
        self._verdict: Verdict | None = None
        self._headline = Static()
        self._says = Static(classes="paragraph")
        self._advice = Static()
        self._commands = Static()
        self._button = Button("", id="remedy", variant="primary", compact=True)
        self._measure = Button("", id="measure", compact=True)
        self._hint = Static(id="hint")
        self._evidence = Facts(indent=14)
        self._devices: Rows[Verdict] = Rows(
            (
                Column("status", "verdict", 18),
                Column("device", "device", 18, grows=1),
                Column("since", "since", 12, priority=1),
                Column("says", "why", 30, priority=2, grows=3),
            ),
            key=lambda verdict: verdict.subscription or verdict.about,
            cells=self._cells,
            name="devices",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the verdict, what helps, and what it rests on."""
        yield self._headline
        yield self._says
        yield Static(Content.styled("What helps", f"bold {STRONG}"), classes="paragraph")
        yield self._advice
        yield self._commands
        with Horizontal(id="remedies"):
            yield self._button
            yield self._measure
            yield self._hint
        yield self._devices
        yield Static(Content.styled("Evidence", f"bold {STRONG}"), id="of-evidence", classes="paragraph")
        yield self._evidence

    def on_mount(self) -> None:
        """Begin where the keys scroll."""
        self.query_one(".dialog").focus()
        self.watch(self.app, "connection", self._offer, init=False)
        self.watch(self.app, "scopes", self._offer, init=False)

    def is_about(self, subject: Subject) -> bool:
        """Return whether it is the verdict on this, by whatever name it goes."""
        return self._subject._replace(device="") == subject._replace(device="")

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event may change the verdict."""
        user = self._subject.user
        match event:
            case DeliveryChanged(delivery=delivery):
                return delivery.user == user
            case DispatchChanged(dispatch=dispatch):
                return dispatch.user in {user, None}
            case SubscriptionChanged(subscription=subscription):
                return subscription.user == user
            case SubscriptionRemoved(user=whose) | UserAdded(user=whose) | UserRemoved(user=whose):
                return whose == user
            case _:
                return isinstance(event, KeyChanged)

    async def fetch(self) -> None:
        """Ask for the verdict."""
        try:
            self.post_message(self.Judged(await self._subject.ask(self.app.desk)))
        except PushdeskError as error:
            self.post_message(self.Failed(error))

    def on_verdict_screen_judged(self, message: Judged) -> None:
        """Show the verdict."""
        self._verdict = verdict = message.verdict
        self._say_headline()
        self._says.update(Content(plain(verdict.says, longest=LONGEST)))
        self._advice.update(Content(plain(verdict.advice, longest=LONGEST)))
        self._say_evidence()
        self.set_class(bool(verdict.apart), "-with-devices")
        self.set_class(bool(verdict.evidence), "-with-evidence")
        self._devices.styles.height = HEADER + min(len(verdict.apart), MOST_ROWS)
        self._devices.show(verdict.apart)
        self._offer()
        self.count_down(verdict.until)
        if self.come() and verdict.apart:
            self._devices.focus(scroll_visible=False)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show the verdict on a device."""
        if isinstance(message.item, Verdict) and message.item.subscription:
            self._go_to(Subject.of_verdict(message.item))

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what helps."""
        if event.button is self._measure and (measure := self._first_measure()):
            await self.run_action(measure[0])
        elif self._verdict is not None and self._verdict.remedy in BUTTONS:
            await self.run_action(BUTTONS[self._verdict.remedy][0])

    def tick(self) -> None:
        """Show how long it still takes, and times of yesterday with their day."""
        self._say_headline()
        self._say_evidence()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        verdict = self._verdict
        if action in {"test", "send_again"} and verdict is None:
            return "There is no verdict yet."
        if action == "send_again" and not (verdict and verdict.delivery):
            return "There is no delivery that could be sent again."
        # Of a delivery it may be a matter of the past: the device may have subscribed again since.
        is_of_device = self._subject.subscription and not self._subject.delivery
        if action in {"test", "send_again"} and is_of_device and verdict and verdict.code in NOT_SENT_TO:
            return "Nothing is sent to this device, until its browser subscribes again."
        if action == "whole_user" and self._is_of_user:
            return "This is about the user already."
        return super().refusal(action) or self._needless(action)

    def copied(self) -> str:
        """Return the verdict, as text."""
        verdict = self._verdict
        if verdict is None:
            return ""
        devices = (f"{self._cells(each)[0].plain}  {plain(each.about)}: {plain(each.says)}" for each in verdict.apart)
        parts = (
            f"{self._title}\n{self._text_of_headline(verdict).plain}",
            plain(verdict.says, longest=LONGEST),
            plain(verdict.advice, longest=LONGEST),
            "\n".join(plain(command) for command in commands(verdict)),
            "\n".join(devices),
            self._evidence.text,
        )
        return "\n\n".join(part for part in parts if part)

    @property
    def _is_of_user(self) -> bool:
        return not (self._subject.subscription or self._subject.delivery)

    def action_whole_user(self) -> None:
        """Ask about the user."""
        self._go_to(Subject(self._subject.user))

    def action_invite(self) -> None:
        """Open the form of an invitation, the user filled in."""
        from pushdesk.console.screens.invite import InviteScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(InviteScreen(self._subject.user))

    def action_test(self) -> None:
        """Send the test push to the device that it is about, or to all of the user's."""
        if self._verdict is not None:
            # Of a user it is about the worst of their devices; whether they can be reached, any may show.
            device = "" if self._is_of_user else self._verdict.subscription or ""
            subject = self._subject._replace(subscription=device)
            give(self, partial(test, self.app.desk, subject))

    def action_send_again(self) -> None:
        """Send the delivery again that it is about."""
        if self._verdict is not None and self._verdict.delivery:
            subject = self._subject._replace(delivery=self._verdict.delivery)
            give(self, partial(send_again, self.app.desk, subject))

    def action_see_keys(self) -> None:
        """Show the VAPID keys."""
        self.app.action_show("keys")

    def action_see_broadcasts(self) -> None:
        """Show the broadcasts."""
        self.app.action_show("broadcasts")

    def action_see_service(self) -> None:
        """Show the push service that it is about."""
        from pushdesk.console.screens.push_service import ServiceScreen  # noqa: PLC0415 - not needed before it is asked for

        if self._verdict is not None and self._verdict.service is not None:
            self.app.push_screen(ServiceScreen(self._verdict.service))

    def action_restore(self) -> None:
        """Ask, and restore the device that it is about."""
        if self._verdict is not None and self._verdict.subscription:
            text = Content.assemble(
                (plain(self._verdict.about), "bold"),
                " is sent to again, as if it had not ended. The next answer says what is true of it.",
            )
            command = partial(restore, self.app.desk, self._verdict.subscription)
            ask(self, title="Restore this device?", text=text, do="Restore", command=command)

    def action_cancel(self) -> None:
        """Ask, and take back what it is about."""
        if self._verdict is not None and self._verdict.dispatch:
            text = Content("It is not sent. What is under way may still arrive, and is not tried again.")
            command = partial(cancel, self.app.desk, self._verdict.dispatch)
            ask(self, title="Take it back?", text=text, do="Take it back", leave="Leave it", command=command)

    def action_scroll(self, by: int) -> None:
        """Scroll by half of what is seen."""
        frame = self.query_one(".dialog")
        frame.scroll_relative(y=by * max(1, frame.size.height // 2), animate=False)

    def _go_to(self, subject: Subject) -> None:
        """Show the verdict on something else; one that is below this already is gone back to."""
        for screen in self.app.screen_stack:
            if isinstance(screen, VerdictScreen) and screen.is_about(subject):
                screen.pop_until_active()
                return
        self.app.push_screen(VerdictScreen(subject))

    def _say_headline(self) -> None:
        if self._verdict is not None:
            self._headline.update(self._text_of_headline(self._verdict))

    def _say_evidence(self) -> None:
        if self._verdict is not None:
            now = self.app.now()
            self._evidence.show(
                [(moment(fact.time, now) if fact.time else "", plain(fact.text)) for fact in self._verdict.evidence]
            )

    def _text_of_headline(self, verdict: Verdict) -> Content:
        now, look = self.app.now(), VERDICTS[verdict.code]
        parts = [Content.styled(f"{look.glyph} {look.word}", f"bold {look.style}")]
        if verdict.since is not None:
            parts.append(Content.styled(f"since {moment(verdict.since, now)}, {_ago(verdict.since, now)}", QUIET))
        if verdict.until is not None:
            left = f"in {span((verdict.until - now).total_seconds())}" if verdict.until > now else "now"
            said = f"{UNTIL.get(verdict.code, 'until')} {moment(verdict.until, now)}, {left}"
            parts.append(Content.styled(said, BUSY))
        return Content("   ").join(parts)

    def _needless(self, action: str) -> str | None:
        verdict = self._verdict
        measures = verdict.measures if verdict is not None else ()
        needless = {
            "see_service": (verdict is None or verdict.service is None) and "It is not about a push service.",
            "restore": Measure.RESTORE not in measures and "There is no device that could be restored.",
            "cancel": Measure.CANCEL not in measures and "There is nothing left that could be taken back.",
        }
        return needless.get(action) or None

    def _first_measure(self) -> tuple[str, str] | None:
        """Return the action of what an operator can do first besides, and what its button says."""
        verdict = self._verdict
        if verdict is None or not verdict.measures:
            return None
        if verdict.measures[0] is Measure.RESUME and verdict.service is None:
            return "see_broadcasts", "See the broadcasts"
        return MEASURES.get(verdict.measures[0])

    def _offer(self) -> None:
        """Offer the action that helps, or say why it cannot be done from here."""
        if self._verdict is None:
            return
        remedy = self._verdict.remedy
        action, label = BUTTONS.get(remedy, ("", ""))
        refusal = cannot_change(self.app) if action in self.CHANGES else None
        self._button.display = bool(action)
        self._button.label = Content(f"{key_of(self, action)} {label}")
        self._button.disabled = refusal is not None
        measure, of_measure = self._first_measure() or ("", "")
        refusal = refusal or (cannot_change(self.app) if measure in self.CHANGES else None)
        self._measure.display = bool(measure)
        self._measure.label = Content(f"{key_of(self, measure)} {of_measure}")
        self._measure.disabled = measure in self.CHANGES and refusal is not None
        hint = f"Not now: {refusal}" if refusal else HINTS.get(remedy, "")
        self._hint.update(Content.styled(hint, QUIET))
        self.query_one("#remedies").display = bool(action or measure or hint)
        said = [plain(command) for command in commands(self._verdict)]
        self._commands.update(Content.styled("\n".join(said), STRONG))
        self._commands.display = bool(said)

    def _cells(self, verdict: Verdict) -> list[Content]:
        since = moment(verdict.since, self.app.now()) if verdict.since else ""
        return [
            VERDICTS[verdict.code].content(),
            Content(plain(verdict.about)),
            Content.styled(since, QUIET),
            Content.styled(plain(verdict.says), QUIET),
        ]


def _ago(time: datetime, now: datetime) -> str:
    said = age(time, now)
    return "just now" if said == "new" else f"{said} ago"
