"""Metrics of the fleet, from the integrals and counts that the run keeps."""

from __future__ import annotations

from collections.abc import Callable

from maestro_gym.episodes.metrics.define import Better, define, share
from maestro_gym.episodes.metrics.outcome import Outcome


def _counter(name: str) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.counters[name]


def _time_mean(name: str) -> Callable[[Outcome], float]:
    return lambda outcome: share(outcome.counters[name], outcome.end_s)


def _ratio(part: str, whole: str) -> Callable[[Outcome], float]:
    return lambda outcome: share(outcome.counters[part], outcome.counters[whole])


_KV: tuple[tuple[str, str, Better], ...] = (
    ("reserved", "the memory reserved by admission, with pinned shared blocks", "lower"),
    ("used", "the mapped KV blocks, with cached prefixes, where a shared block counts once", "neither"),
    ("virtual", "the address space that was granted, for the prompt and the largest output", "neither"),
)
_COUNTS: tuple[tuple[str, str, Better, str], ...] = (
    ("cold_starts", "loads", "lower", "The number of engine starts from CPU, DISK or REMOTE."),
    ("wakes", "loads", "neither", "The number of promotions from SLEEPING to RUNNING."),
    ("sleeps", "models", "neither", "The number of demotions from RUNNING to SLEEPING."),
    ("demotions", "models", "neither", "The number of demotions to CPU or below."),
    ("preemptions", "pauses", "lower", "How often a running stage was paused, to be recomputed."),
    (
        "boundary_preemptions",
        "stages",
        "neither",
        "How often the next stage of a workflow was passed over for another workflow.",
    ),
    ("oom_events", "events", "lower", "How often no page could be mapped, which forced a pause or a rejection."),
    ("growths", "events", "neither", "How often a stage outgrew its reservation."),
    ("recomputed_tokens", "tokens", "lower", "The number of tokens that were computed again after a pause."),
    ("invalid_actions", "actions", "lower", "The number of actions that were illegal and replaced."),
)

for kind, meaning, better in _KV:
    define(
        f"kv_{kind}_byte_s",
        unit="byte s",
        better=better,
        formula=f"integral over the run of kv_{kind}_bytes, all nodes",
        description=f"KV memory multiplied by time: {meaning}.",
        compute=_counter(f"kv_{kind}_byte_s"),
    )
    define(
        f"kv_{kind}_mean_bytes",
        unit="byte",
        better=better,
        formula=f"kv_{kind}_byte_s / end_s",
        description=f"The mean KV memory over the run: {meaning}.",
        compute=_time_mean(f"kv_{kind}_byte_s"),
    )
define(
    "kv_used_ratio",
    unit="1",
    better="higher",
    formula="kv_used_byte_s / kv_reserved_byte_s",
    description="How much of the reserved memory was mapped. The value is above 1 where cached prefixes, which are "
    "used but not reserved, outweigh idle reservations.",
    compute=_ratio("kv_used_byte_s", "kv_reserved_byte_s"),
)
define(
    "kv_virtual_ratio",
    unit="1",
    better="neither",
    formula="kv_virtual_byte_s / kv_reserved_byte_s",
    description="The overcommitment: the address space that was granted per reserved byte.",
    compute=_ratio("kv_virtual_byte_s", "kv_reserved_byte_s"),
)
for name, unit, better, description in _COUNTS:
    define(
        name,
        unit=unit,
        better=better,
        formula="count over the run",
        description=description,
        compute=_counter(name),
    )
define(
    "hbm_utilisation",
    unit="1",
    better="higher",
    formula="(weights_byte_s + kv_used_byte_s) / (usable HBM of the fleet x end_s)",
    description="The share of usable HBM that holds something: weights, the margins of engines, what sleeping engines "
    "keep, and mapped KV.",
    compute=lambda o: share(o.counters["weights_byte_s"] + o.counters["kv_used_byte_s"], o.hbm_bytes * o.end_s),
)
define(
    "compute_utilisation",
    unit="1",
    better="higher",
    formula="sum over engines of the time of their steps, without the slowdown by neighbours / (nodes x end_s)",
    description="The share of node time that goes into steps, each counted as if its engine had the node to itself.",
    compute=lambda o: share(o.counters["busy_s"], o.num_nodes * o.end_s),
)
define(
    "prefix_hit_rate",
    unit="1",
    better="higher",
    formula="cached_tokens / prompt_tokens of admitted stages",
    description="The share of prompt tokens that were served from the prefix cache.",
    compute=_ratio("cached_tokens", "prompt_tokens"),
)
define(
    "end_s",
    unit="s",
    better="neither",
    formula="end of the run",
    description="The simulated time at which the run ended: drained, at the cap, or out of events.",
    compute=lambda o: o.end_s,
)
