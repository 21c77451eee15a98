"""Metrics of calls that one node prefills and another decodes (docs/disaggregation.md)."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.metrics.define import define, share
from maestro_gym.episodes.metrics.outcome import Outcome


def _handoff_mean_s(outcome: Outcome) -> float:
    handed = np.isfinite(outcome.handed_over_s)
    waits_s = np.minimum(outcome.decode_admitted_s, outcome.cap_s)[handed] - outcome.handed_over_s[handed]
    return float(waits_s.mean()) if handed.any() else float("nan")


define(
    "transfers",
    unit="stages",
    better="neither",
    formula="count",
    description="How often the KV of a stage went from the node that prefilled it to another that decodes.",
    compute=lambda o: o.counters["transfers"],
)
define(
    "transfer_bytes",
    unit="bytes",
    better="lower",
    formula="sum over transfers of tokens * KV bytes of a token on all GPUs of the node that prefilled them",
    description="KV that went so.",
    compute=lambda o: o.counters["transfer_bytes"],
)
define(
    "transfer_mean_s",
    unit="s",
    better="lower",
    formula="mean over transfers of latency + bytes / bandwidth",
    description="Time that the KV of a stage was on its way. Missing where none was.",
    compute=lambda o: share(o.counters["transfer_s"], o.counters["transfers"]),
)
define(
    "handoff_mean_s",
    unit="s",
    better="lower",
    formula="mean over stages that were handed over of min(last admission after it, cap) - first token at that node",
    description="Time from the first token on the node that prefilled a stage to its admission where it decodes: the "
    "wait for a place there, the transfer, the queue. It is a part of `tpot`. Missing where nothing was handed over.",
    compute=_handoff_mean_s,
)
