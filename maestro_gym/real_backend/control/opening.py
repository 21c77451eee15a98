"""What happens before the clock of a live run starts: probe servers, check KV pools, take over earlier work."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_gym.config import dump_config
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control import moves
from maestro_gym.real_backend.control.state import FleetState
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.node_error import NodeError
from maestro_gym.real_backend.vllm.server import Server

_LONGEST_AWAY_S = 3600.0
"""A controller that was away for longer resumes as if it had been away for so long; deadlines are over anyway [s]."""


async def meet_all(servers: Sequence[Server]) -> None:
    """Find out what the servers can do, and bring their engines to the state in which the run begins.

    Args:
        servers: The servers, whose capabilities are filled in; those that shall have no process yet are left alone.

    Raises:
        MaestroError: A server does not answer, serves another model, or cannot sleep although the fleet file says so.
    """
    # Engines that shall sleep go first: others may need the memory that they leave.
    for awake in (False, True):
        group = [server for server in servers if server.wanted and server.engine.awake is awake]
        await asyncio.gather(*(_meet(server) for server in group))


async def _meet(server: Server) -> None:
    try:
        server.can = await probe(server.client)
        if server.can.sleep and server.engine.awake and await server.client.is_sleeping():
            await server.client.wake()
            server.can = await probe(server.client)
        if server.engine.residency == "sleep" and not server.can.sleep:
            raise MaestroError(
                f"{server.words} has residency `sleep` in the fleet file, but its server has no /sleep route for this "
                "controller. Start it with sleep mode behind the proxy of deploy/, or write another residency."
            )
        if server.can.reset_prefix_cache:
            await server.client.reset_prefix_cache()
        if server.engine.residency == "sleep" and not server.engine.awake:
            await server.client.sleep()
    except NodeError as error:
        raise MaestroError(
            f"{server.words} at {server.engine.url} does not answer as it should ({error}). `maestro-gym fleet up` "
            "starts the servers of a fleet file, `fleet status --probe` shows what each can do."
        ) from None


def take_pool(fleet_state: FleetState, server: Server) -> None:
    """Take over the KV pool that a server reports, and check that it can hold any single stage of the workload.

    Args:
        fleet_state: The state of the fleet.
        server: A server whose engine is RUNNING in that state.

    Raises:
        MaestroError: The pool is smaller than a stage, which would wait for ever.
    """
    tokens = fleet_state.set_pool(server.node, server.model, server.can)
    stages = fleet_state.episode.stages[fleet_state.episode.stages["model"] == server.model]
    need = int((stages["prompt_tokens"] + stages["max_output_tokens"]).max(initial=0))
    if need > tokens:
        raise MaestroError(
            f"{server.words} has room for {tokens:.0f} KV tokens, a stage of the workload may need {need}. Give the "
            "engine more memory, or shorten the workload (workload.overlong, max_model_len)."
        )


def scenario_sha256(scenario: Scenario) -> str:
    """The hash of all that a scenario says, as the header of an event log keeps it."""
    return hashlib.sha256(dump_config(scenario.config).encode()).hexdigest()


def check_same_scenario(header: Mapping[str, Any], scenario: Scenario, path: Path) -> None:
    """Refuse to go on with a run under another scenario than its own.

    Args:
        header: The first event of its log.
        scenario: The scenario that it would go on with.
        path: The path of the log, for messages.

    Raises:
        MaestroError: The scenario is another, or the log does not say which one it was.
    """
    if header.get("scenario_sha256") != scenario_sha256(scenario):
        known = "was begun under another scenario" if "scenario_sha256" in header else "does not say its scenario"
        raise MaestroError(
            f"{path}: this run {known} than scenario.yaml beside it and this version's configs make now. Put back the "
            "scenario.yaml and the version that it was begun with, or start a new run."
        )


def catch_up(fleet_state: FleetState, history: Sequence[dict[str, Any]], path: Path) -> tuple[float, dict[int, int]]:
    """Take over the stages that an earlier controller saw finish; everything else begins anew.

    Args:
        fleet_state: A fresh state of the same episode.
        history: The events of the log so far.
        path: The path of the log, for messages.

    Returns:
        The time on the run's clock at which it goes on, and how often each finished stage was delivered.

    Raises:
        MaestroError: The log belongs to another workload, or is damaged.
    """
    last_s = float(history[-1]["time_s"])
    fleet_state.integrated_s = last_s
    finishes: dict[int, int] = {}
    for event in history:
        # Every event is a moment at which the first controller advanced its state.
        at_s = float(event["time_s"])
        fleet_state.advance(at_s)
        if event["event"] != "finish":
            continue
        stage, node = int(event["stage"]), int(event["times"]["node"])
        if stage >= len(fleet_state.episode.stages) or node >= fleet_state.view.nodes.shape[1]:
            raise MaestroError(f"{path}: there is no stage {stage} or no node {node}. The log belongs to another run.")
        for name, value in event["times"].items():
            fleet_state.view.stages[name][0, stage] = value
        if not moves.adopt_finished(fleet_state.engine, stage, int(event["tokens"]), at_s):
            raise MaestroError(
                f"{path}: stage {stage} finished in the log at {at_s:g} s, but was not ready then. The log belongs to "
                "another workload, or is damaged."
            )
        finishes[stage] = finishes.get(stage, 0) + 1
    # The wall clock says how long no controller was there; it may have been set back, the log's own times not.
    away_s = time.time() - float(history[0]["started_unix_s"])
    offset_s = max(last_s, min(away_s, last_s + _LONGEST_AWAY_S))
    fleet_state.integrated_s = offset_s
    return offset_s, finishes
