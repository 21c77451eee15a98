"""How near a workload is to the trace that it was fitted to: two-sample distances of its lengths and times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from maestro_gym.state import Episode
from maestro_gym.workloads import (
    FamilyWorkload,
    MachineFamilySpec,
    Trace,
    make_deployments,
    trace_episode,
    unit_service,
)
from maestro_gym.workloads.applications.spec import FamilySpec

SAMPLE_CALLS = 200_000
_SAMPLE_KEY = 7
QUANTITIES = {
    "calls per workflow": "calls",
    "output": "tokens",
    "input": "tokens",
    "gap": "s",
}
"""What is compared, with units. The gap is that after every call but a workflow's last."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """The numbers of one application of a workload.

    Attributes:
        values: float64 by quantity of ``QUANTITIES``.
        reuse: Share of the prompt tokens that an earlier call of the same prefix group held.
        role_calls: Calls of a role in a workflow, float64, shape (workflows,), by role.
    """

    values: dict[str, np.ndarray]
    reuse: float
    role_calls: dict[str, np.ndarray]


def sample_episode(episode: Episode, role_names: tuple[str, ...], application: int | None = None) -> Sample:
    """Take an episode's numbers.

    Args:
        episode: The episode.
        role_names: By ``stages.role``.
        application: Only this one; None: all.

    Returns:
        The numbers.
    """
    workflows, stages, hidden = episode.workflows, episode.stages, episode.hidden
    own = np.ones(len(workflows), bool) if application is None else workflows["application"] == application
    mine = own[stages["workflow"]]
    workflows, stages, hidden = workflows[own], stages[mine], hidden[mine]
    place = np.cumsum(own) - 1
    of_workflow = place[stages["workflow"]]
    shared = np.maximum(stages["ctx_prefix_tokens"], stages["sys_prefix_tokens"])
    return Sample(
        values={
            "calls per workflow": workflows["num_stages"].astype(np.float64),
            "output": hidden["output_tokens"].astype(np.float64),
            "input": stages["prompt_tokens"].astype(np.float64),
            "gap": hidden["tool_gap_s"][hidden["num_children"] > 0],
        },
        reuse=float(shared.sum() / max(stages["prompt_tokens"].sum(), 1)),
        role_calls={
            role_names[role]: np.bincount(of_workflow[stages["role"] == role], minlength=len(workflows)).astype(float)
            for role in np.unique(stages["role"])
        },
    )


def sample_trace(trace: Trace, application: str | None = None) -> Sample:
    """Take a trace's numbers.

    Args:
        trace: The trace.
        application: Only this one; None: all.

    Returns:
        The numbers.
    """
    index = None if application is None else trace.application_names.index(application)
    return sample_episode(trace_episode(trace), trace.role_names, index)


def sample_family(name: str, spec: FamilySpec | MachineFamilySpec, rate_rps: float) -> tuple[Sample, dict[str, Sample]]:
    """Draw a large sample of a family for one deployment whose context has no end.

    Args:
        name: The family's name.
        spec: Its content.
        rate_rps: Rate of its workflows, on which it depends which conversation one continues.

    Returns:
        The numbers of all, and those by application; roles without the name of their application.
    """
    anything = make_deployments(("any",), [1.0], ["medium"], [1 << 24])
    made = FamilyWorkload(name, spec, anything)
    horizon_s = SAMPLE_CALLS / made.mix().calls_per_workflow / rate_rps
    episode = made.episode(_SAMPLE_KEY, rate_rps, horizon_s, unit_service(1, 1 << 24))
    roles = tuple(role.partition(".")[2] for role in made.role_names)
    parts = {
        application: sample_episode(episode, roles, index)
        for index, application in enumerate(made.application_names)
        if (episode.workflows["application"] == index).any()
    }
    return sample_episode(episode, roles), parts


def merge(samples: list[Sample]) -> Sample:
    """Put the numbers of several traces together, each workflow once."""
    prompts = [float(sample.values["input"].sum()) for sample in samples]
    return Sample(
        values={name: np.concatenate([sample.values[name] for sample in samples]) for name in QUANTITIES},
        reuse=float(np.average([sample.reuse for sample in samples], weights=prompts)),
        role_calls={},
    )


def match_rows(application: str, family: Sample, trace: Sample) -> list[Row]:
    """Compare the numbers of a family with those of its trace.

    Errors are family / trace - 1. KS is the largest distance of the two distribution functions, in [0, 1];
    W1 the Wasserstein distance, in units of the quantity and relative to the trace's mean.

    Args:
        application: Name for the rows.
        family: Numbers of the family.
        trace: Numbers of the trace.

    Returns:
        A row a quantity.
    """
    rows = []
    for name, unit in QUANTITIES.items():
        ours, theirs = family.values[name], trace.values[name]
        if not len(ours) or not len(theirs):
            continue
        row: Row = {"application": application, "quantity": name, "unit": unit, "trace_n": len(theirs)}
        for label, level in (("median", 0.5), ("p90", 0.9)):
            wanted, got = float(np.quantile(theirs, level)), float(np.quantile(ours, level))
            row |= {f"{label}_trace": wanted, label: got, f"{label}_error_%": _error(got, wanted)}
        distance = float(wasserstein_distance(ours, theirs))
        mean = float(theirs.mean())
        row |= {
            "ks": float(np.asarray(ks_2samp(ours, theirs))[0]),
            "w1": distance,
            "w1_of_mean_%": 100 * distance / mean if mean > 0 else 0.0 if distance == 0 else float("nan"),
        }
        rows.append(row)
    return rows


def summary_rows(application: str, sample: Sample) -> list[Row]:
    """Describe the numbers of one workload.

    Args:
        application: Name for the rows.
        sample: Its numbers.

    Returns:
        A row a quantity.
    """
    rows = []
    for name, unit in QUANTITIES.items():
        values = sample.values[name]
        if len(values):
            row: Row = {"application": application, "quantity": name, "unit": unit, "n": len(values)}
            row |= {label: float(np.quantile(values, level)) for label, level in _LEVELS.items()}
            rows.append(row | {"mean": float(values.mean()), "max": float(values.max())})
    return rows


_LEVELS = {"p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99}


def role_rows(application: str, family: Sample, trace: Sample, other: str) -> list[Row]:
    """Compare how often roles are called in a workflow, which loops decide.

    Args:
        application: Name for the rows.
        family: Numbers of the family.
        trace: Numbers of the trace.
        other: The family's role that rare ones were put into.

    Returns:
        A row a role, the most frequent first.
    """
    grouped: dict[str, np.ndarray] = {}
    for role, calls in trace.role_calls.items():
        name = role if role in family.role_calls else other
        grouped[name] = grouped[name] + calls if name in grouped else calls
    nobody = np.zeros(len(family.values["calls per workflow"]))
    rows = []
    for role, calls in sorted(grouped.items(), key=lambda item: -float(item[1].mean())):
        ours = family.role_calls.get(role, nobody)
        rows.append(
            {
                "application": application,
                "role": role,
                "mean_trace": float(calls.mean()),
                "mean": float(ours.mean()),
                "mean_error_%": _error(float(ours.mean()), float(calls.mean())),
                "p90_trace": float(np.quantile(calls, 0.9)),
                "p90": float(np.quantile(ours, 0.9)),
            }
        )
    return rows


def _error(got: float, wanted: float) -> float:
    if wanted == 0:
        return 0.0 if got == 0 else float("nan")
    return 100 * (got / wanted - 1)
