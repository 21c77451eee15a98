"""Fits a trace to the deployments of a scenario: model names translated, long contexts dealt with."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from maestro_gym.config import hint
from maestro_gym.core import hashing
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.applications.tables import cumulative
from maestro_gym.workloads.deployments import Deployments
from maestro_gym.workloads.traces.format import Trace

BY_POPULARITY = "by_popularity"
"""Target of a model_map that spreads workflows over all deployments by their popularity.

Turns of one conversation stay on one deployment, or its context could not be reused.
"""

_FIXED_KEY = -4


def map_models(trace: Trace, deployments: Deployments, model_map: Mapping[str, str]) -> np.ndarray:
    """Translate the trace's model names.

    Args:
        trace: The trace.
        deployments: What can be asked for.
        model_map: Trace name -> deployment or ``BY_POPULARITY``; ``*`` stands for all other names, an empty
            key for a blank name. A name that is a deployment's own needs no entry.

    Returns:
        int64, shape (num_stages,): deployment of every stage.

    Raises:
        MaestroError: A name stays without deployment, or a target does not exist.
    """
    names = deployments.names
    for target in model_map.values():
        if target != BY_POPULARITY and target not in names:
            raise MaestroError(f"workload.model_map: `{target}` is no deployment. {hint(target, names)}")
    targets = [model_map.get(name, name if name in names else model_map.get("*")) for name in trace.model_names]
    missing = [name for name, target in zip(trace.model_names, targets, strict=True) if target is None]
    if missing:
        shown = ", ".join(f"`{name}`" if name else "a blank name" for name in missing[:12])
        line = json.dumps({name: names[0] for name in missing[:12]})
        raise MaestroError(
            f"{trace.source}: asks for models that no deployment stands for: {shown}. Say which do, for example "
            f"'workload.model_map={line}', or for all at once 'workload.model_map={{\"*\": {BY_POPULARITY}}}'. "
            f"Deployments: {', '.join(names)}."
        )
    choice = np.empty((len(targets), len(trace.workflows)), np.int64)
    cdf = cumulative(deployments.popularity)
    for row, target in enumerate(targets):
        if target == BY_POPULARITY:
            draws = [hashing.uniform(_FIXED_KEY, hashing.TRACE_DEPLOYMENT, owner) for owner in _owners(trace)]
            choice[row] = np.searchsorted(cdf, draws, side="right")
        else:
            choice[row] = names.index(str(target))
    return choice[trace.stages["model"], trace.stages["workflow"]]


def _owners(trace: Trace) -> list[int]:
    """Say who chooses a deployment: the conversation that a workflow continues, else the workflow itself."""
    groups = trace.stages["ctx_group"][trace.workflows["first_stage"]]
    return np.where(groups >= 0, groups, -1 - np.arange(len(groups))).tolist()


def fit_lengths(trace: Trace, deployments: Deployments, overlong: str) -> tuple[Trace, int]:
    """Deal with calls that do not fit their deployment's context, and lower limits that could not be met.

    A server takes prompt and output up to max_model_len together. ``clip`` shortens the prompt, its
    shared prefixes in proportion, so that the share of a prompt that can be reused stays; an output
    that fills the context alone is cut to its half. All shortened prompts of a deployment leave the same
    room, that of the longest output among them: room for each call's own output would betray it.
    ``drop`` takes the whole workflow out.

    Args:
        trace: The trace, ``stages.model`` already a deployment.
        deployments: What can be asked for.
        overlong: ``error``, ``clip`` or ``drop``.

    Returns:
        The trace that fits, and the number of calls (clip) or workflows (drop) it touched.

    Raises:
        MaestroError: A call is too long under ``error``, or nothing is left under ``drop``.
    """
    stages, hidden = trace.stages.copy(), trace.hidden.copy()
    limit = deployments.max_model_len[stages["model"]]
    over = np.flatnonzero(stages["prompt_tokens"] + hidden["output_tokens"] > limit)
    if len(over) and overlong == "error":
        at = int(over[0])
        name = deployments.names[int(stages["model"][at])]
        raise MaestroError(
            f"{trace.source}: row {int(trace.rows[at])}, column `{trace.prompt_column}`: "
            f"{int(stages['prompt_tokens'][at])} prompt and {int(hidden['output_tokens'][at])} output tokens are "
            f"above the max_model_len {int(limit[at])} of `{name}`; so are {len(over)} of {len(stages)} calls. Map "
            "them to a deployment with a longer context, or set workload.overlong=clip (shorter prompts) or "
            "workload.overlong=drop (without these workflows)."
        )
    touched = len(over)
    if len(over) and overlong == "drop":
        bad = np.zeros(len(trace.workflows), bool)
        bad[stages["workflow"][over]] = True
        touched = int(bad.sum())
        if bad.all():
            raise MaestroError(
                f"{trace.source}: every workflow has a call above its deployment's max_model_len, so that "
                "workload.overlong=drop leaves nothing. Use workload.overlong=clip or a longer context."
            )
        trace = select(trace._replace(stages=stages, hidden=hidden), np.flatnonzero(~bad))
        stages, hidden = trace.stages, trace.hidden
        limit = deployments.max_model_len[stages["model"]]
    elif len(over):
        outputs = np.minimum(hidden["output_tokens"][over], np.maximum(limit[over] // 2, 1))
        room = np.minimum(outputs.max(), np.maximum(limit[over] // 2, 1))
        prompts = np.minimum(stages["prompt_tokens"][over], np.maximum(limit[over] - room, 1))
        for column in ("sys_prefix_tokens", "ctx_prefix_tokens"):
            stages[column][over] = stages[column][over] * prompts // stages["prompt_tokens"][over]
        stages["prompt_tokens"][over] = prompts
        hidden["output_tokens"][over] = outputs
    stages["max_output_tokens"] = np.minimum(stages["max_output_tokens"], limit - stages["prompt_tokens"])
    return trace._replace(stages=stages, hidden=hidden), touched


def take(trace: Trace, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the stages of chosen workflows, which may repeat.

    Args:
        trace: The trace.
        chosen: int64, shape (n,), workflow ids.

    Returns:
        Stage ids, the first new stage of each chosen workflow, and each new stage's place in ``chosen``.
    """
    counts = trace.workflows["num_stages"][chosen]
    firsts = np.cumsum(counts) - counts
    owner = np.repeat(np.arange(len(chosen)), counts)
    stage_ids = trace.workflows["first_stage"][chosen][owner] + np.arange(len(owner)) - firsts[owner]
    return stage_ids, firsts, owner


def select(trace: Trace, chosen: np.ndarray) -> Trace:
    """Return a trace of some workflows, in the order given.

    Args:
        trace: The trace.
        chosen: int64, shape (n,), workflow ids, which may repeat.

    Returns:
        The trace; parents are places within a workflow, so they stay as they are.
    """
    stage_ids, firsts, owner = take(trace, chosen)
    workflows, stages = trace.workflows[chosen].copy(), trace.stages[stage_ids].copy()
    workflows["first_stage"] = firsts
    stages["workflow"] = owner
    counts = (trace.parent_start[1:] - trace.parent_start[:-1])[stage_ids]
    starts = np.cumsum(counts) - counts
    edge_owner = np.repeat(np.arange(len(stage_ids)), counts)
    edges = trace.parent_start[stage_ids][edge_owner] + np.arange(len(edge_owner)) - starts[edge_owner]
    return trace._replace(
        workflows=workflows,
        stages=stages,
        hidden=trace.hidden[stage_ids].copy(),
        parent_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        parents=trace.parents[edges],
        rows=trace.rows[stage_ids],
        tools=trace.tools[stage_ids],
    )
