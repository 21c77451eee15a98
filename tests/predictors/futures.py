"""Episodes that agree in what has been executed and differ in what has not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.state import Episode
from maestro_gym.workloads.graph import assemble

PERTURBED = ("prompt_tokens", "role", "invocation_index", "tools_available", "model")


class Rewritten(NamedTuple):
    """An episode with another future.

    Attributes:
        episode: the other one; it has other numbers of stages.
        before: ids of the visible stages in the old episode.
        after: their ids in the new one, in the same order.
    """

    episode: Episode
    before: np.ndarray
    after: np.ndarray


def parents_of(episode: Episode) -> list[list[int]]:
    parents: list[list[int]] = [[] for _ in episode.stages]
    for s, truth in enumerate(episode.hidden):
        for child in episode.children[truth["child_start"] : truth["child_start"] + truth["num_children"]]:
            parents[child].append(s)
    return parents


def draw_progress(episode: Episode, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Some stages that may have been executed together, and those that are visible then: executed or ready."""
    parents = parents_of(episode)
    executed = np.zeros(len(parents), bool)
    for s, above in enumerate(parents):
        executed[s] = all(executed[p] for p in above) and rng.random() < 0.7
    visible = np.array([all(executed[p] for p in above) for above in parents])
    return executed, visible


def rewrite(
    episode: Episode,
    executed: np.ndarray,
    visible: np.ndarray,
    fixed: np.ndarray,
    service: np.ndarray,
    rng: np.random.Generator,
) -> Rewritten:
    """Change lengths, tool intents and gaps of stages that are not ``fixed``, and everything about invisible ones.

    Invisible stages get other prompts, roles and models; some vanish, others come. A stage that was
    executed keeps having children, for a workflow that ended would be known to have ended.
    """
    parents, num_models = parents_of(episode), len(service)
    stages, hidden, lists, before, after = [], [], [], [], []
    workflows = episode.workflows.copy()
    for w, workflow in enumerate(episode.workflows):
        first = len(stages)
        new_id: dict[int, int] = {}
        for s in range(workflow["first_stage"], workflow["first_stage"] + workflow["num_stages"]):
            kept = [new_id[p] for p in parents[s] if p in new_id]
            deep = not visible[s] and not any(executed[p] for p in parents[s])
            if deep and (not kept or rng.random() < 0.4):
                continue
            new_id[s] = len(stages)
            stage, truth = episode.stages[s].copy(), episode.hidden[s].copy()
            if not visible[s]:
                for name in PERTURBED:
                    stage[name] = rng.integers(1, 9) if name != "model" else rng.integers(num_models)
            if not fixed[s]:
                truth["output_tokens"] = rng.integers(1, stage["max_output_tokens"] + 1)
                truth["tool_intent"] = 1 - truth["tool_intent"]
                truth["tool_gap_s"] = rng.random() * 30
            stages.append(stage)
            hidden.append(truth)
            lists.append(kept)
            if visible[s]:
                before.append(s)
                after.append(new_id[s])
        for s, new in list(new_id.items()):
            if not executed[s] and rng.random() < 0.3:
                stages.append(episode.stages[s].copy())
                hidden.append(episode.hidden[s].copy())
                lists.append([new])
        workflows[w]["first_stage"], workflows[w]["num_stages"] = first, len(stages) - first
    made, truths = np.array(stages, episode.stages.dtype), np.array(hidden, episode.hidden.dtype)
    counts = [len(above) for above in lists]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    edges = np.array([p for above in lists for p in above], np.int64)
    other = assemble(workflows, made, truths, starts, edges, service)
    return Rewritten(other, np.array(before), np.array(after))
