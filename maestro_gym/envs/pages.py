"""The pages of the environments: what an environment says of itself, and what is the same for all.

A class of an environment holds its own part by hand: title, description and action space. The decorator `page` adds
the rest, so that ``help(ClusterEnv)`` shows the whole page. docs/environments.md is written from the same texts, and
shows what is shared once.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import TypeVar

from maestro_gym.envs.observation.additions import ADDITIONS, Blocks
from maestro_gym.envs.observation.columns import Column
from maestro_gym.envs.observation.layout import BLOCKS, TIER_SPECS, TierSpec
from maestro_gym.envs.single import MaestroEnv

Env = TypeVar("Env", bound=type[MaestroEnv])

MASKS = """\
Illegal actions: see `illegal`. Masks: `action_masks()`, `info["action_mask"]`, `ActionMaskObservation`.
"""

OBSERVATION = """\
## Observation Space

`Dict` of two bounded float32 `Box`es; the greatest value is 1. Row a of `candidates` describes action a and is all
zero when it is illegal. (P) marks what rests on a prediction: 0 with `information="N"`. Scales: flag 0 or 1; share
of a whole; count log1p(x) / log1p(1e4); tokens log1p(x / 16) / log1p(1e4); time log1p(x / 0.1 s) / log1p(1e5), with
its sign where it is signed; latency log1p(x / 1 ms) / log1p(1e5). Where a scenario has more to decide, such as tools
with finite places, columns stand behind these, and actions behind those of their tier: "What switches add" in
docs/environments.md.
"""

ADDED = """\
Where a scenario has a switch of docs/left_open.md, the environments show what belongs to it and let the agent decide
it. Columns of an addition stand behind all others, in the order of this table, and its actions behind those of their
tier; without the switch nothing is there, and an observation is what it was before there was one. `limits.admission`
adds actions alone: K behind the sends of the global tier, each rejecting the workflow of a shown stage.

A policy that is trained with additions names them in its card (`encoder`). It runs on scenarios without them, where
their columns are 0. One that was trained without them runs on scenarios that have them: tools serve in the order of
asking, contexts stay in the cache, nodes and degrees as they are. A model of another library is named with them, as in
`model.zip:global:tools`, and an agent in Python has an attribute `additions`.
"""

SHARED = """\
## Rewards

A sum of terms, each in `info["reward_terms"]`: minus the class-weighted number of workflows in the system, integrated
over the step (`residence`), minus 30 s for the weight of every workflow that finished after its deadline or was
rejected (`slo_missed`), minus 3 s for that of every interactive stage above its TTFT limit (`ttft_missed`). The
residence terms of an episode add up to minus the sum over workflows of weight * (min(finish, end) - arrival), where a
rejected one counts up to its deadline; the first step also carries what came before its decision. `reward="weighted"`
is this sum in weight-seconds. `reward="normalised"` is the same divided by one number of the scenario, so that -1
means: what one stage's share of a workflow costs when the workflow stays exactly until its deadline, mean(weight *
(deadline - arrival)) / mean(stages per workflow) over the training split (`reward_unit_s`). A step of an agent that
does as well as the deadlines allow is then paid about -1. Discount by time, not by decision: `discount(info["dt_s"],
horizon_s)`.

## Starting State

Episode k of an environment with seed s is `scenario.episode(split, s, k)`: `reset(seed=s)` begins episode 0, each
`reset()` the next. Any whole number from 0 on is a seed; one of 2**32 or more is folded to 32 bits by a hash. The
fleet is empty; the popular models are RUNNING unless the scenario says `cold`. The first observation is that of the
agent's first decision.

## Episode End

Truncated at the first decision at or after the scenario's `horizon_s`; arrivals never stop before it. With
`evaluation=True` arrivals stop at the horizon and the system drains: terminated when it is empty, truncated at
`horizon_s + drain_s`. Where an episode ends between two decisions, the last observation shows the fleet only and
its mask allows action 0. `info["end_reason"]`: 0 goes on, 1 drained, 2 time limit, 3 event budget (more than
200,000 events between two decisions).

## Info

The same keys at every step: `dt_s` (simulated seconds since the decision before), `sim_time_s`, `tier` (0 global, 1
cluster, 2 node, 3 none; 4 a tool's place, 5 a node's context) and `place` (cluster, node or tool) of the pending
decision, `action_mask`, `invalid_action`, `reward_terms`, `workflows_arrived`, `workflows_finished`, `episode_index`,
`end_reason`.

The last step of an episode adds `episode_metrics`: SLO attainment, completion, TTFT, cold starts, KV and every other
metric of docs/metrics.md under the names of `maestro-gym compare`, nan where there is nothing to measure. With
`evaluation=True` they are those of a comparison. A training episode is measured at its horizon, on the workflows whose
deadline had passed by then, since of the others nobody knows; its counters are those of all. With `compare_with` there
is also `reference_metrics`, the same of that policy on the same episode. Vector environments hold both in
`infos["final_info"]` (SAME_STEP) or in `infos`, Stable-Baselines3's in the info of the step that is done.

## Arguments

