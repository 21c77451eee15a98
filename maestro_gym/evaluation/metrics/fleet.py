"""Metrics of the fleet, from the integrals and counts that the run keeps."""

from __future__ import annotations

from collections.abc import Callable

from maestro_gym.evaluation.metrics.define import Better, define, share
from maestro_gym.evaluation.metrics.outcome import Outcome


def _counter(name: str) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.counters[name]


def _time_mean(name: str) -> Callable[[Outcome], float]:
    return lambda outcome: share(outcome.counters[name], outcome.end_s)


def _ratio(part: str, whole: str) -> Callable[[Outcome], float]:
    return lambda outcome: share(outcome.counters[part], outcome.counters[whole])


_KV: tuple[tuple[str, str, Better], ...] = (
    ("reserved", "set aside by admission, pinned shared blocks included", "lower"),
    ("used", "mapped KV blocks, cached prefixes included, a shared block once", "neither"),
    ("virtual", "address space granted: prompt and largest output", "neither"),
)
_COUNTS: tuple[tuple[str, str, Better, str], ...] = (
    ("cold_starts", "loads", "lower", "Engine starts from CPU, DISK or REMOTE."),
    ("wakes", "loads", "neither", "Promotions from SLEEPING to RUNNING."),
    ("sleeps", "models", "neither", "Demotions from RUNNING to SLEEPING."),
    ("demotions", "models", "neither", "Demotions to CPU or below."),
    ("preemptions", "pauses", "lower", "Running stages paused, to be recomputed."),
    ("boundary_preemptions", "stages", "neither", "A workflow's next stage passed over for another workflow."),
    ("oom_events", "events", "lower", "Page map failures that forced a pause or a rejection."),
    ("growths", "events", "neither", "Reservations that a stage outgrew."),
    ("recomputed_tokens", "tokens", "lower", "Tokens computed again after a pause."),
    ("invalid_actions", "actions", "lower", "Actions that were illegal and replaced."),
)

for kind, meaning, better in _KV:
    define(
        f"kv_{kind}_byte_s",
        unit="byte s",
        better=better,
        formula=f"integral over the run of kv_{kind}_bytes, all nodes",
        description=f"KV memory times time: {meaning}.",
        compute=_counter(f"kv_{kind}_byte_s"),
    )
    define(
        f"kv_{kind}_mean_bytes",
        unit="byte",
        better=better,
        formula=f"kv_{kind}_byte_s / end_s",
        description=f"Mean over the run of KV memory: {meaning}.",
        compute=_time_mean(f"kv_{kind}_byte_s"),
    )
define(
    "kv_used_ratio",
    unit="1",
    better="higher",
    formula="kv_used_byte_s / kv_reserved_byte_s",
    description="How much of what admission set aside was mapped. Above 1 where cached prefixes, which are used but "
    "not reserved, outweigh idle reservations.",
    compute=_ratio("kv_used_byte_s", "kv_reserved_byte_s"),
)
define(
    "kv_virtual_ratio",
    unit="1",
    better="neither",
    formula="kv_virtual_byte_s / kv_reserved_byte_s",
    description="Overcommitment: address space granted per byte set aside.",
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
    description="Share of usable HBM that holds something: weights, engine margins, sleepers' residue, mapped KV.",
    compute=lambda o: share(o.counters["weights_byte_s"] + o.counters["kv_used_byte_s"], o.hbm_bytes * o.end_s),
)
define(
    "compute_utilisation",
    unit="1",
    better="higher",
    formula="sum over engines of the time of their steps, without the slowdown by neighbours / (nodes x end_s)",
    description="Share of node time that goes into steps, each counted as if its engine had the node to itself.",
    compute=lambda o: share(o.counters["busy_s"], o.num_nodes * o.end_s),
)
define(
    "prefix_hit_rate",
    unit="1",
    better="higher",
    formula="cached_tokens / prompt_tokens of admitted stages",
    description="Share of prompt tokens served from the prefix cache.",
    compute=_ratio("cached_tokens", "prompt_tokens"),
)
define(
    "end_s",
    unit="s",
    better="neither",
    formula="end of the run",
    description="Simulated time at which the run ended: drained, at the cap, or out of events.",
    compute=lambda o: o.end_s,
)
