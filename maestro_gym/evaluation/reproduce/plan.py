"""The comparisons that the claims need: two fleets at high contention, and sweeps, most of them on the small one.

Loads are relative to the capacity (docs/workloads.md, "Offered load"). All sizes of sweeps are choices: the paper
publishes neither its loads nor any of the other axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro_gym.config import config_names
from maestro_gym.evaluation.reproduce.variants import clusters, interactive_share, popularity_skew, slo_tightness
from maestro_gym.evaluation.worker import scenario_of

PAPER, QUICK, TOLD = "paper", "quick", "predictors"
STOCK = {PAPER: "paper-stock", QUICK: "quick-stock"}
"""Names of the comparisons in which a rival runs on nodes as stock vLLM has them: fixed pools, endless queues."""

FIRST_SEED = 10
"""Test episodes of seeds 0 to 2 were looked at while scenarios and policies were made (configs/scenarios)."""

HIGH = ("contention=high",)

MAIN_POLICIES = (
    *("maestro", "edf", "edf+maestro", "edf-relegation+maestro", "edf@early", "edf-early", "fcfs"),
    *("maestro-max-reservation", "maestro-no-preemption", "maestro-no-prediction"),
    *("no-colocation", "no-colocation+maestro"),
)
SWEPT_POLICIES = ("maestro", "edf", "edf+maestro", "edf@early")
PREDICTORS = ("oracle", "boosted", "role_median", "constant", "noisy")


@dataclass(frozen=True)
class Part:
    """One comparison.

    Attributes:
        name: Of its folder.
        words: What is compared, for progress.
        scenario: A name of configs/scenarios.
        overrides: Of the scenario.
        policies: Who takes part.
        seeds: Evaluation seeds.
        predictors: What informs them in turn; none: the scenario's own.
    """

    name: str
    words: str
    scenario: str
    overrides: tuple[str, ...]
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    predictors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axis:
    """One sweep.

    Attributes:
        name: Of the swept quantity.
        words: What its values mean.
        scenario: Where it is swept; empty: wherever the readings are.
        points: Value and name of the comparison, in order.
    """

    name: str
    words: str
    scenario: str
    points: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes:
        main_seeds: Seeds of the comparisons at high contention.
        swept_seeds: Seeds of each point of a sweep.
        loads: Offered loads on the small fleet.
        paper_loads: Offered loads on the paper's.
        tightness: Factors of deadlines and TTFT limits.
        skews: Exponents of popularity by rank.
        shares: Shares of interactive workflows.
        clusters: Numbers of clusters of the same eight nodes.
        test_workflows: Fresh workflows that predictors are tried on.
    """

    main_seeds: int
    swept_seeds: int
    loads: tuple[float, ...]
    paper_loads: tuple[float, ...]
    tightness: tuple[float, ...]
    skews: tuple[float, ...]
    shares: tuple[float, ...]
    clusters: tuple[int, ...]
    test_workflows: int


FULL = Size(
    main_seeds=10,
    swept_seeds=5,
    loads=(0.9, 1.1, 1.3, 1.5, 1.8, 2.2),
    paper_loads=(0.7, 0.9, 1.1, 1.5, 2.2),
    tightness=(0.5, 0.75, 1.0, 1.5, 2.0),
    skews=(0.0, 0.5, 1.0, 1.5, 2.0),
    shares=(0.2, 0.4, 0.6, 0.8, 0.95),
    clusters=(1, 2, 4, 8),
    test_workflows=3000,
)
SMALL = Size(
    main_seeds=3,
    swept_seeds=3,
    loads=(0.9, 1.5, 2.2),
    paper_loads=(0.7, 1.5),
    tightness=(0.5, 2.0),
    skews=(0.0, 1.5),
    shares=(0.2, 0.95),
    clusters=(1, 4),
    test_workflows=1000,
)
SIZES = {"full": FULL, "small": SMALL}


def make_plan(size: Size, folder: Path) -> tuple[list[Part], list[Axis]]:
    """Write down what is run.

    Args:
        size: How much.
        folder: Where files of workloads and fleets for sweeps are written.

    Returns:
        The comparisons and the sweeps, which name some of them.
    """
    main, swept = _seeds(size.main_seeds), _seeds(size.swept_seeds)
    parts = [Part(name, f"`{name}`, high contention", name, HIGH, MAIN_POLICIES, main) for name in (PAPER, QUICK)]
    parts += [_stock(name, main) for name in (PAPER, QUICK)]
    parts.append(Part(TOLD, "predictors", "quick", HIGH, ("maestro",), main, PREDICTORS))
    axes = []
    for name, scenario, words, values, overrides in _sweeps(size, folder):
        points = [(value, f"{name.replace(' ', '-')}-{value:g}") for value in values]
        axes.append(Axis(name, words, scenario, tuple(points)))
        parts += [
            Part(part, f"{name} {value:g}", scenario, overrides(value), SWEPT_POLICIES, swept) for value, part in points
        ]
    return parts, axes


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(FIRST_SEED, FIRST_SEED + count))


def _stock(name: str, seeds: Sequence[int]) -> Part:
    """Early EDF on stock nodes, at the rate of arrivals that the scenario has with Maestro's memory."""
    limits = ("limits.memory_mode=partitioned", "limits.node_queue_limit=inf")
    rate = f"workload.rate_rps={scenario_of(name, HIGH).rate_rps!r}"
    words = f"`{name}`, early EDF on stock nodes"
    return Part(STOCK[name], words, name, (*HIGH, *limits, rate), ("edf@early",), tuple(seeds))


def _sweeps(
    size: Size, folder: Path
) -> list[tuple[str, str, str, tuple[float, ...], Callable[[float], tuple[str, ...]]]]:
    """Name, scenario, words and values of each sweep, and what a value changes."""

    def load(value: float) -> tuple[str, ...]:
        return (f"workload.load={value!r}",)

    return [
        ("load", QUICK, "offered load relative to the capacity", size.loads, load),
        (
            "load on paper",
            PAPER,
            "the same on the paper's fleet, where Maestro's backlog stops draining earlier",
            size.paper_loads,
            load,
        ),
        (
            "SLO tightness",
            QUICK,
            "factor of all deadlines and TTFT limits, at high contention",
            size.tightness,
            lambda value: (*HIGH, slo_tightness(value, folder)),
        ),
        (
            "popularity skew",
            QUICK,
            "share of the model of rank r is proportional to r to minus this, at high contention",
            size.skews,
            lambda value: (*HIGH, popularity_skew(value, folder)),
        ),
        (
            "interactive share",
            QUICK,
            "of the workflows, at high contention",
            size.shares,
            lambda value: (*HIGH, interactive_share(value, folder)),
        ),
        (
            "clusters",
            QUICK,
            "that the same eight nodes are divided into, 30 ms apart, at high contention",
            size.clusters,
            lambda value: (*HIGH, clusters(int(value), folder)),
        ),
    ]


def missing(policies: Sequence[str], known: Sequence[str]) -> list[str]:
    """Policies of the plan that the table of policies lacks.

    Args:
        policies: Names, ``@early`` or not.
        known: Names of the table.
    """
    return [name for name in policies if name.partition("@")[0] not in {*known, *config_names("policies")}]
