"""A live run as a trace, from its event log alone: what happened on the servers, as drawings need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.report.episode_trace import Trace, edges_of, traced_stages, traced_workflows
from maestro_gym.real_backend.control.event_log import EVENTS_FILE, read_events
from maestro_gym.state import (
    CPU,
    NODE_SAMPLE,
    RESIDENCY_EVENT,
    RUNNING,
    SAMPLE,
    SLEEPING,
    STAGE_RUNNING,
    STAGE_VIEW,
    Episode,
)
from maestro_gym.state.allocate import blank_cell
from maestro_gym.state.fields import of


def trace_of_log(folder: Path, fleet: LiveFleetConfig, scenario: Scenario) -> Trace:
    """Read a live run's event log as a trace, also of a run that still goes on; there are no samples in it.

    Of a stage that is being served the log knows since when and where, and not its first token; of one that waits it
    knows nothing.

    Args:
        folder: The folder of the event log.
        fleet: The fleet on whose servers the run was made.
        scenario: The fleet with the workload of the run.

    Returns:
        The trace; a promotion from sleep counts as a wake, one that starts a process as a load from the host.

    Raises:
        MaestroError: The log is damaged, or does not belong to this scenario and fleet.
    """
    path = folder / EVENTS_FILE
    events = list(read_events(path))
    header = events[0]
    episode = scenario.episode(header["split"], int(header["seed"]), int(header["index"]))
    if len(episode.stages) != header["stages"]:
        raise MaestroError(
            f"{folder}: the run has {header['stages']} stages, the scenario's episode {len(episode.stages)}. Name the "
            "scenario that it ran on with --scenario."
        )
    nodes = len(scenario.node_names)
    stages = _finished_stages(events, episode, nodes, path)
    _add_served(stages, events, fleet, path)
    return Trace(
        policy=str(header["policy"]),
        scenario=scenario.config.name,
        contention="live",
        seed=int(header["seed"]),
        end_s=float(events[-1]["time_s"]),
        horizon_s=float(scenario.config.horizon_s),
        samples=np.zeros(0, SAMPLE),
        node_samples=np.zeros((0, nodes), NODE_SAMPLE),
        node_samples_s=np.zeros(0),
        residency_log=_residency_log(events, fleet, path),
        stages=traced_stages(episode, stages),
        workflows=traced_workflows(episode, _finished_s(episode, stages["finished_s"])),
        edges=edges_of(episode),
        model_names=tuple(scenario.model_names),
        node_names=tuple(scenario.node_names),
        role_names=tuple(scenario.workload.role_names),
    )


def _finished_stages(events: list[dict[str, Any]], episode: Episode, nodes: int, path: Path) -> np.ndarray:
    """STAGE_VIEW, shape (S,), of the stages that the log saw finish; the others are blank."""
    stages = np.full(len(episode.stages), blank_cell(of("S", STAGE_VIEW)))
    for event in events:
        if event["event"] != "finish":
            continue
        stage, times = int(event["stage"]), event["times"]
        if stage >= len(stages) or times["node"] >= nodes:
            raise MaestroError(
                f"{path}: stage {stage} finished on node {times['node']}, but the scenario has {len(stages)} stages "
                f"and {nodes} nodes. Name the scenario that it ran on with --scenario."
            )
        for name, value in times.items():
            stages[name][stage] = value
        stages["finished_s"][stage], stages["generated_tokens"][stage] = event["time_s"], event["tokens"]
    paused = [int(event.get("stage", -1)) for event in events if event["event"] == "pause"]
    np.add.at(stages["preemptions"], [stage for stage in paused if 0 <= stage < len(stages)], 1)
    return stages


def _add_served(stages: np.ndarray, events: list[dict[str, Any]], fleet: LiveFleetConfig, path: Path) -> None:
    """Add the stages whose last request was neither answered nor aborted when the log ended."""
    places = _places(fleet)
    requests: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["event"] == "send":
            requests[int(event["stage"])] = event
        elif event["event"] in ("finish", "pause", "fault"):
            requests.pop(int(event.get("stage", -1)), None)
        elif event["event"] in ("resume", "end"):
            requests.clear()  # a new controller begins anew what an earlier one had sent
    for stage, event in requests.items():
        if not 0 <= stage < len(stages) or event.get("server") not in places:
            raise MaestroError(
                f"{path}: stage {stage} was sent to {event.get('server')}, which the scenario and fleet {fleet.name} "
                "do not have. Name those of the run with --scenario and --fleet."
            )
        stages["node"][stage] = places[str(event["server"])][0]
        stages["phase"][stage] = STAGE_RUNNING
        for name in ("ready_s", "sent_s", "queued_s", "admitted_s"):
            stages[name][stage] = event["time_s"]


def has_ended(folder: Path) -> bool:
    """Whether the log of a live run has its end; one whose controller has died has none, and may be gone on with.

    Args:
        folder: The folder of the event log.
    """
    told = [event["event"] for event in read_events(folder / EVENTS_FILE) if event["event"] in ("end", "resume")]
    return told[-1:] == ["end"]


def _finished_s(episode: Episode, stage_finished_s: np.ndarray) -> np.ndarray:
    """Ends of workflows, shape (W,): the last end of their stages, inf while one has none."""
    finished_s = np.full(len(episode.workflows), -np.inf)
    np.maximum.at(finished_s, episode.stages["workflow"], stage_finished_s)
    return finished_s


def _places(fleet: LiveFleetConfig) -> dict[str, tuple[int, int, str]]:
    """Node, model and residency below RUNNING of each server, by its words in a log."""
    return {
        f"{node.name}/{engine.model}": (row, fleet.model_names.index(engine.model), engine.residency)
        for row, node in enumerate(fleet.nodes)
        for engine in node.engines
    }


def _residency_log(events: list[dict[str, Any]], fleet: LiveFleetConfig, path: Path) -> np.ndarray:
    places = _places(fleet)
    rows = []
    for event in events:
        if event["event"] not in ("promote", "promoted", "demoted"):
            continue
        if event.get("server") not in places:
            raise MaestroError(
                f"{path}: {event.get('server')} is no server of fleet {fleet.name}; name the run's fleet."
            )
        node, model, residency = places[str(event["server"])]
        below = SLEEPING if residency == "sleep" else CPU
        source, target = {"promote": (below, below), "promoted": (below, RUNNING), "demoted": (RUNNING, below)}[
            event["event"]
        ]
        rows.append((event["time_s"], node, model, source, target))
    return np.array(rows, RESIDENCY_EVENT)
