"""What a predictor may know of a stage when it becomes ready, as a table of numbers.

A stage becomes ready when the stages it depends on, its *ancestors*, have been executed. Their true
lengths, tool calls and tool gaps are known by then, whatever the schedule was; nothing else of the
hidden truth is read here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.state import Episode
from maestro_gym.workloads import by_name


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    Attributes:
        group: What an ablation takes out together.
        meaning: One line for the documentation, with the unit.
        categorical: A code without order; nan where there is none.
    """

    group: str
    meaning: str
    categorical: bool = False


# Categorical columns stand first: scikit-learn moves them there, and trees count columns from where they end up.
FEATURES: dict[str, Feature] = {
    "role": Feature("role", "the agent that calls", categorical=True),
    "application": Feature("application", "the workflow's application", categorical=True),
    "parent_role": Feature("parents", "role of the last parent", categorical=True),
    "cls": Feature("application", "0 interactive, 1 batch"),
    "depth": Feature("position", "longest path from a root [stages]"),
    "num_ancestors": Feature("position", "executed stages that it depends on"),
    "num_parents": Feature("position", "in-degree"),
    "invocation_index": Feature("invocation", "earlier calls of its role in the workflow"),
    "tools_available": Feature("tools", "tools that the call offers"),
    "prompt_tokens": Feature("prompt", "prompt length [tokens]"),
    "prefix_tokens": Feature("prompt", "leading prompt tokens that are shared, the longer of both kinds [tokens]"),
    "max_output_tokens": Feature("prompt", "the client's limit [tokens]"),
    "parent_output_tokens": Feature("previous", "output of the last parent [tokens]"),
    "parents_output_tokens": Feature("previous", "outputs of all parents together [tokens]"),
    "own_output_tokens": Feature("previous", "output of its role's last call among the ancestors [tokens]"),
    "mean_output_tokens": Feature("previous", "mean output of the ancestors [tokens]"),
    "parent_tool": Feature("parents", "whether the last parent called a tool"),
    "parent_gap_s": Feature("parents", "longest tool gap of the parents [s]"),
    "own_tool": Feature("parents", "whether its role's last call among the ancestors called a tool"),
    "tool_calls": Feature("parents", "ancestors that called a tool"),
    "tool_streak": Feature("parents", "tool calls in a row up to the last parent, along last parents"),
    "new_tokens": Feature("parents", "prompt beyond the last parent's prompt and output [tokens]"),
}

NAMES = tuple(FEATURES)
COLUMN = {name: index for index, name in enumerate(NAMES)}
GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES.values()))
CATEGORICAL = tuple(index for index, feature in enumerate(FEATURES.values()) if feature.categorical)

_FROM_ANCESTORS = (
    *(name for name in NAMES if FEATURES[name].group in ("previous", "parents")),
    "num_ancestors",
    "num_parents",
)
_ANCESTRY = np.dtype([(name, "f8") for name in _FROM_ANCESTORS])


@njit
def _follow(
    workflows: np.ndarray, stages: np.ndarray, hidden: np.ndarray, children: np.ndarray, facts: np.ndarray
) -> None:
    """Write what the ancestors of every stage tell; stage order within a workflow is topological."""
    for w in range(len(workflows)):
        first = workflows[w].first_stage
        count = workflows[w].num_stages
        above = np.zeros((count, count), np.bool_)  # above[s, t]: t is an ancestor of s
        parent_of = np.full(count, -1, np.int64)  # the last parent
        for s in range(count):
            stage = stages[first + s]
            fact = facts[first + s]
            fact.parent_role = np.nan
            fact.parent_output_tokens = np.nan
            fact.own_output_tokens = np.nan
            fact.mean_output_tokens = np.nan
            fact.parent_tool = np.nan
            fact.own_tool = np.nan
            fact.new_tokens = stage.prompt_tokens
            total_tokens = 0.0
            for t in range(s):
                if not above[s, t]:
                    continue
                truth = hidden[first + t]
                fact.num_ancestors += 1.0
                fact.tool_calls += truth.tool_intent
                total_tokens += truth.output_tokens
                if stages[first + t].role == stage.role:
                    fact.own_output_tokens = truth.output_tokens
                    fact.own_tool = truth.tool_intent
            if fact.num_ancestors > 0.0:
                fact.mean_output_tokens = total_tokens / fact.num_ancestors
            p = parent_of[s]
            if p >= 0:
                truth = hidden[first + p]
                fact.parent_role = stages[first + p].role
                fact.parent_output_tokens = truth.output_tokens
                fact.parent_tool = truth.tool_intent
                fact.new_tokens = stage.prompt_tokens - stages[first + p].prompt_tokens - truth.output_tokens
                if truth.tool_intent > 0:
                    fact.tool_streak = facts[first + p].tool_streak + 1.0
            own = hidden[first + s]
            for edge in range(own.child_start, own.child_start + own.num_children):
                child = children[edge] - first
                above[child, s] = True
                for t in range(s):
                    above[child, t] = above[child, t] or above[s, t]
                parent_of[child] = s
                told = facts[first + child]
                told.num_parents += 1.0
                told.parents_output_tokens += own.output_tokens
                told.parent_gap_s = max(told.parent_gap_s, own.tool_gap_s)


def stage_features(episode: Episode) -> np.ndarray:
    """Tell what is known of every stage at the moment it becomes ready.

    Args:
        episode: The episode; predictions are not read.

    Returns:
        float64, shape (num_stages, len(FEATURES)), columns in the order of ``FEATURES``; nan where there is
        nothing to tell, such as the parent of a root.
    """
    stages, workflows = episode.stages, episode.workflows
    facts = np.zeros(len(stages), _ANCESTRY)
    _follow(by_name(workflows), by_name(stages), by_name(episode.hidden), episode.children, by_name(facts))
    table = np.empty((len(stages), len(NAMES)))
    for name, column in COLUMN.items():
        if name in _FROM_ANCESTORS:
            table[:, column] = facts[name]
        elif name in ("application", "cls"):
            table[:, column] = workflows[name][stages["workflow"]]
        elif name == "prefix_tokens":
            table[:, column] = np.maximum(stages["sys_prefix_tokens"], stages["ctx_prefix_tokens"])
        else:
            table[:, column] = stages[name]
    return table
