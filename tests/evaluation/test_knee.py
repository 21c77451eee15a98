"""The knee: the bisection by itself, the measurement on a small scenario, and where there is none to find."""

import math
from pathlib import Path

import pytest

from maestro_gym.config import load_scenario, scenario_names
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.knee import HIGHEST, LEFT_SHARE, LOWEST, STEPS, bisect, measure_knee

SHORT = ("horizon_s=60", "drain_s=200", "workload.family=toy")


@pytest.mark.parametrize("edge", [0.2, 1.0, 2.7, 15.0])
def test_bisection_closes_in_on_an_edge(edge: float) -> None:
    asked: list[float] = []

    def holds(value: float) -> bool:
        asked.append(value)
        return value < edge

    low, high = bisect(holds, LOWEST, HIGHEST, STEPS)
    assert low < edge <= high
    assert math.log2(high / low) == pytest.approx(7 / 2**STEPS)
    assert len(asked) == STEPS


@pytest.mark.parametrize(("answer", "end"), [(True, 8.0), (False, 0.5)])
def test_bisection_keeps_an_end_that_it_never_leaves(answer: bool, end: float) -> None:
    assert end in bisect(lambda _: answer, 0.5, 8.0, 5)


def test_a_knee_lies_between_a_load_that_drains_and_one_that_does_not_and_is_the_same_again() -> None:
    knee = measure_knee("toy", SHORT, policy="fcfs", seeds=(0,))
    (drained, few), (kept, many) = knee.drained, knee.kept
    assert drained < knee.load < kept < 1.03 * drained
    assert few <= LEFT_SHARE < many
    assert knee.rate_rps == pytest.approx(knee.load * knee.capacity_rps)
    # Neither the label nor a fixed rate of the scenario matters: the search sets the rate.
    assert measure_knee("toy", (*SHORT, "workload.rate_rps=0.3"), policy="fcfs", seeds=(0,)) == knee


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ("workload.trace=sample", 'workload.model_map={"*": small}', "workload.trace_arrivals=own"),
            "trace_arrivals=scaled",
        ),
        (("horizon_s=4", "drain_s=0"), "Lengthen drain_s"),
        (("horizon_s=1", "drain_s=4000"), "Shorten drain_s"),
    ],
)
def test_where_there_is_no_knee_the_message_says_what_to_change(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        measure_knee("toy", overrides, policy="fcfs", seeds=(0,))


def test_the_documented_knees_are_those_of_the_scenarios() -> None:
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
    cells = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    # Other tables have names of their own; loads stand in this one only.
    rows = {row[1].strip(" `"): row for row in cells if len(row) > 5 and row[4].strip().replace(".", "").isdigit()}
    assert set(rows) >= {"quick", "paper", "mixture", "toy"}
    for name in scenario_names():
        knee = load_scenario(name).workload.knee
        assert (knee is not None) == (name in rows)
        if knee is None:  # a scenario whose load is its point
            continue
        assert float(rows[name][4]) == pytest.approx(knee.load)
