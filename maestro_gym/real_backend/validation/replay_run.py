"""A live run once more in the simulator: the same workflows, decided anew, and placed as the log says.

Where servers and simulator differ, decisions and speed are mixed up: a slower server makes other queues, and those make
other decisions. When the order and the nodes are those of the log, only the difference in speed is left.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.baselines.registry import with_rule
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.compile import compile_fresh
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.event_log import EVENTS_FILE, read_events
from maestro_gym.real_backend.validation.simulated_fleet import SimulatedFleet
from maestro_gym.scheduling.actions import WAIT, send_code
from maestro_gym.scheduling.legal import can_route, can_send
from maestro_gym.scheduling.policy import Policy, Rule, RuleFunction
from maestro_gym.state import Hidden, View

TIMES = ("ready_s", "sent_s", "admitted_s", "first_token_s", "finished_s")
_BESIDE = ("simulated.yaml", "scenario.yaml")


def scenario_of_run(folder: Path) -> Path:
    """Find the scenario of a live run: the one in its folder, or the calibrated one of the validation it is part of.

    Args:
        folder: The folder of the event log.

    Returns:
        The file of the scenario.

    Raises:
        MaestroError: There is none.
    """
    own = folder / "scenario.yaml"
    for path in (own, *(folder.parent / name for name in _BESIDE)):
        if path.is_file():
            return path
    raise MaestroError(f"{folder}: neither it nor its parent holds the scenario of the run; name one with --scenario.")


def replay(
    folder: Path, fleet: LiveFleetConfig, scenario: Scenario, policy: Policy
) -> tuple[list[dict[str, Any]], dict[str, EpisodeResult]]:
    """Simulate the workflows of a live run.

    Args:
        folder: The folder of the event log.
        fleet: The fleet on whose servers the run was made.
        scenario: The calibrated fleet with the workload of the run.
        policy: The policy that decided.

    Returns:
        One row per measure, with the means over stages or workflows: ``live``, ``decided anew`` and ``placed as
        logged``; and the two simulated results by those names.

    Raises:
        MaestroError: The log does not belong to this scenario, or the run did not finish.
    """
    events = list(read_events(folder / EVENTS_FILE))
    header = events[0]
    episode = scenario.episode(header["split"], int(header["seed"]), int(header["index"]))
    if len(episode.stages) != header["stages"]:
        raise MaestroError(
            f"{folder}: the run has {header['stages']} stages, the scenario's episode {len(episode.stages)}. Name the "
            "scenario that it ran on with --scenario."
        )
    live = logged_times(events, len(episode.stages), folder)
    num_nodes = scenario.config.fleet.num_nodes
    if (live["node"] >= num_nodes).any():
        raise MaestroError(
            f"{folder}: stages ran on node {live['node'].max()}, and the scenario has {num_nodes} nodes."
        )
    output = episode.hidden["output_tokens"]
    placed = _placed_as_logged(policy, live)
    simulated = {}
    columns = {"live": _measures(live, output, episode.stages["workflow"], episode.workflows["arrival_s"])}
    for name, acting in (("decided anew", policy), ("placed as logged", placed)):
        result = SimulatedFleet(fleet)(
            scenario, acting, split=header["split"], seed=int(header["seed"]), index=int(header["index"])
        )
        times = {key: result.stages[key] for key in TIMES}
        columns[name] = _measures(times, output, episode.stages["workflow"], episode.workflows["arrival_s"])
        simulated[name] = replace(result, policy=f"{result.policy} {name}")
    return [{"measure": key} | {name: column[key] for name, column in columns.items()} for key in columns["live"]], (
        simulated
    )


def logged_times(events: list[dict[str, Any]], stages: int, folder: Path) -> dict[str, np.ndarray]:
    """Read when and on which node each stage ran.

    Args:
        events: The events of the log.
        stages: The number of stages.
        folder: The folder of the log, for messages.

    Returns:
        An array of shape (stages,) for each name of `TIMES`, float64, and for ``node``, int64.

    Raises:
        MaestroError: A stage is missing.
    """
    found = {name: np.full(stages, np.nan) for name in TIMES} | {"node": np.full(stages, -1, np.int64)}
    for event in events:
        if event["event"] == "finish":
            stage = int(event["stage"])
            if stage >= stages:
                raise MaestroError(f"{folder}: stage {stage} finished, but the run has {stages}. The log is damaged.")
            for name in TIMES[:-1]:
                found[name][stage] = event["times"][name]
            found["finished_s"][stage] = event["time_s"]
            found["node"][stage] = event["times"]["node"]
    missing = int((found["node"] < 0).sum())
    if missing:
        raise MaestroError(
            f"{folder}: {missing} of {stages} stages never finished. `maestro-gym live --resume {folder}` goes on with "
            "a run."
        )
    return found


def _measures(
    times: dict[str, np.ndarray], output_tokens: np.ndarray, workflow: np.ndarray, arrival_s: np.ndarray
) -> dict[str, float]:
    finished = np.full(len(arrival_s), -np.inf)
    np.maximum.at(finished, workflow, times["finished_s"])
    several = output_tokens > 1
    gaps = (times["finished_s"] - times["first_token_s"])[several] / (output_tokens[several] - 1)
    return {
        "completion_s": float((finished - arrival_s).mean()),
        "wait_for_dispatch_s": float((times["sent_s"] - times["ready_s"]).mean()),
        "wait_at_node_s": float((times["admitted_s"] - times["sent_s"]).mean()),
        "admitted_to_first_token_s": float((times["first_token_s"] - times["admitted_s"]).mean()),
        "tpot_s": float(gaps.mean()),
    }


def _placed_as_logged(policy: Policy, live: dict[str, np.ndarray]) -> Policy:
    """Return the policy with the order and the nodes of a log; its node tier stays its own."""
    rank = np.argsort(np.argsort(live["sent_s"], kind="stable"), kind="stable")
    for tier, function in (("global", _order_rule(rank, live["node"])), ("cluster", _place_rule(live["node"]))):
        rule = Rule(f"logged-{tier}", tier, "N", "what a live run did", "an event log", "", compile_fresh(function))
        policy = with_rule(policy, rule, policy.name, "")
    return policy


def _order_rule(rank: np.ndarray, place: np.ndarray) -> RuleFunction:
    """Make a rule that sends the stage which was sent first, among those whose node has room."""

    def decide(view: View, oracle: Hidden, e: int) -> int:
        best, first = -1, len(rank)
        for i in range(int(view.clock[e].global_len)):
            stage = int(view.global_queue[e, i])
            if rank[stage] < first and can_route(view, e, stage, int(place[stage])):
                best, first = stage, rank[stage]
        if best >= 0:
            return send_code(view, best, int(view.world.nodes[int(place[best])].cluster))
        if int(view.clock[e].wait_legal) == 1:
            return WAIT
        for i in range(int(view.clock[e].global_len)):
            stage = int(view.global_queue[e, i])
            for cluster in range(view.world.latency_s.shape[0]):
                if can_send(view, e, stage, cluster):
                    return send_code(view, stage, cluster)
        return WAIT

    return decide


def _place_rule(place: np.ndarray) -> RuleFunction:
    """Make a rule that sends a stage to the node on which it ran, or to another one when that has no room."""

    def decide(view: View, oracle: Hidden, e: int) -> int:
        clock = view.clock[e]
        stage = int(clock.stage)
        if can_route(view, e, stage, int(place[stage])):
            return int(place[stage])
        for node in range(view.nodes.shape[1]):
            if view.world.nodes[node].cluster == clock.cluster and can_route(view, e, stage, node):
                return node
        return int(place[stage])

    return decide
