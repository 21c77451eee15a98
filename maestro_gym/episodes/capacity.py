"""Capacity of a fleet under a workload, to which offered load is relative.

    lambda* = nodes / sum_m(p_m / mu_m)

with p_m the share of stages that ask for model m, and mu_m the stages a second of a node that serves m
alone, saturated, with the mix's lengths, a KV-limited batch under true-length reservation, no loads and no
prefix hits.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.config import HostGroupConfig, ScenarioConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.world import NodeKind
from maestro_gym.performance.step_tables import StepTables, step_tables


def capacity_rps(
    config: ScenarioConfig,
    model_share: np.ndarray,
    prompt_tokens: np.ndarray,
    output_tokens: np.ndarray,
    calls_per_workflow: float,
) -> float:
    """Reckon the capacity of a scenario's fleet.

    In a fleet of several kinds of node each kind adds its own nodes / sum_m(p_m / mu_m), over the models
    that it can and may host; groups of nodes that may host different ones count as different kinds.

    Args:
        config: The scenario.
        model_share: float64, shape (M,): share of the stages by model.
        prompt_tokens: float64, shape (M,): mean prompt.
        output_tokens: float64, shape (M,): mean output.
        calls_per_workflow: Mean stages of a workflow.

    Returns:
        Workflows a second.

    Raises:
        MaestroError: No kind of node hosts any model that the mix asks for.
    """
    limits = config.limits
    stages_rps = 0.0
    for (kind, allowed), groups in _alike(config).items():
        served, node_s = 0.0, 0.0
        for index, deployment in enumerate(config.models):
            room_tokens = config.kv_room_tokens(deployment, groups[0])
            if model_share[index] <= 0 or room_tokens <= 0 or not allowed[index]:
                continue
            tables = step_tables(
                config.architectures[deployment.architecture],
                config.gpus[kind.gpu],
                kind.tp,
                limits.max_num_batched_tokens,
                limits.max_num_seqs,
                limits.moe_kernel,
            )
            rate_rps = node_rate_rps(tables, room_tokens, float(prompt_tokens[index]), float(output_tokens[index]))
            served += float(model_share[index])
            node_s += float(model_share[index]) / rate_rps
        if node_s > 0:
            stages_rps += sum(group.count * group.nodes for group in groups) * served / node_s
    if stages_rps <= 0:
        raise MaestroError(
            f"Scenario `{config.name}`: its capacity is zero, because no node hosts a model that the workload asks "
            "for. Check the models' popularity, `workload.model_map` and the fleet."
        )
    return stages_rps / calls_per_workflow


def _alike(config: ScenarioConfig) -> dict[tuple[NodeKind, tuple[bool, ...]], list[HostGroupConfig]]:
    """Groups of hosts by kind of node and by which deployments they may host, in order of first use."""
    found: dict[tuple[NodeKind, tuple[bool, ...]], list[HostGroupConfig]] = {}
    for cluster in config.fleet.clusters:
        for group in cluster.hosts:
            allowed = tuple(d.placement is None or d.placement.allows(cluster, group) for d in config.models)
            found.setdefault((NodeKind(group.gpu, group.tp), allowed), []).append(group)
    return found


def node_rate_rps(tables: StepTables, kv_tokens: int, prompt_tokens: float, output_tokens: float) -> float:
    """Reckon mu_m: stages a second of a saturated node that serves one model alone.

    B = min(max_num_seqs, KV tokens / (prompt + output)) sequences decode in every step. A stage then needs
    (output - 1) / B steps, into which its prompt is mixed in chunks of at most the token budget less B; where
    prompts outweigh outputs every step is filled with chunks. The time a stage occupies the node is the sum of
    the steps it needs, the token-dependent part read from the tables at the (fractional) step sizes.

    Args:
        tables: Step tables of the model on its node.
        kv_tokens: KV tokens that fit beside the model.
        prompt_tokens: Mean prompt.
        output_tokens: Mean output, at least 1.

    Returns:
        Stages a second.
    """
    perf = tables.perf
    budget = float(len(tables.step_s) - 1)
    batch = max(1.0, min(float(len(tables.sample_s) - 1), kv_tokens / (prompt_tokens + output_tokens)))
    decoded = max(0.0, output_tokens - 1.0)  # the first token comes with the last chunk of the prompt
    room = max(1.0, budget - batch)
    chunk_steps = max(1.0, prompt_tokens / room)  # of a stage, if chunks are not packed together
    steps = decoded / batch
    if steps >= chunk_steps:
        mixed, pure = chunk_steps, steps - chunk_steps
    else:
        # More chunks than steps to carry them: prompts share steps, every step has prefill.
        steps = mixed = max(steps, (prompt_tokens + decoded) / budget)
        pure = 0.0
    decoding = decoded / steps
    seconds = mixed * _tokens_s(tables, decoding + prompt_tokens / mixed) + pure * _tokens_s(tables, decoding)
    seconds += steps * float(np.interp((decoded + 1.0) / steps, np.arange(len(tables.sample_s)), tables.sample_s))
    seconds += mixed * float(perf["att_prefill_const_s"])
    seconds += float(perf["att_prefill_s_per_pair"]) * prompt_tokens * prompt_tokens / 2.0
    if decoded > 0:
        context = prompt_tokens + output_tokens / 2.0
        attention = {
            name: float(np.interp(decoding, np.arange(len(tables.decode)), tables.decode[name]))
            for name in ("const_s", "s_per_token")
        }
        seconds += steps * attention["const_s"]
        seconds += decoded * (attention["s_per_token"] * context)
    return 1.0 / seconds


def _tokens_s(tables: StepTables, tokens: float) -> float:
    """Read the token-dependent part of a step between whole numbers of tokens."""
    if tokens <= 1.0:
        return float(tables.step_s[1])
    return float(np.interp(tokens, np.arange(len(tables.step_s)), tables.step_s))
