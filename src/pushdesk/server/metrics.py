"""`/metrics`: the counters of the engine and of the server in Prometheus' text format. docs/metrics.md lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pushdesk.model import BroadcastState, CacheChange, KeyState, LaneState, Service, Shortage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiohttp.typedefs import Handler
    from prometheus_client import Metric

    from pushdesk.model import Broadcast, CacheStats, Stats, VapidKey
    from pushdesk.server.guard import Guard
    from pushdesk.server.rate_limits import RateLimits

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Everything that is measured: what the server counts itself, and what the engine's `Stats` say.

    Args:
        guard: Of the connections.
        limits: Of the requests.
    """

    def __init__(self, guard: Guard, limits: RateLimits) -> None:
        self._guard = guard
        self._limits = limits
        self._stats: Stats | None = None
        self._keys: Sequence[VapidKey] = ()
        self._broadcasts: Sequence[Broadcast] = ()
        self._streams = 0
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pushdesk_http_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._registry.register(self)
        self._counted: dict[tuple[web.AbstractResource | None, str, int], Counter] = {}
        """The counter of each route, method and status that there was."""

    def count(self, request: web.Request, status: int) -> None:
        """Count one answered request, under its route and not its path."""
        resource = request.match_info.route.resource
        method = request.method if request.method in _METHODS else "other"
        counter = self._counted.get((resource, method, status))
        if counter is None:
            route = resource.canonical if resource else "none"
            counter = self._counted[resource, method, status] = self._requests.labels(method, route, str(status))
        counter.inc()

    def render(self, stats: Stats, *, keys: Sequence[VapidKey], broadcasts: Sequence[Broadcast], streams: int) -> bytes:
        """Return all metrics as text.

        Args:
            stats: The state of the engine.
            keys: The VAPID keys.
            broadcasts: Those that have not ended.
            streams: Number of open event streams.
        """
        self._stats = stats
        self._keys = keys
        self._broadcasts = broadcasts
        self._streams = streams
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what the engine's state says."""
        stats = self._stats
        if stats is None:
            return
        info = GaugeMetricFamily("pushdesk_info", "Always 1; the version is a label.", labels=["version"])
        info.add_metric([stats.version], 1)
        yield info
        yield GaugeMetricFamily(
            "pushdesk_start_time_seconds", "When the server started, in Unix time.", value=stats.started_at.timestamp()
        )
        yield GaugeMetricFamily("pushdesk_users", "Users known.", value=stats.users)
        yield GaugeMetricFamily("pushdesk_subscriptions", "Subscriptions that are sent to.", value=stats.subscriptions)
        yield GaugeMetricFamily("pushdesk_queue", "Deliveries that are not settled.", value=stats.queue)
        yield GaugeMetricFamily("pushdesk_in_flight", "Deliveries being sent or written down.", value=stats.in_flight)
        yield from _sender_metrics(stats)
        refusing = GaugeMetricFamily("pushdesk_refusing", "1 while nothing is accepted for it.", labels=["shortage"])
        for shortage in Shortage:
            refusing.add_metric([shortage], shortage in stats.refusing)
        yield refusing
        yield GaugeMetricFamily("pushdesk_event_streams", "Event streams open.", value=self._streams)
        yield from _ingress_metrics(self._guard, self._limits)
        yield GaugeMetricFamily("pushdesk_warnings", "Things the operator should mend.", value=len(stats.warnings))
        outcomes = CounterMetricFamily(
            "pushdesk_deliveries", "Outcomes of deliveries, also of those that ended without a try.", labels=["outcome"]
        )
        for outcome, number in stats.outcomes.items():
            outcomes.add_metric([outcome], number)
        yield outcomes
        yield from _broadcast_metrics(self._broadcasts)
        yield from _service_metrics(stats)
        yield from _key_metrics(self._keys)
        yield from _cache_metrics(stats.cache)


def _sender_metrics(stats: Stats) -> Iterator[Metric]:
    senders = stats.senders
    yield GaugeMetricFamily("pushdesk_sender_processes", "Processes that send.", value=senders.running)
    yield GaugeMetricFamily("pushdesk_sender_processes_wanted", "Those that there should be.", value=senders.wanted)
    yield CounterMetricFamily("pushdesk_sender_restarts", "Started in the place of others.", value=senders.restarts)
    yield GaugeMetricFamily("pushdesk_sender_in_hand", "Pushes being sent.", value=senders.in_hand)
    yield GaugeMetricFamily("pushdesk_sender_waiting", "Pushes that no process has room for.", value=senders.waiting)
    yield CounterMetricFamily(
        "pushdesk_sender_without_file", "Pushes put off for want of files.", value=senders.without_file
    )


def _broadcast_metrics(going_on: Sequence[Broadcast]) -> Iterator[Metric]:
    states = GaugeMetricFamily("pushdesk_broadcasts", "Broadcasts that have not ended.", labels=["state"])
    for state in (BroadcastState.SCHEDULED, BroadcastState.SENDING, BroadcastState.PAUSED):
        states.add_metric([state], sum(one.state is state for one in going_on))
    planned = GaugeMetricFamily("pushdesk_broadcast_planned", "Devices that those are for.", labels=["service"])
    done = GaugeMetricFamily("pushdesk_broadcast_done", "Of them, those that were got to.", labels=["service"])
    for service in Service:
        parts = [part for one in going_on for part in one.parts if part.service is service]
        planned.add_metric([service], sum(part.planned for part in parts))
        done.add_metric([service], sum(part.done for part in parts))
    yield from (states, planned, done)


