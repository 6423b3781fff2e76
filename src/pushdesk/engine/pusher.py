"""One attempt to push one message to one device: what is sent, and what its answer means for the delivery."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.carrier import PutBack, Refused
from pushdesk.engine.delivery_log import log_delivery
from pushdesk.engine.lane import Slot, hold_s
from pushdesk.engine.retry import next_attempt
from pushdesk.engine.statistics import utc
from pushdesk.errors import EndpointRefusedError
from pushdesk.log import bound, write
from pushdesk.log_events import AttemptFailed, PushRefusedAsHarmful
from pushdesk.log_fields import Failure, Id, Places, Reason, Word
from pushdesk.model import DispatchKind, Outcome, SubscriptionState
from pushdesk.sender.frames import Push
from pushdesk.storage.records import KEY_NOT_USED, Disabling, Settlement
from pushdesk.webpush.encryption import encode_base64url
from pushdesk.webpush.endpoint import SHORTEST_SECRET, is_permanently_removed, without_endpoint
from pushdesk.webpush.origins import Origins
from pushdesk.webpush.request import headers
from pushdesk.webpush.services import FaultKind, Verdict, classify, classify_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.brakes import Brakes
    from pushdesk.engine.keyring import Keyring
    from pushdesk.engine.senders import Senders
    from pushdesk.model import PushTarget
    from pushdesk.sender.frames import Mistake, Result
    from pushdesk.storage.records import Job
    from pushdesk.webpush.vapid import Authorizer

DISABLES: Final = {
    Outcome.GONE: SubscriptionState.GONE,
    Outcome.KEY_MISMATCH: SubscriptionState.KEY_MISMATCH,
}
TOO_LATE: Final = Verdict(Outcome.EXPIRED, "Its TTL was over before it could be sent.")
MISTAKE: Final = Verdict(Outcome.TRANSIENT, "A mistake of this server's; its log tells more.")
PUT_BACK_S: Final = 1.0
"""After how long what was put back is tried again."""
RETRIED: Final = frozenset({Outcome.THROTTLED, Outcome.TRANSIENT})


class _NotSentError(Exception):
    """Why no push service was asked."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.verdict = Verdict(outcome, reason)


