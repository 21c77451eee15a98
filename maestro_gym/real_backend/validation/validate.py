"""How far policies on real servers are from the same policies in the simulator that is calibrated to those servers.

The live fleet is run twice or more. The difference between two live runs is the noise floor, below which no simulator
can be judged. The servers are measured before the first round and after every round, and the simulator is fitted to all
of those measurements, because a shared machine changes its speed in the meantime.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, spearmanr

from maestro_gym.config import ScenarioConfig
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.comparison_files import plain, write_results, write_table
from maestro_gym.evaluation.run_info import command_line, machine, now_utc, versions
from maestro_gym.evaluation.worker import Runner
from maestro_gym.real_backend.control.run import LiveRunner
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.real_backend.validation.calibrate_fleet import CalibratedGpu, fit_hardware, point_rows, write_hardware
from maestro_gym.real_backend.validation.measure_servers import Measured, measure_fleet
from maestro_gym.real_backend.validation.simulated_fleet import SimulatedFleet
from maestro_gym.scheduling.policy import Policy

METRICS = ("completion_mean_s", "completion_p95_s", "ttft_mean_s", "tpot_mean_s", "slo_attainment")
"""The metrics that are compared; the first one decides the order of the policies."""

AIM = 0.15
"""The relative error that is aimed at, unless twice the noise floor is larger."""

Tell = Callable[[str], None]


@dataclass
class Validation:
    """What a validation found.

    Attributes:
        rows: One row per policy and metric, with the live mean, the noise, the simulated mean, the error and a verdict.
        order: The rank correlations and the pairs of policies.
        calibration: The measured points and the fitted model.
        live: The comparisons on the servers, one per round.
        simulated: The comparison in the calibrated simulator.
        info: The command, the machine, the load, its drift and further facts of the run.
    """

    rows: list[dict[str, Any]]
    order: dict[str, Any]
    calibration: CalibratedGpu
    live: list[Comparison]
    simulated: Comparison
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a validation is asked to do.

    Attributes:
        fleet: The fleet, whose servers are up.
        policies: The specs of two or more policies.
        folder: The run folder.
        workload: The ``workload`` section of a scenario without a rate.
        load: The offered load relative to the calibrated capacity.
        horizon_s: The time before which workflows arrive.
        seeds: The seeds of the test episodes of each round.
        rounds: How often everything is run on the servers.
        repeats: The number of repetitions of each measured point.
        trust: Whether servers that a live run itself starts may be something else than plain vLLM.
    """

    fleet: LiveFleetConfig
    policies: Sequence[str]
    folder: Path
    workload: dict[str, Any] = field(default_factory=lambda: {"family": "live"})
    load: float = 0.8
    horizon_s: float = 40.0
    seeds: Sequence[int] = (0,)
    rounds: int = 2
    repeats: int = 3
    trust: bool = False


def validate(plan: Plan, load_policy: Callable[[str, Scenario], Policy], tell: Tell) -> Validation:
    """Run policies on the servers and in the simulator, and compare the two.

    Args:
        plan: What to do.
        load_policy: Makes a policy from its spec.
        tell: Called with lines of progress.

    Returns:
        What was found; the run folder holds the results, the event logs, the hardware and the scenario.

    Raises:
        MaestroError: The fleet does not answer, a policy cannot run live, or there is nothing to compare.
    """
    if len(plan.policies) < 2 or plan.rounds < 2:
        raise MaestroError("A validation needs two policies or more, for their order, and two rounds, for the noise.")
    started = time.monotonic()
    folder, fleet = plan.folder, plan.fleet
    bare = write_scenario(scenario_document(fleet, plan.workload | {"load": plan.load}), folder / "uncalibrated.yaml")
    tell("measuring the servers")
    measured = [measure_fleet(fleet, bare, plan.repeats, lambda _: None)]
    fitted = fit_hardware(bare, measured[0])
    rate_rps = _rate_rps(plan, fitted, measured)
    _write_calibrated(plan, fitted, measured, rate_rps, folder / "scenario.yaml")
    live, loads = [], [os.getloadavg()[0]]
    for number in range(1, plan.rounds + 1):
        tell(f"round {number} of {plan.rounds} on the servers: {len(plan.policies)} policies")
        runner = Runner(load_policy, LiveRunner(fleet, folder, f"live-{number}", plan.trust))
        live.append(_compare(plan, folder / "scenario.yaml", runner))
        (folder / f"live-{number}").mkdir(exist_ok=True)
        write_results(live[-1], folder / f"live-{number}")
        loads.append(os.getloadavg()[0])
        tell("measuring the servers again")
        measured.append(measure_fleet(fleet, bare, plan.repeats, lambda _: None))
    pooled = fit_hardware(bare, _pool(measured))
    write_hardware(pooled, folder / "hardware.yaml")
    _write_calibrated(plan, pooled, measured, rate_rps, folder / "simulated.yaml")
    tell("the same in the calibrated simulator")
    simulated = _compare(plan, folder / "simulated.yaml", Runner(load_policy, SimulatedFleet(fleet)))
    (folder / "simulated").mkdir(exist_ok=True)
    write_results(simulated, folder / "simulated")
    found = Validation(
        rows=metric_rows([comparison.rows for comparison in live], simulated.rows),
        order=order_of([comparison.rows for comparison in live], simulated.rows),
        calibration=pooled,
        live=live,
        simulated=simulated,
        info={
            "command": command_line(),
            "created": now_utc(),
            "machine": machine(),
            "versions": versions(),
            "fleet": fleet.name,
            "load": plan.load,
            "rate_rps": rate_rps,
            "workflows": int(simulated.rows["workflows"].iloc[0]),
            "stages": int(simulated.rows["stages"].iloc[0]),
            "unfinished": int(sum(comparison.rows["unfinished"].sum() for comparison in live)),
            "api_s": _api_s(measured),
            "drift": _drift(measured),
            "load_average": loads,
            "seconds": time.monotonic() - started,
        },
    )
    _write(found, folder)
    return found


