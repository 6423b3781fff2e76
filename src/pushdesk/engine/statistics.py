"""Counters, raised where things happen. Memory is fixed."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pushdesk.engine.history import HistoryRecorder
from pushdesk.model import Outcome, Service, ServiceHealth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.clock import Clock
    from pushdesk.storage.records import Settlement

LATENCIES_PER_SERVICE: Final = 512


class _ServiceRecord:
    """How one push service has been answering."""

    def __init__(self) -> None:
        self.sent = 0
        self.accepted = 0
        self.failed = 0
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES_PER_SERVICE)
        self.last_error = ""
        self.last_error_at: datetime | None = None
        self.retry_at: datetime | None = None


class Statistics:
    """Counts attempts and outcomes since the server started, and when they were."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._services: dict[Service, _ServiceRecord] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self.waiting: Counter[Service] = Counter()
        """Deliveries that are not settled, per push service."""
        self.history = HistoryRecorder(clock)

    def count(self, settlement: Settlement) -> None:
        """Count what became of a delivery, tried or not: `latency_ms` says whether a push service was asked."""
        delivery = settlement.delivery
        if delivery.outcome.is_settled:
            self.waiting[delivery.service] -= 1
        elif not settlement.attempted:
            # Put off: nothing has come of it yet.
            return
        latency_ms = delivery.latency_ms if settlement.attempted else None
        self.outcomes[delivery.outcome] += 1
        self.history.settled(delivery.outcome, latency_ms)
        if latency_ms is None:
            return
        record = self._record(delivery.service)
        record.sent += 1
        record.latencies_ms.append(latency_ms)
        if delivery.outcome is Outcome.ACCEPTED:
            record.accepted += 1
            record.retry_at = None
            return
        record.failed += 1
        record.last_error = delivery.reason
        record.last_error_at = delivery.at
        if delivery.outcome is Outcome.THROTTLED and delivery.next_attempt_at is not None:
            record.retry_at = max(record.retry_at or delivery.next_attempt_at, delivery.next_attempt_at)

    def services(self) -> tuple[ServiceHealth, ...]:
        """Return how each push service that was talked to, or is to be, has been answering; `Lanes` knows the rest."""
        for service in +self.waiting:
            self._record(service)
        now = utc(self._clock)
        return tuple(
            ServiceHealth(
                service=service,
                sent=record.sent,
                accepted=record.accepted,
                failed=record.failed,
                waiting=self.waiting[service],
                p50_ms=percentile(record.latencies_ms, 50),
                p95_ms=percentile(record.latencies_ms, 95),
                last_error=record.last_error,
                last_error_at=record.last_error_at,
                retry_at=record.retry_at if record.retry_at is not None and record.retry_at > now else None,
            )
            for service, record in sorted(self._services.items())
        )

    def _record(self, service: Service) -> _ServiceRecord:
        return self._services.setdefault(service, _ServiceRecord())


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile, or None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def utc(clock: Clock) -> datetime:
    """Return the clock's time, aware."""
    return datetime.fromtimestamp(clock.time(), UTC)
