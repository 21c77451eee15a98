"""Metrics of stages: first tokens, decoding speed, queueing, blocking, throughput."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, define_distribution, share
from maestro_gym.episodes.metrics.outcome import Outcome
from maestro_gym.state import INTERACTIVE

TTFT_GRID_S = (1, 2, 5, 10, 20)
"""Thresholds of interactive TTFT that are counted beside the applications' own limits (choice): 2 s is the limit of
MLPerf Inference's chat server (Llama-2-70B, v4.0); 1 and 10 s are Nielsen's limits of an unbroken thought and of
attention ("Usability Engineering", 1993, chapter 5); 5 and 20 s lie between and beyond."""


def _ttft_within(outcome: Outcome, limit_s: np.ndarray | float) -> float:
    """Share of interactive stages whose first token comes within a limit."""
    asked = outcome.stage_cls == INTERACTIVE
    met = outcome.ready & (outcome.first_token_s - np.where(outcome.ready, outcome.ready_s, 0.0) <= limit_s)
    return share((met & asked).sum(), asked.sum())


def _tpot_s(outcome: Outcome) -> np.ndarray:
    whole = outcome.finished & (outcome.generated_tokens > 1)
    return (outcome.stage_finished_s[whole] - outcome.first_token_s[whole]) / (outcome.generated_tokens[whole] - 1)


def _queueing_delay_s(outcome: Outcome) -> np.ndarray:
    return (np.minimum(outcome.first_admitted_s, outcome.cap_s) - outcome.ready_s)[outcome.ready]


def _mean_of_ready(outcome: Outcome) -> float:
    return float(outcome.blocked_s[outcome.ready].mean()) if outcome.ready.any() else float("nan")


define(
    "ttft_attainment",
    unit="1",
    better="higher",
    formula="interactive stages with first_token_s - ready_s <= ttft_limit_s / interactive stages of the episode",
    description="The share of interactive stages whose first token comes within the limit of their application. A "
    "stage that never became ready, or has no first token by the end, is a miss, so that every policy is judged on the "
    "same stages.",
    compute=lambda o: _ttft_within(o, o.ttft_limit_s),
)
for threshold_s in TTFT_GRID_S:
    define(
        f"ttft_within_{threshold_s}_s",
        unit="1",
        better="higher",
        formula=f"interactive stages with first_token_s - ready_s <= {threshold_s} s / interactive stages of the "
        "episode",
        description="As `ttft_attainment`, with one threshold for all applications. The Maestro paper calls this its "
        "SLO and does not say the threshold.",
        compute=lambda o, limit_s=float(threshold_s): _ttft_within(o, limit_s),
    )
define_distribution(
    "ttft",
    formula="min(first_token_s, cap) - ready_s over stages that became ready",
    description="The time to the first token, from readiness (the parents have finished and the gap has passed) to the "
    "first token as the controller sees it. A stage without a first token counts with its wait until the cap; a stage "
    "that never became ready does not count.",
    values=lambda o: o.ttft_s,
)
define_distribution(
    "tpot",
    formula="(finished_s - first_token_s) / (output tokens - 1) over finished stages with at least two output tokens",
    description="The time per output token after the first one, with the pauses in between.",
    values=_tpot_s,
)
define_distribution(
    "queueing_delay",
    formula="min(first admission, cap) - ready_s over stages that became ready",
    description="The time from readiness to the first admission: in the global queue, on the way to the node, and in "
    "the node's queue. Only the last admission is logged. For a stage that was paused, the earlier of its last "
    "admission and its first token stands in, which is an upper bound.",
    values=_queueing_delay_s,
)
define(
    "hol_blocking_mean_s",
    unit="s",
    better="lower",
    formula="mean over stages that became ready of: last admission among the stages that held it up - its queued_s",
    description="The time of head-of-line blocking. Stage i holds up stage j when both wait in the queue of one node, "
    "and i came earlier, was admitted no later, and asks for another model or needs more nominal service time. Waiting "
    "behind an equal or shorter stage of the same model is queueing, not blocking; waiting in the global queue is not "
    "counted.",
    compute=_mean_of_ready,
    per_class=True,
)
define(
    "hol_blocking_total_s",
    unit="s",
    better="lower",
    formula="sum of the same blocked times",
    description="The stage-seconds that are lost to head-of-line blocking.",
    compute=lambda o: float(o.blocked_s.sum()),
    per_class=True,
)
define(
    "throughput_tokens_per_s",
    unit="tokens/s",
    better="higher",
    formula="output tokens generated / end of the run",
    description="The output tokens per second from the start to the end of the run, which includes the drain.",
    compute=lambda o: share(o.generated_tokens.sum(), o.end_s),
    per_class=True,
)
