"""The compiled engine, driven decision by decision by the policy that also drives the reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.boxed import box
from maestro_gym.scheduling.actions import (
    DROP,
    HOLD,
    LEAVE,
    MOST_GPUS,
    OFFLOAD,
    admit_code,
    demote_code,
    promote_code,
    regroup_code,
    reject_code,
    send_code,
    start_code,
    stop_code,
)
from maestro_gym.scheduling.legal import (
    can_admit,
    can_demote,
    can_promote,
    can_regroup,
    can_reject,
    can_route,
    can_send,
    can_start,
    can_stop,
)
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CONTEXT, TIER_NAMES, TIER_NODE, TIER_TOOL
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import act, open_engine, run_until
from maestro_gym.sim.placement import host_tiers
from maestro_gym.state import DONE_NAMES, NODE_STATE_NAMES, NUM_RESERVE_LEVELS, RESIDENCY_NAMES, STAGE_TOOL
from maestro_gym.state.types import VIEW
from tests.differential.cases import Case
from tests.reference.choosing import Action, Asked, choose
from tests.reference.contexts import context_actions
from tests.reference.simulator import Record, Start

POLICY_OF_LAW = {"vllm": "fcfs", "lru": "maestro-lru", "least-harm": "maestro"}
"""Policies whose reclaim rule it is; nothing else of them is asked."""

SIGNALS = {
    "queues": ("queue_len", "inbound", "queued_work_s"),
    "running": ("running", "running_work_s", "kv_used_bytes", "kv_cached_bytes"),
    "residency": (),
}
"""Kinds of signals in order of SIGNAL_*, and their fields of the view."""

STATUS = ("free", "loading", "awake", "asleep")
ALL_TIERS = 0b111 | 1 << TIER_TOOL | 1 << TIER_CONTEXT
NAMES = dict(enumerate(TIER_NAMES)) | {TIER_TOOL: "tool", TIER_CONTEXT: "context"}


@dataclass
class EngineRun:
    """What the engine did."""

    simulation: Simulation
    records: list[Record]
    done: str

    @property
    def residency_log(self) -> list[tuple[float, int, int, str, str]]:
        """Promotions and demotions."""
        core = self.simulation.state.core
        return [
            (
                float(row["time_s"]),
                int(row["node"]),
                int(row["model"]),
                RESIDENCY_NAMES[row["source"]],
                RESIDENCY_NAMES[row["target"]],
            )
            for row in core.residency_log[0, : core.residency_len[0]]
        ]


def begin(case: Case) -> tuple[Simulation, Start]:
    """A simulation at the beginning of the episode, and the same beginning for the reference."""
    drains = case.features.drains
    simulation = Simulation(case.world, evaluation=drains, placement=case.placement, log_residency=True)
    simulation.load(0, case.episode)
    start = Start(
        running=[[m for m, awake in enumerate(row) if awake] for row in case.placement.tolist()],
        tiers=host_tiers(case.world).tolist(),
        num_slots=simulation.state.visible.engines.shape[2],
        reclaim_law=case.features.reclaim_law,
        drains=drains,
        orders_tools=case.features.orders_tools,
        decides_contexts=case.features.decides_contexts,
        chooses_degree=True,
    )
    return simulation, start


@cache
def _policy_of(reclaim_law: str, orders_tools: bool, decides_contexts: bool) -> Policy:
    """A policy of which nothing is asked but what gives way."""
    policy = load_policy(POLICY_OF_LAW[reclaim_law])
    return replace(
        policy,
        global_rule=replace(policy.global_rule, orders_tools=orders_tools),
        node_rule=replace(policy.node_rule, decides_contexts=decides_contexts, chooses_degree=True),
    )


def open_case(case: Case, simulation: Simulation) -> Any:  # noqa: ANN401 - a box
    """The boxed engine of a case."""
    features = case.features
    return open_engine(simulation, _policy_of(features.reclaim_law, features.orders_tools, features.decides_contexts))


def play(case: Case, simulation: Simulation, engine: Any, view: Any) -> Iterator[tuple[int, Asked]]:  # noqa: ANN401
    """Run a case to its end; every decision is shown before a legal action is chosen.

    Args:
        case: The scenario.
        simulation: From `begin`.
        engine: From `open_case`.
        view: The simulation's, boxed.
    """
    number = 0
    while (tier := run_until(engine, 0, ALL_TIERS)) != NO_TIER:
        place = int(simulation.state.visible.clock[0]["place"])
        asked = Asked(number, NAMES[tier], place, tuple(sorted(_legal(simulation, view, tier))))
        yield tier, asked
        action = choose(asked, case.temper)
        if not act(engine, 0, tier, code_of(view, action)):
            raise AssertionError(f"{action} was called legal at {asked}, and the engine refused it")
        number += 1


def run_engine(case: Case, simulation: Simulation) -> EngineRun:
    """Run a case to its end."""
    engine, view = open_case(case, simulation), box(simulation.state.visible, VIEW)
    clock = simulation.state.visible.clock[0]
    records = [
        Record(float(clock["now_s"]), asked, int(clock["router"]), *observe(simulation))
        for _, asked in play(case, simulation, engine, view)
    ]
    return EngineRun(simulation, records, DONE_NAMES[simulation.state.core.env[0]["done"]])


def _legal(simulation: Simulation, view: Any, tier: int) -> list[Action]:  # noqa: ANN401 - a box
    visible = simulation.state.visible
    clock, world = visible.clock[0], visible.world
    wait: list[Action] = [("wait", 0, 0)] if clock["wait_legal"] else []
    if tier == TIER_TOOL:
        waiting = (visible.stages[0]["phase"] == STAGE_TOOL) & (visible.stages[0]["tool"] == clock["place"])
        return [("call", int(stage), 0) for stage in np.flatnonzero(waiting)]
    if tier == TIER_CONTEXT:
        return context_actions()
    if NAMES[tier] == "global":
        queue = visible.global_queue[0, : clock["global_len"]].tolist()
        clusters = range(len(world.latency_s))
        rejections: list[Action] = [("reject", s, 0) for s in queue if can_reject(view, 0, s)]
        nodes = range(len(world.nodes))
        scalings: list[Action] = [("start", n, 0) for n in nodes if can_start(view, 0, n)]
        scalings += [("stop", n, 0) for n in nodes if can_stop(view, 0, n)]
        return (
            wait + rejections + scalings + [("send", s, c) for s in queue for c in clusters if can_send(view, 0, s, c)]
        )
    if tier != TIER_NODE:
        nodes = [n for n in range(len(world.nodes)) if world.nodes[n]["cluster"] == clock["cluster"]]
        return [("route", n, 0) for n in nodes if can_route(view, 0, int(clock["stage"]), n)]
    node, models = int(clock["place"]), range(len(world.models))
    if clock["regrouping"]:
        return wait + [("regroup", p, 0) for p in range(1, MOST_GPUS + 1) if can_regroup(view, 0, node, p)]
    places = range(int(visible.nodes[0, node]["queue_len"]))
    levels = range(NUM_RESERVE_LEVELS)
    return [
        *wait,
        *(("admit", q, level) for q in places for level in levels if can_admit(view, 0, node, q, level)),
        *(("promote", m, 0) for m in models if can_promote(view, 0, node, m)),
        *(("demote", m, 0) for m in models if can_demote(view, 0, node, m)),
    ]


def code_of(view: Any, action: Action) -> int:  # noqa: ANN401 - a box
    """The engine's code of an action."""
    kind, first, second = action
    codes = {
        "wait": lambda: 0,
        "send": lambda: send_code(view, first, second),
        "call": lambda: first,
        "leave": lambda: LEAVE,
        "drop": lambda: DROP,
        "offload": lambda: OFFLOAD,
        "hold": lambda: HOLD + first,
        "reject": lambda: reject_code(view, first),
        "start": lambda: start_code(view, first),
        "stop": lambda: stop_code(view, first),
        "route": lambda: first,
        "admit": lambda: admit_code(view, first, second),
        "promote": lambda: promote_code(view, first),
        "demote": lambda: demote_code(view, first),
        "regroup": lambda: regroup_code(view, first),
    }
    return int(codes[kind]())


