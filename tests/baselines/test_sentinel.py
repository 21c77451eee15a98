"""Rules act on what they declare: nobody but the oracle sees the future, class N sees no prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_gym.baselines import build, build_reclaim
from maestro_gym.baselines.registry import (
    ADMISSIONS,
    AUTOSCALINGS,
    CONTEXT_RULES,
    NODE_RULES,
    ORDERS,
    RECLAIM_RULES,
    REGROUPINGS,
    ROUTINGS,
    TOOL_ORDERS,
    load_policy,
)
from maestro_gym.baselines.sentinel import SCENARIO, Finding, examine, examine_rules, predicted_fields
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Rule

SCALERS = [build.global_rule(ORDERS["fcfs"], ROUTINGS["warm-jsq"], autoscaling=rule) for rule in AUTOSCALINGS.values()]
GIVERS = [
    build.global_rule(ORDERS[order], ROUTINGS["warm-jsq"], tools=rule)
    for rule in TOOL_ORDERS.values()
    for order in ("fcfs", "srtf")
]
HOLDERS = [build.node_rule(NODE_RULES["vllm"], rule) for rule in CONTEXT_RULES.values()]
RULES = [
    *(build.global_rule(order, ROUTINGS["warm-jsq"]) for order in ORDERS.values()),
    *(build.cluster_rule(routing) for routing in ROUTINGS.values()),
    *(build.node_rule(rule) for rule in NODE_RULES.values()),
    *(build_reclaim.reclaim_rule(rule) for rule in RECLAIM_RULES.values()),
    *(build.global_rule(ORDERS["fcfs"], ROUTINGS["warm-jsq"], rule) for rule in ADMISSIONS.values()),
    *SCALERS,
    *GIVERS,
    *HOLDERS,
]
"""Every part of the registry, by itself."""

PEEKER = """
from maestro_gym.scheduling.rules import {make}

{helper}

RULE = {call}
"""


def peek(folder: Path, scenario: Scenario, make: str, information: str, helper: str) -> Finding:
    """What the sentinel finds of a user's rule, made of one function."""
    function = helper.split("(")[0].removeprefix("def ")
    call = f'{make}({function}, name="peeker", information="{information}", description="peeks", source="test")'
    path = folder / "peeker.py"
    path.write_text(PEEKER.format(make=make, helper=helper, call=call), encoding="utf-8")
    policy = load_policy(f"{path}:RULE")
    tier = {"route_by": "cluster", "hold_by": "node"}.get(make, "global")
    rule = getattr(policy, f"{tier}_rule")
    (finding,) = examine_rules(policy, [rule], scenario)
    return finding


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("quick", ("contention=high", "horizon_s=60", "limits.admission=true"))


@pytest.fixture(scope="module")
def with_all() -> Scenario:
    """Nodes may be started and stopped every second, calls wait for tools, and contexts may be held."""
    return Scenario.load(*SCENARIO)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.tier} {rule.name}")
def test_a_rule_keeps_to_its_information_class(rule: Rule, scenario: Scenario) -> None:
    finding = examine(rule, scenario=scenario)
    assert finding.decisions >= 20, "it was hardly asked"
    assert finding.heeds == ()


@pytest.mark.parametrize("rule", [*SCALERS, *GIVERS, *HOLDERS], ids=lambda rule: rule.name)
def test_a_rule_keeps_to_its_class_in_what_only_some_scenarios_ask(rule: Rule, with_all: Scenario) -> None:
    finding = examine(rule, scenario=with_all)
    assert finding.scaling >= 20 or rule.tier != "global", "it was hardly asked for nodes"
    assert finding.tool >= 20 or not rule.orders_tools, "it was hardly asked for tools"
    assert finding.context >= 20 or not rule.decides_contexts, "it was hardly asked for contexts"
    assert finding.heeds == ()