class Pusher:
    """Attempts deliveries; each has its own outcome, whatever becomes of the others."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        authorizer: Authorizer,
        senders: Senders,
        brakes: Brakes,
        allowed_origins: frozenset[str],
        clock: Clock,
        uniform: Callable[[float, float], float],
    ) -> None:
        self._keyring = keyring
        self._authorizer = authorizer
        self._senders = senders
        self._brakes = brakes
        self._origins = Origins(allowed_origins)
        self._clock = clock
        self._uniform = uniform

    async def attempt(self, job: Job, is_wanted: Callable[[str], bool]) -> Settlement:
        """Try a delivery once its turn comes, and return what it came to. Raises nothing: a failure is an outcome.

        Where its push service's lane has no room for it for longer, it is not attempted, and waits unsettled.

        Args:
            job: What is to be tried.
            is_wanted: Whether a delivery has not ended meanwhile; else it is not attempted.
        """
        delivery, request = job.delivery, job.message.request
        came_with = None if request is None else Id(request)
        with bound(request=came_with, dispatch=Id(delivery.dispatch), device=Id(delivery.subscription)):
            settlement = await self._in_turn(job, is_wanted)
            if settlement.attempted or settlement.delivery.outcome.is_settled:
                log_delivery(settlement.delivery)
        return settlement

    def stop(self) -> None:
        """Let nothing more be asked of push services; what is under way ends."""
        self._senders.close()

    async def _in_turn(self, job: Job, is_wanted: Callable[[str], bool]) -> Settlement:
        if self._remaining_s(job) <= 0:
            return self._settle(job, TOO_LATE)
        target = job.target
        is_one_of_many = job.message.kind is DispatchKind.BROADCAST
        slot = await self._senders.slot(target, job.message.expires_at_ms, gives_way=is_one_of_many)
        if slot is None:
            return Settlement(job.delivery, attempted=False)
        if not isinstance(slot, Slot):
            put_off = slot.put_off(job.delivery, round(self._clock.time() * 1000))
            return Settlement(put_off, attempted=False, awaits_key=slot.key)
        answered: Verdict | None = None
        try:
            if not is_wanted(job.delivery.id):
                return Settlement(job.delivery, attempted=False)
            settlement, answered = await self._try(job)
        finally:
            self._senders.leave(target.service, slot, answered)
        return self._brakes.judged(job, settlement, answered)

    async def _try(self, job: Job) -> tuple[Settlement, Verdict | None]:
        """Ask the push service; returns what it answered, too, if it was asked."""
        try:
            carried = await self._senders.carry(job.delivery.id, self._build(job))
        except _NotSentError as reason:
            settlement = self._settle(job, _without_secrets(reason.verdict, job.target))
            if reason.verdict.outcome is Outcome.KEY_MISMATCH:
                # Its row is the sweep's to change: by the time this is written down, the key may be back.
                settlement = replace(settlement, disabling=None, attempted=False)
            return settlement, None
        except Exception as error:  # noqa: BLE001 (a mistake of ours must not keep this delivery from being tried again)
            write(AttemptFailed(Failure.of(error)))
            return self._settle(job, MISTAKE), None
        if isinstance(carried, PutBack):
            return self._put_back(job, carried), None
        if isinstance(carried, Refused):
            write(PushRefusedAsHarmful(service=job.target.service))
            return self._settle(job, Verdict(Outcome.REFUSED, carried.reason)), None
        return self._judge(job, carried)

    def _judge(self, job: Job, result: Result) -> tuple[Settlement, Verdict | None]:
        """Say what it means that a push came to this."""
        if result.mistake is not None:
            write(AttemptFailed(_failure(result.mistake)))
            return self._settle(job, MISTAKE), None
        if result.fault is not None:
            verdict = classify_fault(result.fault)
            if result.fault is FaultKind.ADDRESS_REFUSED:
                return self._settle(job, verdict), None
            return self._settle(job, verdict, latency_ms=result.seconds * 1000), verdict
        verdict = _without_secrets(self._classify(job, result), job.target)
        return self._settle(job, verdict, status=result.status, latency_ms=result.seconds * 1000), verdict

    def _put_back(self, job: Job, carried: PutBack) -> Settlement:
        """Have a delivery be tried again that was not attempted, as far as is known."""
        now = utc(self._clock)
        wait = timedelta(seconds=min(PUT_BACK_S, max(0.0, self._remaining_s(job) / 2)))
        later = structs.replace(
            job.delivery, status=None, reason=carried.reason, latency_ms=None, next_attempt_at=now + wait, at=now
        )
        return Settlement(later, attempted=False)

    def _build(self, job: Job) -> Push:
        remaining_s = self._remaining_s(job)
        if remaining_s <= 0:
            raise _NotSentError(TOO_LATE.outcome, TOO_LATE.reason)
        try:
            # Checked again at every send: what may be sent to can have changed since the browser subscribed.
            origin, _ = self._origins.find(job.target.endpoint)
        except EndpointRefusedError as error:
            if is_permanently_removed(job.target.endpoint):
                raise _NotSentError(Outcome.GONE, "The browser says that this subscription was removed.") from None
            raise _NotSentError(Outcome.REFUSED, error.detail) from None
        key = self._keyring.signing_key(job.target.key_id)
        if key is None:
            raise _NotSentError(Outcome.KEY_MISMATCH, KEY_NOT_USED)
        target, message = job.target, job.message
        authorization = self._authorizer.authorization_at(key, origin.name)
        return Push(
            target.endpoint,
            target.p256dh,
            target.auth,
            message.plaintext,
            headers(
                ttl_s=math.ceil(remaining_s), urgency=message.urgency, topic=message.topic, authorization=authorization
            ),
        )

    def _classify(self, job: Job, answer: Result) -> Verdict:
        return classify(job.target.service, answer.status, answer.headers, answer.body, now=self._clock.time())

    def _settle(
        self, job: Job, verdict: Verdict, *, status: int | None = None, latency_ms: float | None = None
    ) -> Settlement:
        now = utc(self._clock)
        attempts = job.delivery.attempts + (latency_ms is not None or verdict.outcome in RETRIED)
        outcome, reason, next_attempt_at = verdict.outcome, verdict.reason, None
        if outcome in RETRIED:
            retry_after_s = verdict.retry_after_s
            if outcome is Outcome.THROTTLED:
                # As long as its subscription is held at least: before that it would only be put off.
                retry_after_s = max(retry_after_s or 0, hold_s(retry_after_s))
            next_one = next_attempt(
                attempts, retry_after_s=retry_after_s, remaining_s=self._remaining_s(job), uniform=self._uniform
            )
            if next_one is None:
                outcome, reason = Outcome.EXPIRED, f"Its TTL ends before it could be tried again. Last: {reason}"
            else:
                next_attempt_at = now + timedelta(seconds=next_one.in_s)
                if next_one.is_cut_short:
                    reason = reason if reason.endswith((".", "!", "?")) else f"{reason}."
                    reason = f"{reason} It asks to wait for longer than this is kept: tried last before its TTL ends."
        delivery = structs.replace(
            job.delivery,
            outcome=outcome,
            status=status,
            reason=reason,
            attempts=attempts,
            latency_ms=None if latency_ms is None else round(latency_ms, 1),
            next_attempt_at=next_attempt_at,
            at=now,
        )
        state = DISABLES.get(outcome)
        disabling = None if state is None else Disabling(job.target.subscription, job.target.version, state)
        return Settlement(delivery, disabling, headers=verdict.headers)

    def _remaining_s(self, job: Job) -> float:
        return job.message.expires_at_ms / 1000 - self._clock.time()


def _without_secrets(verdict: Verdict, target: PushTarget) -> Verdict:
    """Return a verdict without what a push service repeated of the subscription."""
    if all(len(said) < SHORTEST_SECRET for said in (verdict.reason, *verdict.headers.values())):
        return verdict
    secrets = (target.endpoint, encode_base64url(target.p256dh), encode_base64url(target.auth))
    headers = {name: without_endpoint(value, *secrets) for name, value in verdict.headers.items()}
    return replace(verdict, reason=without_endpoint(verdict.reason, *secrets), headers=headers)


def _failure(mistake: Mistake) -> Failure:
    """Return what is logged of a mistake that was made while sending."""
    return Failure(
        Word(mistake.error),
        Places.told(mistake.where),
        None if mistake.code is None else Word(mistake.code),
        None if mistake.reason is None else Reason(mistake.reason),
    )
