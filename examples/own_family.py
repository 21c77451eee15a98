"""A rule of your own with numbers that a search moves: weights of a cluster rule.

    python examples/own_family.py
    maestro-gym search --family examples/own_family.py:RULE+maestro generations=20
    maestro-gym compare --trust -c high -p maestro,examples/own_family.py:RULE+maestro,runs/search/MY_RUN

Declare a `Number` for each (unit, range of a search, default, meaning) and read it by its place.
"""

from __future__ import annotations

from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.load_signals import stages_at, work_wait_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import LATE, route_by
from maestro_gym.scheduling.view import model_of, number
from maestro_gym.state import View

NUMBERS = (
    Number("work", "s/s", 0, 4, 1, "Cost for each second of predicted work at the node."),
    Number("ready", "s/s", 0, 8, 1, "Cost for each second until the model is ready there."),
    Number("crowd", "s/stage", 0, 4, 0, "Cost for each stage at the node."),
)
WORK, READY, CROWD = places(NUMBERS)


def cost(view: View, e: int, stage: int, node: int) -> float:
    """Weighted seconds of work and of loading, and of company at the node."""
    waits = number(view, e, WORK) * work_wait_s(view, e, node)
    waits += number(view, e, READY) * ready_time_s(view, e, node, model_of(view, e, stage))
    return waits + number(view, e, CROWD) * stages_at(view, e, node)


RULE = route_by(
    cost,
    gate=LATE,
    numbers=NUMBERS,
    name="weighted-start",
    information="P",
    description="least weighted work, load time and company",
    source="an example",
)


def main() -> None:
    """Run the rule with its defaults and with other numbers on the same episode, as a search does with many."""
    from dataclasses import replace

    from maestro_gym.baselines import complete
    from maestro_gym.episodes import Scenario, result_row, run_episode

    scenario = Scenario.load("quick", ["contention=high", "horizon_s=120", "drain_s=300"])
    policy = complete(RULE, "maestro")
    assert policy.family is not None
    for values in (policy.family.defaults(), (1.0, 2.0, 0.5)):
        moved = replace(policy, numbers=policy.family.in_view(values))
        row = result_row(run_episode(scenario, moved, "validation", seed=0))
        slo, mean_s = row["slo_attainment"], row["completion_mean_s"]
        print(f"{values}: {slo:.1%} in time, mean completion {mean_s:.1f} s")


if __name__ == "__main__":
    main()