def metric_rows(live: Sequence[pd.DataFrame], simulated: pd.DataFrame) -> list[dict[str, Any]]:
    """Compare servers and simulator, metric by metric and policy by policy.

    Times are compared relative to the live mean, and the attainment as a difference of shares. The noise floor of a
    metric is the difference between two live rounds, averaged over the policies.

    Args:
        live: The rows of each round, one per seed and policy.
        simulated: The rows of the simulator.

    Returns:
        The rows of a table.
    """
    rows = []
    for metric in METRICS:
        means = policy_means(simulated, metric)
        values = np.array([[policy_means(table, metric)[name] for name in means] for table in live])
        middle = values.mean(0)
        scale = np.ones_like(middle) if metric == "slo_attainment" else middle
        own_noise = _spread(values) / scale
        floor = float(own_noise.mean())
        errors = (np.array(list(means.values())) - middle) / scale
        for index, policy in enumerate(means):
            rows.append(
                {
                    "policy": policy,
                    "metric": metric,
                    "live": float(middle[index]),
                    "simulated": means[policy],
                    "error_%": 100.0 * float(errors[index]),
                    "own_noise_%": 100.0 * float(own_noise[index]),
                    "noise_floor_%": 100.0 * floor,
                    "within": bool(abs(errors[index]) <= max(AIM, 2.0 * floor)),
                }
            )
    return rows


def policy_means(rows: pd.DataFrame, metric: str) -> dict[str, float]:
    """Average a metric over the seeds, by policy in the order of the rows."""
    groups: dict[str, list[float]] = {}
    for policy, value in rows[["policy", metric]].itertuples(index=False):
        groups.setdefault(str(policy), []).append(float(value))
    return {policy: float(np.mean(values)) for policy, values in groups.items()}


def order_of(live: Sequence[pd.DataFrame], simulated: pd.DataFrame, metric: str = METRICS[0]) -> dict[str, Any]:
    """Compare the order of the policies on the servers with their order in the simulator.

    Args:
        live: The rows of each round.
        simulated: The rows of the simulator.
        metric: The metric by which the policies are ordered.

    Returns:
        The correlations ``kendall`` and ``spearman``; how many pairs have a live gap above the noise (the difference
        between rounds), and how many of those the simulator orders the same way; and the pairs that it does not.
    """
    means = policy_means(simulated, metric)
    names, there = list(means), np.array(list(means.values()))
    values = np.array([[policy_means(table, metric)[name] for name in names] for table in live])
    middle, noise = values.mean(0), _spread(values)
    clear, wrong = 0, []
    for i, j in combinations(range(len(names)), 2):
        gap = middle[i] - middle[j]
        if abs(gap) <= max(noise[i], noise[j], float(noise.mean())):
            continue
        clear += 1
        if gap * (there[i] - there[j]) <= 0:
            wrong.append([names[i], names[j]])
    return {
        "metric": metric,
        "kendall": _rank(kendalltau, middle, there),
        "spearman": _rank(spearmanr, middle, there),
        "kendall_between_live_rounds": _rank(kendalltau, values[0], values[1]),
        "pairs": len(names) * (len(names) - 1) // 2,
        "clear_pairs": clear,
        "clear_pairs_in_order": clear - len(wrong),
        "wrong_pairs": wrong,
    }


