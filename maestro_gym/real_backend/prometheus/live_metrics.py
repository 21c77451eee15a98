"""The values of a live run's metrics, read from the state of the run at the moment that Prometheus asks.

Prometheus asks in a thread of its own. The state is read in the thread of the control loop, between two turns of it, so
that queues, engines and workflows of one page belong to one moment.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import accumulate

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from maestro_gym import __version__
from maestro_gym.real_backend.control.context import LiveContext
from maestro_gym.real_backend.control.decide import REPLACED, Answer
from maestro_gym.real_backend.control.state import FleetState
from maestro_gym.real_backend.prometheus.exported import AT_RISK, COUNTER, EXPORTED, LATE, LATENCY_BUCKETS_S, ON_TIME
from maestro_gym.real_backend.vllm.server import Server
from maestro_gym.scheduling.tiers import TIER_NAMES
from maestro_gym.state import (
    CLASS_NAMES,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    STAGE_FINISHED,
    STAGE_FUTURE,
    STAGE_PHASE_NAMES,
    STAGE_QUEUED,
    STAGE_READY,
    STAGE_RUNNING,
    STAGE_TRANSIT,
)

TURN_S = 5.0
"""How long a page waits for the control loop to have a moment; Prometheus itself waits for 10 s by default [s]."""

_ENGINE_STATES = {ENGINE_AWAKE: "running", ENGINE_LOADING: "loading", ENGINE_ASLEEP: "sleeping"}
_STATE_NAMES = (*_ENGINE_STATES.values(), "off", "down")

Rows = Sequence[tuple[Sequence[str], float]]
"""The values of a metric: the values of its labels, and the number."""


class LiveMetrics(Collector):
    """The metrics of one live run.

    Attributes:
        registry: What the page is made of.
    """

    def __init__(self) -> None:
        """Prepare; the page is empty before `begin`."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        takers = ("policy", "fallback", "agent")
        self._decisions: dict[tuple[str, str], int] = {(tier, by): 0 for tier in TIER_NAMES for by in takers}
        self._troubles = dict.fromkeys(("late", "illegal", "failed", "replaced"), 0)
        self._latencies: dict[str, list[int]] = {tier: [0] * (len(LATENCY_BUCKETS_S) + 1) for tier in TIER_NAMES}
        self._latency_sum_s: dict[str, float] = dict.fromkeys(TIER_NAMES, 0.0)
        self._run: LiveContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, run: LiveContext) -> None:
        """Show the state of a run from now on; called in the thread of its control loop."""
        self._run, self._loop = run, asyncio.get_running_loop()

    def end(self) -> None:
        """Show the state of the run no more: its control loop is about to end."""
        self._run = None

    def decided(self, tier: int, answer: Answer, trouble: str) -> None:
        """Count a decision.

        Args:
            tier: The tier that decided.
            answer: The decision.
            trouble: What went wrong, as the event log names it; empty when nothing did.
        """
        name: str = TIER_NAMES[tier]
        self._decisions[name, answer.by] += 1
        if trouble != REPLACED:
            self._latencies[name][bisect_left(LATENCY_BUCKETS_S, answer.latency_s)] += 1
            self._latency_sum_s[name] += answer.latency_s
        if trouble:
            kind = "replaced" if trouble == REPLACED else trouble if trouble in self._troubles else "failed"
            self._troubles[kind] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, read in the thread of the control loop, for whoever asks in another.

        Raises:
            TimeoutError: The control loop had no moment within `TURN_S`.
        """
        if self._run is None or self._loop is None:
            return
        # A run that ends meanwhile cancels what still waits for its loop.
        with suppress(CancelledError):
            yield from asyncio.run_coroutine_threadsafe(self._families(self._run), self._loop).result(TURN_S)

    async def _families(self, run: LiveContext) -> list[Metric]:
        nodes = [node.name for node in run.settings.fleet.nodes]
        return [
            *_of_run(run),
            *self._of_decisions(),
            *_of_workflows(run.fleet_state, run.now_s),
            *_of_stages(run.fleet_state, nodes, run.now_s),
            *_of_servers(run),
        ]

    def _of_decisions(self) -> list[Metric]:
        name = "maestro_decision_latency_seconds"
        latencies = HistogramMetricFamily(name, EXPORTED[name].description, labels=EXPORTED[name].labels)
        bounds = [*map(str, LATENCY_BUCKETS_S), "+Inf"]
        for tier, counts in self._latencies.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            latencies.add_metric([tier], buckets, sum_value=self._latency_sum_s[tier])
        return [
            _family("maestro_decisions_total", [(labels, float(count)) for labels, count in self._decisions.items()]),
            latencies,
            _family(
                "maestro_decision_troubles_total", [((kind,), float(count)) for kind, count in self._troubles.items()]
            ),
        ]


def _of_run(run: LiveContext) -> list[Metric]:
    policies, counters, shadow = run.fleet_state.policies, run.fleet_state.core.counters, run.settings.shadow
    about = (
        run.run_id,
        policies.acting.policy.name,
        "" if shadow is None else shadow.name,
        run.settings.fleet.name,
        run.settings.scenario.config.name,
        __version__,
    )
    return [
        _family("maestro_run_info", [(about, 1.0)]),
        _family("maestro_run_time_seconds", [((), run.now_s)]),
        _family("maestro_policy_replaced", [((), float(policies.replaced))]),
        _family("maestro_output_tokens_total", [((), float(counters["output_tokens"][0]))]),
        _family("maestro_preemptions_total", [((), float(counters["preemptions"][0]))]),
    ]


def _family(name: str, rows: Rows) -> Metric:
    metric = EXPORTED[name]
    kind = CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily
    family = kind(name, metric.description, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _of_workflows(state: FleetState, now_s: float) -> list[Metric]:
    workflows = state.view.workflows[0, : len(state.episode.workflows)]
    arrived, finished = np.isfinite(workflows["arrival_s"]), np.isfinite(workflows["finished_s"])
    met = workflows["finished_s"] <= workflows["deadline_s"]
    standing = _standing(state, now_s)
    by_class = [(name, workflows["cls"] == code) for code, name in enumerate(CLASS_NAMES)]
    ends = (("met", finished & met), ("missed", finished & ~met))
    here = arrived & ~finished
    return [
        _family("maestro_workflows_arrived_total", [((name,), _sum(arrived & of)) for name, of in by_class]),
        _family(
            "maestro_workflows_finished_total",
            [((name, end), _sum(those & of)) for name, of in by_class for end, those in ends],
        ),
        _family(
            "maestro_workflows_in_system",
            [
                ((name, word), _sum(here & of & (standing == word)))
                for name, of in by_class
                for word in (ON_TIME, AT_RISK, LATE)
            ],
        ),
    ]


def _standing(state: FleetState, now_s: float) -> np.ndarray:
    """How each workflow stands to its deadline.

    ``slack_s`` of ``scheduling/estimates.py`` for all stages at once, less what a running one has generated.

    Returns:
        One of ON_TIME, AT_RISK and LATE for each workflow, shape (num_workflows,).
    """
    deadline_s = state.view.workflows["deadline_s"][0, : len(state.episode.workflows)]
    stages = state.view.stages[0, : len(state.episode.stages)]
    open_stages = stages[(stages["phase"] >= STAGE_READY) & (stages["phase"] <= STAGE_RUNNING)]
    per_token_s = state.view.world.service["decode_s_per_token"][open_stages["model"]]
    remaining_s = open_stages["remaining_s_q50"] - per_token_s * open_stages["generated_tokens"]
    at_risk = np.zeros(len(deadline_s), dtype=bool)
    at_risk[open_stages["workflow"][deadline_s[open_stages["workflow"]] - now_s < remaining_s]] = True
    return np.where(deadline_s < now_s, LATE, np.where(at_risk, AT_RISK, ON_TIME))


def _of_stages(state: FleetState, node_names: Sequence[str], now_s: float) -> list[Metric]:
    stages = state.view.stages[0, : len(state.episode.stages)]
    known = stages["phase"] != STAGE_FUTURE
    by_class = [(name, known & (stages["cls"] == code)) for code, name in enumerate(CLASS_NAMES)]
    phases = [(code, STAGE_PHASE_NAMES[code]) for code in range(STAGE_READY, STAGE_FINISHED)]
    queued = stages["phase"] == STAGE_QUEUED
    queues = [("global", stages["phase"] == STAGE_READY)]
    queues += [(name, queued & (stages["node"] == node)) for node, name in enumerate(node_names)]
    waits = np.isin(stages["phase"], (STAGE_READY, STAGE_TRANSIT, STAGE_QUEUED))
    return [
        _family(
            "maestro_stages",
            [((name, word), _sum(of & (stages["phase"] == code))) for name, of in by_class for code, word in phases],
        ),
        _family(
            "maestro_stages_finished_total",
            [((name,), _sum(of & (stages["phase"] == STAGE_FINISHED))) for name, of in by_class],
        ),
        _family(
            "maestro_queue_stages",
            [((queue, name), _sum(of & those)) for queue, those in queues for name, of in by_class],
        ),
        _family(
            "maestro_queue_oldest_wait_seconds",
            [
                ((name,), max(0.0, float((now_s - stages["ready_s"][of & waits]).max(initial=0.0))))
                for name, of in by_class
            ],
        ),
    ]


def _of_servers(run: LiveContext) -> list[Metric]:
    servers = [((server.node_name, server.engine.model), server) for server in run.servers]
    view = run.fleet_state.view
    slots = [(place, server, int(view.slot_of[0, server.node, server.model])) for place, server in servers]

    def of_engines(name: str, field: str) -> Metric:
        values = [
            (place, float(view.engines[field][0, s.node, slot]) if slot >= 0 else 0.0) for place, s, slot in slots
        ]
        return _family(name, values)

    states = [(place, _engine_state(run.fleet_state, server)) for place, server in servers]
    now_s = time.monotonic()
    return [
        _family(
            "maestro_engine_state",
            [((*place, name), float(name == state)) for place, state in states for name in _STATE_NAMES],
        ),
        of_engines("maestro_engine_batch_stages", "running"),
        of_engines("maestro_kv_reserved_bytes", "kv_reserved_bytes"),
        of_engines("maestro_kv_used_bytes", "kv_used_bytes"),
        of_engines("maestro_kv_pool_bytes", "kv_pool_bytes"),
        _family(
            "maestro_server_faults_total",
            [((*place, str(kind)), float(n)) for place, server in servers for kind, n in sorted(server.faults.items())],
        ),
        _family("maestro_server_lost_total", [(place, float(server.times_down)) for place, server in servers]),
        _family("maestro_server_stages_finished_total", [(place, float(server.finished)) for place, server in servers]),
        _family(
            "maestro_server_scrape_age_seconds",
            [(place, now_s - s.scraped_s) for place, s in servers if s.gauges is not None and s.wanted],
        ),
    ]


def _engine_state(state: FleetState, server: Server) -> str:
    """Which of the states of `maestro_engine_state` the engine of a server is in."""
    if not server.up:
        return "down"
    return _ENGINE_STATES.get(state.statuses(server.node).get(server.model, -1), "off")


def _sum(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask))