@pytest.mark.parametrize("name", sorted(REGROUPINGS))
def test_a_rule_of_elastic_parallelism_keeps_to_its_information_class(name: str) -> None:
    rule = build.node_rule(NODE_RULES["vllm"], regrouping=REGROUPINGS[name])
    board = "fleet.clusters=[{name: solo, hosts: [{count: 1, host: gpu4-1152, nodes: 4, gpu: A100-80GB}]}]"
    scenario = Scenario.load("toy", (board, "limits.parallelism={degrees: [1, 2, 4], period_s: 1, switch_s: 0.1}"))
    finding = examine(rule, scenario=scenario)
    assert finding.decisions >= 20, "it was hardly asked"
    assert finding.heeds == ()


def test_the_parts_that_read_predictions_move_with_them(scenario: Scenario) -> None:
    # The sentinel is not blind: of what declares class P, most heeds a prediction when it is examined as class N.
    from dataclasses import replace

    declared = [rule for rule in RULES if rule.information == "P" and rule.tier in ("global", "cluster")]
    caught = [rule.name for rule in declared if examine(replace(rule, information="N"), scenario=scenario).heeds]
    assert {"srtf/warm-jsq", "sjf/warm-jsq", "maestro/warm-jsq", "serverlessllm", "maestro"} <= set(caught)


def test_the_field_table_says_what_rests_on_a_prediction() -> None:
    assert {"stages.remaining_s_q50", "stages.output_q50_tokens", "nodes.queued_work_s"} <= set(predicted_fields())
    assert "stages.prompt_tokens" not in predicted_fields()


@pytest.mark.filterwarnings("ignore:running the code")
@pytest.mark.parametrize(
    ("make", "information", "helper", "heeds"),
    [
        (
            "scale_by",
            "N",
            "def target(view, e):\n    work_s = 0.0\n    for node in range(view.nodes.shape[1]):\n"
            "        work_s += view.nodes[e, node].running_work_s\n    return int(work_s / 100.0) % 8 + 1",
            "nodes.running_work_s",
        ),
        (
            "give_by",
            "N",
            "def key(view, oracle, e, stage):\n    return view.stages[e, stage].future_s_q90",
            "stages.future_s_q90",
        ),
        (
            "give_by",
            "P",
            "def key(view, oracle, e, stage):\n    return oracle.truth[e, stage].tool_gap_s",
            "the true future",
        ),
        (
            "hold_by",
            "N",
            "def fate(view, e, stage, node):\n    return int(view.stages[e, stage].future_s_q50) % 20",
            "stages.future_s_q50",
        ),
    ],
    ids=["nodes by predicted work", "tools by T_future", "tools by true gaps", "contexts by T_future"],
)
def test_who_scales_gives_or_holds_and_knows_more_than_it_says_is_named_with_the_field(
    tmp_path: Path, with_all: Scenario, make: str, information: str, helper: str, heeds: str
) -> None:
    assert heeds in peek(tmp_path, with_all, make, information, helper).heeds


@pytest.mark.filterwarnings("ignore:running the code")
@pytest.mark.parametrize(
    ("information", "make", "helper", "heeds"),
    [
        (
            "N",
            "order_by",
            "def key(view, oracle, e, stage):\n    return view.stages[e, stage].remaining_s_q90",
            "stages.remaining_s_q90",
        ),
        (
            "N",
            "route_by",
            "def cost(view, e, stage, node):\n    return view.nodes[e, node].running_work_s",
            "nodes.running_work_s",
        ),
        (
            "P",
            "order_by",
            "def key(view, oracle, e, stage):\n    return float(oracle.truth[e, stage].output_tokens)",
            "the true future",
        ),
    ],
    ids=["an order that reads T_rem", "a routing that reads predicted work", "an order that reads true lengths"],
)
def test_a_users_rule_that_knows_more_than_it_says_is_named_with_the_field(
    tmp_path: Path, scenario: Scenario, information: str, make: str, helper: str, heeds: str
) -> None:
    assert heeds in peek(tmp_path, scenario, make, information, helper).heeds
