"""The claims, one entry each: what the paper says, where that is read, and under which conditions it is measured here.

Labels of sources, as in docs/baselines.md. V: read in a public source. V-author: in the first author's public notes. D:
derived by arithmetic. I: inferred, a modelling choice. Nothing here is tuned to meet a figure: policies, workloads and
constants are those of every other comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maestro_gym.evaluation.reproduce.measure import Measure, change, level, points
from maestro_gym.evaluation.reproduce.plan import PAPER, QUICK, STOCK, TOLD

EDF, STRONG, RELEGATED, EARLY, WEAK = "edf", "edf+maestro", "edf-relegation+maestro", "edf@early", "edf-early"


@dataclass(frozen=True)
class Condition:
    """One way of reading a claim.

    Attributes:
        words: What is assumed.
        part: Name of the comparison, or of the study, that is looked at.
        measure: What is taken from it.
        is_claimed: Whether it is a reading of the claim; otherwise it stands beside it and does not count.
    """

    words: str
    part: str
    measure: Measure
    is_claimed: bool = True


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        id: Word for files and tests.
        title: Words for headings.
        figure: What the paper says, in ``unit``; None: no figure is known, only a direction.
        unit: "points", "%", "x" or "ms".
        direction: Which way is claimed.
        source: Label and place of the figure.
        how: How it is measured here, and what had to be assumed.
        conditions: Ways of reading it, the plainest first.
        swept: Columns of the tables of sweeps: words and measure.
        by_threshold: Columns of the table by TTFT threshold: words, comparison, and rival.
    """

    id: str
    title: str
    figure: float | None
    unit: str
    direction: Literal["higher", "lower"]
    source: str
    how: str
    conditions: tuple[Condition, ...]
    swept: tuple[tuple[str, Measure], ...] = ()
    by_threshold: tuple[tuple[str, str, str], ...] = ()


def _both(words: str, measure: Measure) -> tuple[Condition, ...]:
    """The same reading on the paper's fleet and on the small one."""
    return (Condition(f"{words}; `paper`", PAPER, measure), Condition(f"{words}; `quick`", QUICK, measure))


def _stock(words: str, measure: Measure) -> tuple[Condition, ...]:
    """The same reading, with the rival on nodes with a fixed KV pool for each engine and endless queues."""
    return (
        Condition(f"{words}; `paper`", PAPER, measure.against(STOCK[PAPER])),
        Condition(f"{words}; `quick`", QUICK, measure.against(STOCK[QUICK])),
    )


def _saving(cap: str) -> Measure:
    return level(f"kv_saving_{cap}", scale=-100.0)


_KV = Claim(
    id="kv-reservation",
    title="KV memory reserved",
    figure=-67.2,
    unit="%",
    direction="lower",
    source="V, abstract. The static rival is not described there; V-author: a memory experiment, predicted and "
    "on-demand pages against the static maximum of a request. D: a mean of 2.7k tokens against a cap of 8.2k gives "
    "-67 %",
    how="Integral over the run of the KV memory that Maestro reserves, against reserving a fixed length for each of "
    "the same stages as long as it runs; and against the same policy with `max_output_tokens` reserved. The cap is the "
    "assumption that decides.",
    conditions=(
        *_both("against 8k tokens a stage", _saving("8k")),
        *_both("against 32k tokens a stage", _saving("32k")),
        *_both("against the longest context of the model", _saving("static_max")),
        *_both("against prompt and output limit", _saving("output_limit")),
        *_both(
            "a run of Maestro against a run with output limits reserved",
            change("kv_reserved_mean_bytes", "maestro-max-reservation"),
        ),
    ),
    swept=(
        ("to 8k", _saving("8k")),
        ("to 32k", _saving("32k")),
        ("to the output limit", _saving("output_limit")),
    ),
)

