"""Metrics of reserved KV memory: what admission sets aside, beside what static reservations would have.

A static reservation gives every running stage the same length, or the longest that it may reach, for as long as it
runs. Its integral needs no second run: it is known from when each stage ran and what a token of its model takes.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome

KV_CAPS_TOKENS = (8192, 32768)
"""Context lengths that operators commonly cap requests at (choice), vLLM's ``--max-model-len``: 8k and 32k."""


def _saving(reserved_byte_s: float, static_byte_s: float) -> float:
    return 1.0 - share(reserved_byte_s, static_byte_s)


def _capped_byte_s(outcome: Outcome, cap_tokens: np.ndarray | float) -> float:
    """Integral of a reservation of ``cap_tokens`` a running stage, or of its context where that is longer."""
    tokens = np.maximum(np.minimum(cap_tokens, outcome.context_limit_tokens), outcome.context_tokens)
    return float((tokens * outcome.kv_bytes_per_token * outcome.stay_s).sum())


define(
    "kv_reserved_per_stage_bytes",
    unit="byte",
    better="lower",
    formula="kv_reserved_byte_s / sum over stages of the time from the last admission to the last token",
    description="The KV memory that admission sets aside for a running stage, on average over the time that stages "
    "run, on each GPU. Shared blocks count once. The time of a stage before a pause is not logged.",
    compute=lambda o: share(o.counters["kv_reserved_byte_s"], o.stay_s.sum()),
)
define(
    "kv_reserved_peak_bytes",
    unit="byte",
    better="lower",
    formula="max over the run of kv_reserved_bytes, all nodes",
    description="The most KV memory that was reserved at a time.",
    compute=lambda o: o.counters["kv_reserved_peak_bytes"],
)
define(
    "kv_saving_output_limit",
    unit="1",
    better="higher",
    formula="1 - kv_reserved_byte_s / kv_virtual_byte_s",
    description="The reserved KV memory that is saved against reserving prompt and `max_output_tokens` for each of "
    "the same stages, for as long as it ran.",
    compute=lambda o: _saving(o.counters["kv_reserved_byte_s"], o.counters["kv_virtual_byte_s"]),
)
for cap_tokens in KV_CAPS_TOKENS:
    define(
        f"kv_saving_{cap_tokens // 1024}k",
        unit="1",
        better="higher",
        formula="1 - kv_reserved_byte_s / sum over stages of max(min(cap, longest context of the model), prompt and "
        f"output) x KV bytes of a token x time that it ran; cap = {cap_tokens} tokens",
        description="The same against reserving one context length for every stage. A stage whose own context is "
        "longer counts with that.",
        compute=lambda o, cap=float(cap_tokens): _saving(o.counters["kv_reserved_byte_s"], _capped_byte_s(o, cap)),
    )
define(
    "kv_saving_static_max",
    unit="1",
    better="higher",
    formula="1 - kv_reserved_byte_s / sum over stages of longest context of the model x KV bytes of a token x time "
    "that it ran",
    description="The same against reserving the longest context that the stage's model can hold, the static maximum "
    "of a request.",
    compute=lambda o: _saving(o.counters["kv_reserved_byte_s"], _capped_byte_s(o, np.inf)),
)
define(
    "kv_overcommit",
    unit="1",
    better="neither",
    formula="kv_virtual_byte_s / kv_used_byte_s",
    description="Virtual over physical: the address space that was granted per mapped byte.",
    compute=lambda o: share(o.counters["kv_virtual_byte_s"], o.counters["kv_used_byte_s"]),
)
define(
    "kv_overcommit_peak",
    unit="1",
    better="neither",
    formula="max over the run of kv_virtual_bytes of all nodes / usable HBM of the fleet",
    description="The most address space that was granted at a time, per byte of HBM that is there. Maestro's pool "
    "has 122 GB of addresses on 40 GB, a limit of 3.05.",
    compute=lambda o: share(o.counters["kv_virtual_peak_bytes"], o.hbm_bytes),
)
define(
    "oom_rate",
    unit="1",
    better="lower",
    formula="oom_events / admitted stages",
    description="Failures to map a page per stage that was admitted.",
    compute=lambda o: share(o.counters["oom_events"], float(np.isfinite(o.first_admitted_s).sum())),
)
