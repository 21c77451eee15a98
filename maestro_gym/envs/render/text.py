"""A picture of the fleet in text: queues, batches, KV and weights of every node, a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CLUSTER, TIER_CONTEXT, TIER_NAMES, TIER_NODE, TIER_TOOL
from maestro_gym.scheduling.tool_view import rule_tier
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, ENGINE_LOADING

_BAR = 12
_MARK = {ENGINE_AWAKE: "*", ENGINE_LOADING: "+", ENGINE_ASLEEP: "z"}


def memory_bar(weights: float, reserved: float, cached: float) -> str:
    """HBM of a node as a bar: ``W`` weights, ``K`` reserved KV, ``c`` cached prefixes, ``.`` free.

    Args:
        weights: Share of usable HBM.
        reserved: Share of usable HBM.
        cached: Share of usable HBM.

    Returns:
        A text of fixed width.
    """
    w = round(_BAR * min(1.0, weights))
    k = min(_BAR - w, round(_BAR * max(0.0, reserved)))
    c = min(_BAR - w - k, round(_BAR * max(0.0, cached)))
    return "[" + "W" * w + "K" * k + "c" * c + "." * (_BAR - w - k - c) + "]"


def hbm_shares(batch: AgentBatch, e: int) -> np.ndarray:
    """How the usable HBM of every node is shared.

    Args:
        batch: The batch.
        e: The environment.

    Returns:
        Array of float64, shape (N, 3): weights, reserved KV and cached prefixes, as shares.
    """
    view = batch.state.visible
    kinds = ("weights_bytes", "kv_reserved_bytes", "kv_cached_bytes")
    return np.stack([view.nodes[e][kind] / view.world.nodes["hbm_pool_bytes"] for kind in kinds], axis=1)


def decision_text(batch: AgentBatch, e: int) -> str:
    """What the pending decision of an environment is, in words."""
    clock = batch.state.visible.clock[e]
    tier = int(batch.outcome[e]["tier"])
    if tier == NO_TIER:
        return "the episode is over"
    if tier == TIER_NODE:
        return f"node {batch.scenario.node_names[int(clock['place'])]} must decide"
    if tier == TIER_TOOL:
        return f"global tier must say whose call gets a place of tool {int(clock['place'])}"
    if tier == TIER_CONTEXT:
        return f"node {batch.scenario.node_names[int(batch.outcome[e]['place'])]} must decide on a context"
    if tier == TIER_CLUSTER:
        stage = batch.state.visible.stages[e, int(clock["stage"])]
        model = batch.scenario.model_names[int(stage["model"])]
        cluster = batch.scenario.cluster_names[int(clock["cluster"])]
        return (
            f"cluster {cluster} must place stage {int(clock['stage'])} ({model}, {int(stage['prompt_tokens'])} tokens)"
        )
    return f"{TIER_NAMES[tier]} tier must decide"


def render_text(batch: AgentBatch, e: int) -> str:
    """Draw one environment.

    Args:
        batch: The batch.
        e: The environment.

    Returns:
        A header of two lines, then a line a node: its HBM, stages that run, stages that wait or are on their way, its
        models (``*`` RUNNING with its batch, ``+`` loading, ``z`` SLEEPING), and how many stages in its queue wait
        for each model. ``>`` marks the node that must decide.
    """
    view, outcome, names = batch.state.visible, batch.outcome[e], batch.scenario.model_names
    width = max(map(len, batch.scenario.node_names))
    clock = view.clock[e]
    lines = [
        f"t = {float(clock['now_s']):.3f} s  {int(outcome['arrived'])} workflows arrived, "
        f"{int(outcome['finished'])} finished  {int(clock['global_len'])} stages ready  {decision_text(batch, e)}",
        f" {'node':<{width}} {'Weights Kv c':<{_BAR + 2}} run wait  models: *serving(batch) +loading z asleep",
    ]
    shares = hbm_shares(batch, e)
    for node, name in enumerate(batch.scenario.node_names):
        record = view.nodes[e, node]
        here = ">" if rule_tier(int(outcome["tier"])) == TIER_NODE and int(outcome["place"]) == node else " "
        waiting = int(record["queue_len"]) + int(record["inbound"])
        lines.append(
            f"{here}{name:<{width}} {memory_bar(*shares[node])} {int(record['running']):>3} {waiting or '':>4}  "
            f"{_engines(view.engines[e, node], names)}{_waits(batch, e, node)}".rstrip()
        )
    return "\n".join(lines) + "\n"


def _engines(engines: np.ndarray, names: Sequence[str]) -> str:
    texts = []
    for engine in engines[engines["status"] != ENGINE_FREE]:
        batch_size = f"({int(engine['running'])})" if engine["status"] == ENGINE_AWAKE else ""
        texts.append(f"{_MARK[int(engine['status'])]}{names[int(engine['model'])]}{batch_size}")
    return " ".join(texts)


def _waits(batch: AgentBatch, e: int, node: int) -> str:
    """The queue of a node as counts, the most frequent model first."""
    view = batch.state.visible
    queue = view.node_queue[e, node, : int(view.nodes[e, node]["queue_len"])]
    counts = Counter(view.stages[e]["model"][queue].tolist()).most_common()
    return "  waits: " + ", ".join(f"{n} {batch.scenario.model_names[model]}" for model, n in counts) if counts else ""