_SLO = Claim(
    id="slo-edf",
    title="SLO attainment over EDF at high contention",
    figure=23.6,
    unit="points",
    direction="higher",
    source="V, abstract, in simulation. V-author: the SLO is the TTFT of interactive stages below a threshold, whose "
    "value is not known; this EDF is blind to lengths, binds early and has neither co-location nor elastic KV memory",
    how="SLO attainment of Maestro less that of EDF on the same episodes, by workflow deadline and by the TTFT limits "
    "of the applications. `edf` is a strong EDF: bound late, routed to warm nodes. `edf+maestro` has all of Maestro "
    "below it, `edf-relegation+maestro` also puts the hopeless last. `edf@early` binds at readiness and queues at the "
    "node. `edf-early` is the EDF of those notes: bound at readiness to home nodes of one model at a time, with the "
    "whole output limit reserved.",
    conditions=(
        *_both("by deadline, `edf`", points("slo_attainment", EDF)),
        *_both("by TTFT, `edf`", points("ttft_attainment", EDF)),
        *_both("by deadline, `edf+maestro`", points("slo_attainment", STRONG)),
        *_both("by TTFT, `edf+maestro`", points("ttft_attainment", STRONG)),
        *_both("by deadline, `edf-relegation+maestro`", points("slo_attainment", RELEGATED)),
        *_both("by TTFT, `edf-relegation+maestro`", points("ttft_attainment", RELEGATED)),
        *_both("by deadline, `edf@early`", points("slo_attainment", EARLY)),
        *_both("by TTFT, `edf@early`", points("ttft_attainment", EARLY)),
        *_both("by deadline, `edf-early`", points("slo_attainment", WEAK)),
        *_both("by TTFT, `edf-early`", points("ttft_attainment", WEAK)),
        *_stock("by deadline, `edf@early` on stock nodes", points("slo_attainment", EARLY)),
        *_stock("by TTFT, `edf@early` on stock nodes", points("ttft_attainment", EARLY)),
    ),
    swept=tuple(
        (f"{name}, `{rival}`", points(column, rival))
        for name, column in (("deadline", "slo_attainment"), ("TTFT", "ttft_attainment"))
        for rival in (EDF, STRONG, EARLY)
    ),
    by_threshold=tuple(
        (f"`{rival}`; `{part}`", part, rival) for rival in (EDF, STRONG, EARLY) for part in (PAPER, QUICK)
    ),
)

_QUEUEING = Claim(
    id="interactive-queueing",
    title="Queueing time of interactive stages",
    figure=-84.8,
    unit="%",
    direction="lower",
    source="V-author; the rival is not named. The same notes say 11 s to 2 ms of boundary preemption, below",
    how="Mean time from readiness to the first admission of interactive stages, Maestro against each rival.",
    conditions=tuple(
        condition
        for rival in (EDF, STRONG, EARLY, WEAK, "fcfs", "no-colocation")
        for condition in _both(f"against `{rival}`", change("queueing_delay_mean_s_interactive", rival))
    ),
    swept=tuple(
        (f"to `{rival}`", change("queueing_delay_mean_s_interactive", rival)) for rival in (EDF, STRONG, EARLY)
    ),
)

_OVERCOMMIT = Claim(
    id="kv-overcommit",
    title="Virtual over physical KV memory",
    figure=3.05,
    unit="x",
    direction="higher",
    source="V-author and D: 122 GB of addresses on a GPU of 40 GB. It is the limit here too (`limits.kv_virtual_cap`)",
    how="How far the limit is used: addresses granted at the peak over the fleet's usable HBM, and over mapped bytes "
    "on average. A grant is prompt and the client's output limit; the last reading supposes clients that set none, so "
    "that a grant is the longest context.",
    conditions=(
        *_both("peak of what was granted, over HBM", level("kv_overcommit_peak")),
        *_both("granted over mapped, on average", level("kv_overcommit")),
        *_both("granted over mapped, if clients set no output limit", level("kv_overcommit_unlimited")),
    ),
)

_OOM = Claim(
    id="oom",
    title="Failures to map a page",
    figure=0.1,
    unit="%",
    direction="lower",
    source="V-author, in an older note, without a table: under 0.1 %",
    how="Failures per admitted stage under Maestro.",
    conditions=(
        *_both("under Maestro", level("oom_rate", scale=100.0)),
        Condition("under Maestro at a load of 2.2; `quick`", "load-2.2", level("oom_rate", scale=100.0)),
    ),
)

