"""A cluster rule of your own, beside two rivals on the same episode.

    python examples/own_cluster_rule.py
    maestro-gym compare --policy examples/own_cluster_rule.py:RULE,warm-jsq,maestro
    maestro-gym policies --check examples/own_cluster_rule.py:RULE

Change `cost`: smaller is better. What a rule may read stands in maestro_gym/scheduling.
"""

from __future__ import annotations

from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.load_signals import work_wait_s
from maestro_gym.scheduling.rules import LATE, route_by
from maestro_gym.scheduling.view import model_of
from maestro_gym.state import View


def cost(view: View, e: int, stage: int, node: int) -> float:
    """Seconds until the node could serve the stage: what it has to do, and the time until its model is ready."""
    return work_wait_s(view, e, node) + ready_time_s(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    gate=LATE,
    name="soonest-start",
    information="P",
    description="least predicted work and load time",
    source="an example",
)


def main() -> None:
    """Run the rule, plainly completed and among Maestro's rules, and two rivals."""
    from maestro_gym.baselines import complete, load_policy
    from maestro_gym.episodes import Scenario, result_row, run_episode

    scenario = Scenario.load("quick", ["contention=high", "horizon_s=120", "drain_s=300"])
    policies = [complete(RULE, "plain"), complete(RULE, "maestro"), load_policy("warm-jsq"), load_policy("maestro")]
    print(f"{'policy':24} {'SLO met':>8} {'mean completion':>16} {'cold starts':>12}")
    for policy in policies:
        row = result_row(run_episode(scenario, policy, "validation", seed=0))
        slo, mean_s = row["slo_attainment"], row["completion_mean_s"]
        print(f"{policy.name:24} {slo:8.1%} {mean_s:14.1f} s {row['cold_starts']:12.0f}")


if __name__ == "__main__":
    main()
