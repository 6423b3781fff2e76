"""One attempt to push one message to one device: what is sent, and what its answer means for the delivery."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.retry import next_attempt_in_s
from pushdesk.engine.statistics import utc
from pushdesk.errors import PushdeskError
from pushdesk.model import Outcome, SubscriptionState
from pushdesk.storage.records import Disabling, Settlement
from pushdesk.webpush.endpoint import check_endpoint, is_permanently_removed
from pushdesk.webpush.request import build_request
from pushdesk.webpush.services import Verdict, classify, classify_fault
from pushdesk.webpush.transport import TransportFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.keyring import Keyring
    from pushdesk.engine.senders import Senders
    from pushdesk.storage.records import Job
    from pushdesk.webpush.request import PushRequest
    from pushdesk.webpush.transport import PushAnswer
    from pushdesk.webpush.vapid import Authorizer

DISABLES: Final = {
    Outcome.GONE: SubscriptionState.GONE,
    Outcome.KEY_MISMATCH: SubscriptionState.KEY_MISMATCH,
}
RETRIED: Final = frozenset({Outcome.THROTTLED, Outcome.TRANSIENT})


class Dispatcher:
    """Attempts deliveries; each has its own outcome, whatever becomes of the others."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        authorizer: Authorizer,
        senders: Senders,
        allowed_origins: frozenset[str],
        clock: Clock,
        uniform: Callable[[float, float], float],
    ) -> None:
        self._keyring = keyring
        self._authorizer = authorizer
        self._senders = senders
        self._allowed_origins = allowed_origins
        self._clock = clock
        self._uniform = uniform

    async def attempt(self, job: Job) -> Settlement:
        """Try a delivery once and return what it came to. Raises nothing: a failure is an outcome."""
        if self._remaining_s(job) <= 0:
            return self._settle(job, Verdict(Outcome.EXPIRED, "Its TTL was over before it could be sent."))
        if is_permanently_removed(job.target.endpoint):
            return self._settle(job, Verdict(Outcome.GONE, "The browser says that this subscription was removed."))
        started = self._clock.monotonic()
        try:
            answer = await self._senders.send(job.target.service, lambda: self._build(job))
        except TransportFault as fault:
            waited_ms = (self._clock.monotonic() - started) * 1000
            return self._settle(job, classify_fault(fault.kind), latency_ms=waited_ms)
        except PushdeskError as error:
            return self._settle(job, Verdict(_outcome_of(error), error.detail))
        return self._settle(job, self._classify(job, answer), status=answer.status, latency_ms=answer.latency_s * 1000)

    def _build(self, job: Job) -> PushRequest:
        # Checked again at every send: what may be sent to can have changed since the browser subscribed.
        check_endpoint(job.target.endpoint, allowed_origins=self._allowed_origins)
        key = self._keyring.signing_key(job.target.key_id)
        if key is None:
            raise PushdeskError("The key that this subscription was made with is no longer used.", code="key_mismatch")
        return build_request(
            job.target,
            job.message.plaintext,
            ttl_s=max(1, math.ceil(self._remaining_s(job))),
            urgency=job.message.urgency,
            topic=job.message.topic,
            authorization=self._authorizer.authorization(key, job.target.endpoint),
        )

    def _classify(self, job: Job, answer: PushAnswer) -> Verdict:
        return classify(job.target.service, answer.status, answer.headers, answer.body, now=self._clock.time())

    def _settle(
        self, job: Job, verdict: Verdict, *, status: int | None = None, latency_ms: float | None = None
    ) -> Settlement:
        now = utc(self._clock)
        attempts = job.delivery.attempts + (latency_ms is not None)
        outcome, reason, next_attempt_at = verdict.outcome, verdict.reason, None
        if outcome in RETRIED:
            wait_s = next_attempt_in_s(
                attempts,
                retry_after_s=verdict.retry_after_s,
                remaining_s=self._remaining_s(job),
                uniform=self._uniform,
            )
            if wait_s is None:
                outcome, reason = Outcome.EXPIRED, f"Its TTL ends before it could be tried again. Last: {reason}"
            else:
                next_attempt_at = now + timedelta(seconds=wait_s)
        delivery = structs.replace(
            job.delivery,
            outcome=outcome,
            status=status,
            reason=reason,
            attempts=attempts,
            latency_ms=latency_ms,
            next_attempt_at=next_attempt_at,
            at=now,
        )
        state = DISABLES.get(outcome)
        disabling = None if state is None else Disabling(job.target.subscription, job.target.version, state)
        return Settlement(delivery, disabling)

    def _remaining_s(self, job: Job) -> float:
        return job.message.expires_at_ms / 1000 - self._clock.time()


def _outcome_of(error: PushdeskError) -> Outcome:
    return Outcome.KEY_MISMATCH if error.code == "key_mismatch" else Outcome.REFUSED