_COLOCATION = Claim(
    id="co-location",
    title="Co-location against none",
    figure=None,
    unit="points",
    direction="higher",
    source="V-author: No-Colocation is a baseline of the paper; no figure is known",
    how="SLO attainment by deadline of Maestro less that of one model a node at a time, with static homes of models, "
    "which is what separates the two most; with plain rules and under Maestro's global order.",
    conditions=(
        *_both("against `no-colocation+maestro`", points("slo_attainment", "no-colocation+maestro")),
        *_both("against `no-colocation`", points("slo_attainment", "no-colocation")),
    ),
)

_MAE = Claim(
    id="predictor-mae",
    title="Error of predicted output lengths against Magnus",
    figure=-19.2,
    unit="%",
    direction="lower",
    source="V-author and V-2nd: 165.43 tokens, Magnus about 204.7 (D), on texts that are not public",
    how="Mean absolute error of the boosted predictor against rivals on fresh workflows, intervals by bootstrap over "
    "workflows. No texts, hence no semantic features on either side: `magnus_like` is Magnus' random forest on prompt "
    "length and application, `prompt_median` the same knowledge fitted to the median as Maestro's regressor is.",
    conditions=(
        Condition("against `magnus_like`", "predictor", Measure("study", "mae_tokens", reference="magnus_like")),
        Condition("against `prompt_median`", "predictor", Measure("study", "mae_tokens", reference="prompt_median")),
        Condition(
            "against `role_median`, which is not Magnus",
            "predictor",
            Measure("study", "mae_tokens", reference="role_median"),
            is_claimed=False,
        ),
    ),
)


def _told(policy: str, reference: str) -> Measure:
    return Measure("points", "slo_attainment", policy=f"maestro@{policy}", reference=f"maestro@{reference}")


_WORTH = Claim(
    id="prediction-worth",
    title="What prediction is worth",
    figure=None,
    unit="points",
    direction="higher",
    source="the paper's premise; no figure is known",
    how="SLO attainment by deadline of Maestro under one predictor less that under another, all else alike; and of "
    "Maestro less `maestro-no-prediction`, whose rules read none.",
    conditions=(
        Condition("truth less one guess for all; `quick`", TOLD, _told("oracle", "constant")),
        Condition("boosted less one guess for all; `quick`", TOLD, _told("boosted", "constant")),
        Condition("boosted less medians by role; `quick`", TOLD, _told("boosted", "role_median")),
        Condition("truth less boosted; `quick`", TOLD, _told("oracle", "boosted")),
        *_both("against `maestro-no-prediction`", points("slo_attainment", "maestro-no-prediction")),
    ),
)

_PREEMPTION = Claim(
    id="boundary-preemption",
    title="Boundary preemption on and off",
    figure=-99.98,
    unit="%",
    direction="lower",
    source="V-author, older: interactive queueing from 11 s to 2 ms. It contradicts -84.8 %: another experiment, or "
    "wrong",
    how="Mean queueing time of interactive stages under Maestro against `maestro-no-preemption`, in which later stages "
    "of workflows that have begun go first.",
    conditions=_both(
        "against `maestro-no-preemption`", change("queueing_delay_mean_s_interactive", "maestro-no-preemption")
    ),
)

_LATENCY = Claim(
    id="decision-latency",
    title="Time of a decision",
    figure=1.0,
    unit="ms",
    direction="lower",
    source="V-author, of the trees alone: inference under 1 ms; no figure of a whole decision is known",
    how="Wall time of an episode under Maestro divided by its decisions of all tiers, which also counts the simulation "
    "and is therefore an upper bound; and the time of the boosted prediction for one stage that is asked for alone.",
    conditions=(
        Condition("a decision, upper bound; `paper`", "latency", Measure("latency", f"decision_ms {PAPER}")),
        Condition("a decision, upper bound; `quick`", "latency", Measure("latency", f"decision_ms {QUICK}")),
        Condition("a prediction for one stage", "latency", Measure("latency", "prediction_ms")),
    ),
)

CLAIMS = (
    _KV, _SLO, _QUEUEING, _OVERCOMMIT, _OOM, _COLOCATION, _MAE, _WORTH, _PREEMPTION, _LATENCY
)  # fmt: skip
"""Every claim, in the order of the page."""