| argument | default | meaning |
| --- | --- | --- |
| `scenario` | `"quick"` | name or path of a scenario, a `ScenarioConfig` or a `Scenario` |
| `overrides` | `()` | `"a.b.c=value"` for a name or path, such as `"contention=high"` |
| `companions` | `"maestro"` | policy of the tiers that the agent does not drive |
| `split` | `"train"` | `train`, `validation` or `test` episodes |
| `illegal` | `"replace"` | `replace`: the lowest legal action is done and `invalid_action` set; `raise`: an error |
| `reward` | v1 `"normalised"`, v0 `"weighted"` | see Rewards; or a `RewardConfig`, or a `Reward` of your own |
| `window` | `32` | K, ready stages shown to the global tier, at least 3 |
| `information` | `"P"` | `"N"` blanks what rests on predictions |
| `evaluation` | `False` | drain after the horizon |
| `log_residency` | `False` | keep a log of promotions and demotions |
| `compare_with` | `None` | policy that plays every ended episode too, see Info |
| `observation` | `"dict"` | `"flat"`: one float32 vector, the mask at its end |
| `render_mode` | `None` | `"ansi"`: text; `"rgb_array"`: the last minute as an image; `"human"`: a window of it |

## Version History

* v1: the default reward is the normalised one. `gymnasium.make("maestro_gym.v1:Maestro/Cluster-v1")`; importing
  `maestro_gym` alone registers v0, because Gymnasium warns of a version that has a later one beside it.
* v0: first version. It stays, and differs in nothing else.
"""
"""Every section after the observation space."""


def page(env: Env) -> Env:
    """Complete the docstring of an environment: a class decorator.

    Args:
        env: A class whose docstring ends with its action space.

    Returns:
        The class. Its ``own_page`` keeps what was written by hand.
    """
    env.own_page = inspect.cleandoc(env.__doc__ or "")
    tables = observation_tables(TIER_SPECS[env.tier])
    env.__doc__ = "\n\n".join(part.strip() for part in (env.own_page, MASKS, OBSERVATION, tables, SHARED)) + "\n"
    return env


def column_table(columns: Iterable[Column]) -> str:
    """A Markdown table of columns: index, name, scale with range, meaning.

    Args:
        columns: The columns in order.

    Returns:
        Lines joined by newlines; ``P`` marks what rests on a prediction.
    """
    rows = ["| # | name | scale | min | meaning |", "| --- | --- | --- | --- | --- |"]
    for i, column in enumerate(columns):
        mark = " (P)" if column.predicted else ""
        rows.append(f"| {i} | `{column.name}` | {column.scale} | {column.low:g} | {column.meaning}{mark} |")
    return "\n".join(rows)


def observation_tables(spec: TierSpec) -> str:
    """The tables of a tier: columns of ``candidates``, then of ``context``."""
    return (
        f"`candidates`: float32, shape (A, {len(spec.row_columns)})\n\n{column_table(spec.row_columns)}\n\n"
        f"`context`: float32, shape ({len(spec.context_columns)},)\n\n{column_table(spec.context_columns)}"
    )


def environments_markdown(envs: dict[str, type[MaestroEnv]]) -> str:
    """The page of the simulated environments: each one's own part, then once what they share.

    Args:
        envs: Their classes by id.

    Returns:
        Markdown with headings from the second level on.
    """
    parts = []
    for name, env in envs.items():
        spec = TIER_SPECS[env.tier]
        parts.append(
            f"## {name}\n\n{lowered(env.own_page)}\n\n### Observation Space\n\n"
            f"{_block_table('candidates', f'(A, {len(spec.row_columns)})', spec.row_blocks)}\n\n"
            f"{_block_table('context', f'({len(spec.context_columns)},)', spec.context_blocks)}\n"
        )
    parts.append(f"## What all environments share\n\n### Masks\n\n{MASKS.strip()}\n\n{lowered(OBSERVATION).strip()}\n")
    parts.append("An observation consists of blocks of columns. The columns of each block, counted from its first:\n")
    parts += [f"#### Block `{name}`\n\n{column_table(block.columns)}\n" for name, block in BLOCKS.items()]
    parts.append(f"### What switches add\n\n{ADDED.strip()}\n\n{additions_table()}\n")
    return "\n".join([*parts, lowered(SHARED)])


def additions_table() -> str:
    """What each switch of a scenario adds to the observations."""
    rows = ["| addition | switch | environments | columns of a candidate | of the context | actions |"]
    rows.append("| --- | --- | --- | --- | --- | --- |")
    for addition in ADDITIONS.values():
        added = (_blocks_of(addition.rows), _blocks_of(addition.context), addition.actions or "-")
        where = ", ".join(name for name in TIER_SPECS if name in addition.tiers)
        rows.append(f"| `{addition.name}` | {addition.switch} | {where} | {' | '.join(added)} |")
    return "\n".join(rows)


def _blocks_of(shown: Blocks) -> str:
    blocks = dict.fromkeys(f"`{block}`" for names in shown.values() for block in names)
    return ", ".join(blocks) or "-"


def lowered(text: str) -> str:
    """A text with its headings one level below."""
    return re.sub("^## ", "### ", text, flags=re.MULTILINE)


def _block_table(part: str, shape: str, blocks: tuple[str, ...]) -> str:
    """Where the blocks of a part of an observation stand."""
    rows, at = [f"`{part}`: float32, shape {shape}\n", "| columns | block |", "| --- | --- |"], 0
    for name in blocks:
        last = at + len(BLOCKS[name].columns) - 1
        rows.append(f"| {at} | `{name}` |" if last == at else f"| {at} to {last} | `{name}` |")
        at = last + 1
    return "\n".join(rows)