def observe(
    simulation: Simulation,
) -> tuple[list[tuple[float, ...]], list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The memory of every node, and of every engine, what routers know of every node, as the reference tells it."""
    view = simulation.state.visible
    nodes, engines = [], []
    for number in range(view.nodes.shape[1]):
        node = SimpleNamespace(**{name: view.nodes[0, number][name].item() for name in view.nodes.dtype.names or ()})
        nodes.append(
            (
                node.kv_pool_bytes,
                node.weights_bytes,
                node.kv_reserved_bytes,
                node.kv_cached_bytes,
                node.kv_virtual_bytes,
                node.rho,
                node.queue_len,
                node.inbound,
                NODE_STATE_NAMES[node.node_state],
                int(simulation.state.core.nodes[0, number]["outages"]),
                node.kv_used_bytes,
            )
        )
        rows = []
        for slot in range(view.engines.shape[2]):
            engine = view.engines[0, number, slot]
            if engine["model"] < 0:
                continue
            batch = tuple(view.batch[0, number, slot, : engine["running"]].tolist())
            memory = tuple(
                float(engine[f"kv_{name}_bytes"]) for name in ("reserved", "pinned", "cached", "used", "pool")
            )
            rows.append((number, int(engine["model"]), STATUS[engine["status"]], batch, *memory))
        engines += sorted(rows)
    nodes += [(*link, bool(down)) for link, down in np.ndenumerate(view.link_down[0])]
    return nodes, engines, _known(simulation)


def _known(simulation: Simulation) -> list[tuple[object, ...]]:
    """What routers know of every node, of the kinds of signals that are scraped."""
    view, rows = simulation.state.visible, []
    for router in range(view.scraped.shape[1]):
        for kind, (name, fields) in enumerate(SIGNALS.items()):
            if view.world.signals[kind]["period_s"] == 0.0:
                continue
            for node, status in enumerate(view.scraped_status[0, router]):
                scraped = view.scraped[0, router, node]
                values = tuple(scraped[of].item() for of in fields) if fields else tuple(STATUS[s] for s in status)
                rows.append((router, node, name, *values))
    return rows


def stage_times(simulation: Simulation, stage: int) -> dict[str, float]:
    """When what happened to a stage."""
    row = simulation.state.visible.stages[0, stage]
    names = ("ready", "sent", "queued", "admitted", "first_token", "finished", "tool_started")
    names += ("prefill_admitted", "handed_over")
    return {name: float(row[f"{name}_s"]) for name in names if row[f"{name}_s"] < math.inf}
