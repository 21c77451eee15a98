"""A picture of the fleet in text: queues, batches, KV and weights of every node."""

from __future__ import annotations

from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CLUSTER, TIER_NAMES, TIER_NODE
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, ENGINE_LOADING

_BAR = 24
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


def _decision(batch: AgentBatch, e: int) -> str:
    clock = batch.state.visible.clock[e]
    tier = int(batch.outcome[e]["tier"])
    if tier == NO_TIER:
        return "the episode is over"
    if tier == TIER_NODE:
        return f"node {batch.scenario.node_names[int(clock['place'])]} must decide"
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
        A header, then two lines a node: memory and counts, then its models (``*`` RUNNING with its
        batch, ``+`` loading, ``z`` SLEEPING) and the models its queue waits for.
    """
    view = batch.state.visible
    world, names = view.world, batch.scenario.model_names
    outcome, clock = batch.outcome[e], view.clock[e]
    lines = [
        f"t = {float(clock['now_s']):.3f} s  workflows {int(outcome['arrived'])} arrived, "
        f"{int(outcome['finished'])} finished  ready {int(clock['global_len'])}  {_decision(batch, e)}",
        "HBM: W weights, K reserved KV, c cached prefixes, . free   models: * running(batch), + loading, z sleeping",
    ]
    for node, name in enumerate(batch.scenario.node_names):
        record = view.nodes[e, node]
        pool = float(world.nodes[node]["hbm_pool_bytes"])
        weights, reserved, cached = (
            float(record[key]) / pool for key in ("weights_bytes", "kv_reserved_bytes", "kv_cached_bytes")
        )
        here = ">" if int(outcome["tier"]) == TIER_NODE and int(outcome["place"]) == node else " "
        lines.append(
            f"{here}{name:<16} {memory_bar(weights, reserved, cached)} weights {weights:4.0%} kv {reserved:4.0%} "
            f"queue {int(record['queue_len']):>2}+{int(record['inbound'])} running {int(record['running']):>3}"
        )
        engines = []
        for engine in view.engines[e, node]:
            status = int(engine["status"])
            if status != ENGINE_FREE:
                batch_size = f"({int(engine['running'])})" if status == ENGINE_AWAKE else ""
                engines.append(f"{_MARK[status]}{names[int(engine['model'])]}{batch_size}")
        queue = [
            names[int(view.stages[e, int(view.node_queue[e, node, q])]["model"])]
            for q in range(int(record["queue_len"]))
        ]
        waiting = "  waits: " + ", ".join(queue) if queue else ""
        lines.append("   " + " ".join(engines) + waiting)
    return "\n".join(lines) + "\n"