def verdict(found: Validation) -> list[str]:
    """Say in sentences what was shown and what was not.

    Args:
        found: The findings, from ``validate``.

    Returns:
        The sentences.
    """
    order, info = found.order, found.info
    lines = []
    for metric in METRICS:
        rows = [row for row in found.rows if row["metric"] == metric]
        worst = max(rows, key=lambda row: abs(row["error_%"]))
        inside = sum(row["within"] for row in rows)
        lines.append(
            f"{metric}: {inside} of {len(rows)} policies within {100 * AIM:.0f} % or twice the noise floor of "
            f"{worst['noise_floor_%']:.1f} %; worst {worst['policy']} with {worst['error_%']:+.1f} %."
        )
    if order["clear_pairs"]:
        lines.append(
            f"Order by {order['metric']}: of {order['clear_pairs']} pairs of policies whose live gap exceeds the noise "
            f"the simulator orders {order['clear_pairs_in_order']} the same way (Kendall {order['kendall']:+.2f}; two "
            f"live rounds agree with each other at {order['kendall_between_live_rounds']:+.2f})."
        )
    else:
        lines.append(
            f"Order by {order['metric']}: no pair of policies differs by more than the noise on the servers, so this "
            "run says nothing about their order."
        )
    if info["unfinished"]:
        lines.append(f"{info['unfinished']} workflows were unfinished at the cap of a live run: times are censored.")
    drift = max(abs(value - 1.0) for value in info["drift"].values())
    if drift > AIM:
        lines.append(
            f"The machine itself changed its speed by up to {100 * drift:.0f} % between measurements: errors of that "
            "size are not the simulator's."
        )
    return lines


def _rank(measure: Callable[..., Any], one: np.ndarray, other: np.ndarray) -> float:
    return float(measure(one, other).statistic)


def _spread(values: np.ndarray) -> np.ndarray:
    """Return the mean difference between two rounds, shape (policies,)."""
    pairs = [np.abs(values[i] - values[j]) for i, j in combinations(range(len(values)), 2)]
    return np.mean(pairs, axis=0)


def _compare(plan: Plan, path: Path, runner: Runner) -> Comparison:
    return compare([str(path)], plan.policies, seeds=list(plan.seeds), jobs=1, runner=runner)


def _rate_rps(plan: Plan, fitted: CalibratedGpu, measured: list[Measured]) -> float:
    """Return the workflows per second that make the asked load of the capacity measured first, for both alike."""
    path = plan.folder / "capacity.yaml"
    config = _write_calibrated(plan, fitted, measured, None, path)
    rate_rps = Scenario(config).rate_rps
    path.unlink()
    return rate_rps


def _write_calibrated(
    plan: Plan, fitted: CalibratedGpu, measured: list[Measured], rate_rps: float | None, path: Path
) -> ScenarioConfig:
    fleet = plan.fleet
    # In the controller's fleet state a stage runs from the moment that it is sent.
    limits = fleet.limits | {
        "api_s": 0.0,
        "dispatch_s": _api_s(measured),
        "metrics_delay_s": fleet.client.scrape_s,
    }
    sharing = [value for one in measured for value in one.sharing.values()]
    if sharing:
        # Two busy engines are each slowed by the sum of their shares.
        limits |= dict.fromkeys(("share_decode", "share_prefill"), min(1.0, max(0.01, float(np.median(sharing)) / 2)))
    calibrated = fleet.model_copy(update={"gpus": fleet.gpus | {fitted.name: fitted.gpu}, "limits": limits})
    workload = plan.workload | ({"load": plan.load} if rate_rps is None else {"rate_rps": rate_rps})
    document = scenario_document(calibrated, workload, horizon_s=plan.horizon_s, drain_s=max(60.0, 3 * plan.horizon_s))
    return write_scenario(document, path)


def _api_s(measured: list[Measured]) -> float:
    return float(np.median([one.api_s for one in measured]))


def _pool(measured: list[Measured]) -> Measured:
    points = [point for one in measured for point in one.points]
    return replace(measured[0], points=points, api_s=_api_s(measured))


def _drift(measured: list[Measured]) -> dict[str, float]:
    """Return the times of later measurements relative to the first, as medians over the points of each kind."""
    first = {(p.model, p.kind, p.prompt_tokens, p.batch): p.seconds for p in measured[0].points}
    drift = {}
    for number, one in enumerate(measured[1:], 1):
        for kind in ("prefill", "decode", "mixed"):
            ratios = [
                p.seconds / first[p.model, p.kind, p.prompt_tokens, p.batch] for p in one.points if p.kind == kind
            ]
            drift[f"{kind}_after_round_{number}"] = float(np.median(ratios))
    return drift


def _write(found: Validation, folder: Path) -> None:
    document = {
        "run": found.info,
        "order": found.order,
        "verdict": verdict(found),
        "rows": found.rows,
        "calibration": point_rows(found.calibration),
    }
    write_whole(folder / "validation.json", json.dumps(plain(document), indent=1) + "\n")
    write_table(pd.DataFrame(found.rows), folder / "validation.csv")
