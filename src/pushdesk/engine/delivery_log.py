"""What became of a delivery, in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.log import wants, write
from pushdesk.log_events import DeliveryAccepted, DeliveryMisconfigured, DeliveryNotAccepted
from pushdesk.log_fields import Reason, UserId
from pushdesk.model import Outcome

if TYPE_CHECKING:
    from pushdesk.model import Delivery


def log_delivery(delivery: Delivery) -> None:
    """Log what a delivery came to just now; its dispatch and device are named by `pushdesk.log.bound`."""
    latency_ms = None if delivery.latency_ms is None else round(delivery.latency_ms, 1)
    if delivery.outcome is not Outcome.ACCEPTED:
        is_ours = delivery.outcome is Outcome.OUR_CONFIGURATION
        kind = DeliveryMisconfigured if is_ours else DeliveryNotAccepted
        write(
            kind(
                user=UserId(delivery.user),
                service=delivery.service,
                outcome=delivery.outcome,
                status=delivery.status,
                reason=Reason(delivery.reason),
                attempts=delivery.attempts,
                latency_ms=latency_ms,
            )
        )
    elif wants(DeliveryAccepted):
        write(
            DeliveryAccepted(
                user=UserId(delivery.user),
                service=delivery.service,
                status=delivery.status,
                attempts=delivery.attempts,
                latency_ms=latency_ms,
            )
        )