def _service_metrics(stats: Stats) -> Iterator[Metric]:
    sent = CounterMetricFamily("pushdesk_service_requests", "Requests to a push service.", labels=["service"])
    accepted = CounterMetricFamily("pushdesk_service_accepted", "Requests it accepted.", labels=["service"])
    failed = CounterMetricFamily("pushdesk_service_failed", "Requests it did not accept.", labels=["service"])
    in_flight = GaugeMetricFamily("pushdesk_service_in_flight", "Requests to it under way.", labels=["service"])
    waiting = GaugeMetricFamily("pushdesk_service_waiting", "Deliveries that wait for it.", labels=["service"])
    latency = GaugeMetricFamily(
        "pushdesk_service_latency_seconds", "Latest percentiles of its answers.", labels=["service", "quantile"]
    )
    state = GaugeMetricFamily(
        "pushdesk_service_state", "1 for the state that it is in, 0 for the others.", labels=["service", "state"]
    )
    since = GaugeMetricFamily(
        "pushdesk_service_shut_since_seconds", "Since when it is not open, in Unix time.", labels=["service"]
    )
    stopped = GaugeMetricFamily("pushdesk_service_stopped_keys", "Keys that it refuses.", labels=["service"])
    brake = GaugeMetricFamily(
        "pushdesk_service_brake", "1 while its brake holds what seems to end.", labels=["service"]
    )
    held = GaugeMetricFamily("pushdesk_service_held", "Subscriptions that its brake holds.", labels=["service"])
    for health in stats.services:
        brake.add_metric([health.service], health.brake is not None)
        held.add_metric([health.service], 0 if health.brake is None else health.brake.held)
        for each in LaneState:
            state.add_metric([health.service, each], health.state is each)
        if health.since is not None:
            since.add_metric([health.service], health.since.timestamp())
        stopped.add_metric([health.service], len(health.stopped))
        sent.add_metric([health.service], health.sent)
        accepted.add_metric([health.service], health.accepted)
        failed.add_metric([health.service], health.failed)
        in_flight.add_metric([health.service], health.in_flight)
        waiting.add_metric([health.service], health.waiting)
        for quantile, milliseconds in (("0.5", health.p50_ms), ("0.95", health.p95_ms)):
            if milliseconds is not None:
                latency.add_metric([health.service, quantile], milliseconds / 1000)
    yield from (sent, accepted, failed, in_flight, waiting, latency, state, since, stopped, brake, held)


def _ingress_metrics(guard: Guard, limits: RateLimits) -> Iterator[Metric]:
    yield GaugeMetricFamily("pushdesk_connections", "Connections open.", value=len(guard.connections))
    cut = CounterMetricFamily("pushdesk_connections_cut", "Connections refused or closed.", labels=["cut"])
    for reason, number in guard.cut.items():
        cut.add_metric([reason], number)
    yield cut
    limited = CounterMetricFamily("pushdesk_requests_limited", "Requests over a rate limit.", labels=["limit"])
    for limit, number in limits.refused.items():
        limited.add_metric([limit], number)
    yield limited


def _key_metrics(keys: Sequence[VapidKey]) -> Iterator[Metric]:
    bound = GaugeMetricFamily(
        "pushdesk_key_subscriptions", "Active subscriptions made with it.", labels=["key", "state", "service"]
    )
    before = GaugeMetricFamily(
        "pushdesk_key_subscriptions_before", "Those when it began to retire.", labels=["key", "service"]
    )
    left = GaugeMetricFamily("pushdesk_key_users_left", "Users lost by retiring it now.", labels=["key"])
    since = GaugeMetricFamily("pushdesk_key_retiring_since_seconds", "When it began to, in Unix time.", labels=["key"])
    end = GaugeMetricFamily("pushdesk_key_expected_end_seconds", "When all will have moved on.", labels=["key"])
    for key in keys:
        # Also what has come down to nothing.
        for service in sorted({*key.services, *key.before}):
            bound.add_metric([key.id, key.state, service], key.services.get(service, 0))
        for service, number in sorted(key.before.items()):
            before.add_metric([key.id, service], number)
        if key.state is KeyState.RETIRING:
            left.add_metric([key.id], key.users_left)
        if key.retiring_at is not None:
            since.add_metric([key.id], key.retiring_at.timestamp())
        if key.expected_end is not None:
            end.add_metric([key.id], key.expected_end.timestamp())
    yield from (bound, before, left, since, end)


def _cache_metrics(cache: CacheStats) -> Iterator[Metric]:
    events = CounterMetricFamily("pushdesk_cache_events", "What happened in the subscription cache.", labels=["change"])
    for change in CacheChange:
        # Also what never happened yet: a rate is counted from the zero before the first one.
        events.add_metric([change], cache.counts.get(change, 0))
    yield events
    yield CounterMetricFamily("pushdesk_cache_reads", "Statements that read subscriptions for it.", value=cache.reads)
    yield GaugeMetricFamily("pushdesk_cache_entries", "Users with devices that are held.", value=cache.entries)
    yield GaugeMetricFamily(
        "pushdesk_cache_negative_entries", "Users without devices that are held.", value=cache.negative
    )
    yield GaugeMetricFamily("pushdesk_cache_loading", "Users whose devices are being read.", value=cache.loading)
    yield GaugeMetricFamily("pushdesk_cache_size_bytes", "Memory that it is counted with.", value=cache.size)
    yield GaugeMetricFamily("pushdesk_cache_max_size_bytes", "Memory that it may take.", value=cache.max_size)
    yield GaugeMetricFamily(
        "pushdesk_cache_ttl_seconds", "How long an entry is served; 0 when it is off.", value=cache.ttl_s
    )


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

METRICS: Final = web.AppKey("metrics", Metrics)


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count what was answered."""
    response = await handler(request)
    request.app[METRICS].count(request, response.status)
    return response
