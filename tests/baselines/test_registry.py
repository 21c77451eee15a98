"""Policies by name, rules of the user's own, and the page that is made from the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_gym.baselines import TABLE, load_policy
from maestro_gym.baselines.baseline_docs import baselines_markdown
from maestro_gym.baselines.maestro.percentiles import frozen_scales, scale_for
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
    complete_parts,
)
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.fitness_scale import FitnessScale
from tests.baselines.hand import Hand, ask

REPO = Path(__file__).resolve().parents[2]
RULE_FILE = """
class Last:
    '''The last node of the fleet.'''
    tier = "cluster"
    information = "N"

    @staticmethod
    def decide(view, oracle, e):
        return view.world.nodes.shape[0] - 1
"""


ROUTING_FILE = """
from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.rules import OPEN, route_by


def cost(view, e, stage, node):
    return float(stages_at(view, e, node))


RULE = route_by(cost, gate=OPEN, name="my-jsq", information="N", description="fewest stages", source="test")
"""


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_rule.py"
    path.write_text(RULE_FILE, encoding="utf-8")
    return path


def test_the_page_of_baselines_is_current() -> None:
    written = (REPO / "docs" / "baselines.md").read_text(encoding="utf-8")
    assert written.rstrip() == baselines_markdown().rstrip(), "run `make docs`"


def test_every_policy_loads_under_its_own_name() -> None:
    assert all(load_policy(name).name == load_policy(name).spec == name for name in TABLE)


def test_an_unknown_policy_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(MaestroError, match="Did you mean `maestro`"):
        load_policy("maestr")


def test_frozen_percentiles_are_ordered_and_the_default_stands_in_where_none_are() -> None:
    assert {"quick", "paper"} <= set(frozen_scales())
    for scale in frozen_scales().values():
        assert scale.benefit_p05_s < scale.benefit_p95_s
        assert scale.ready_p05_s < scale.ready_p95_s
        assert scale.harm_p05_s < scale.harm_p95_s
    assert scale_for("no such scenario") == FitnessScale()


def test_a_users_rule_that_decides_from_nothing_takes_its_tier(rule_file: Path) -> None:
    with pytest.warns(UserWarning, match="only rules that you trust"):
        policy = load_policy(f"{rule_file}:Last")
    assert policy.cluster_rule.name == "Last"
    assert policy.cluster_rule.information == "N"
    hand = Hand(nodes_per_cluster=3)
    assert ask(policy.cluster_rule, hand) == 2


@pytest.fixture
def routing_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_routing.py"
    path.write_text(ROUTING_FILE, encoding="utf-8")
    return path


@pytest.mark.filterwarnings("ignore:running the code")
@pytest.mark.parametrize("around", ["", "+maestro"])
def test_a_users_routing_is_completed_as_the_rivals_of_the_table_are(routing_file: Path, around: str) -> None:
    mine, rival = load_policy(f"{routing_file}:RULE{around}"), load_policy(f"jsq{around}")
    assert mine.name == f"my-jsq{around}"
    assert mine.spec == f"{routing_file}:RULE{around}"
    assert [rule.name.replace("my-jsq", "jsq") for rule in mine.rules] == [rule.name for rule in rival.rules]
    hand = Hand(num_clusters=2)
    hand.load(0, queued=3)
    hand.load(1, queued=1)
    hand.load(2, queued=2)
    hand.ready(hand.stage())
    assert ask(mine.global_rule, hand) == ask(rival.global_rule, hand)
    hand.route(0, 0)
    assert ask(mine.cluster_rule, hand) == ask(rival.cluster_rule, hand) == 1


@pytest.mark.filterwarnings("ignore:running the code")
def test_companions_that_do_not_exist_are_answered_with_the_nearest(routing_file: Path) -> None:
    with pytest.raises(MaestroError, match="Did you mean `maestro`"):
        load_policy(f"{routing_file}:RULE+maestr")


def test_every_rival_stands_in_the_table_plainly_and_with_maestros_companions() -> None:
    for rules in (ORDERS, ROUTINGS, NODE_RULES, ADMISSIONS, TOOL_ORDERS, AUTOSCALINGS, CONTEXT_RULES, REGROUPINGS):
        for rule in rules.values():
            name = getattr(rule, "table_name", "") or rule.name
            if rule.rival:
                assert {name, f"{name}+maestro"} <= set(TABLE)
                assert TABLE[name] == complete_parts(rule, "plain")
                assert TABLE[f"{name}+maestro"] == complete_parts(rule, "maestro")


def test_a_rule_is_named_as_its_file() -> None:
    folders = {"orders": ORDERS, "cluster": ROUTINGS, "node": NODE_RULES, "reclaim": RECLAIM_RULES}
    parts = {"admission": ADMISSIONS, "tools": TOOL_ORDERS, "autoscale": AUTOSCALINGS, "contexts": CONTEXT_RULES}
    parts |= {"elastic": REGROUPINGS}
    for folder, rules in (folders | parts).items():
        files = {path.stem for path in (REPO / "maestro_gym" / "baselines" / folder).glob("*.py")}
        assert {name.replace("-", "_") for name in rules} <= files


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (RULE_FILE, "Lost", "Did you mean `Last`"),
        (RULE_FILE.replace('"cluster"', '"clutser"'), "Last", "Did you mean `cluster`"),
        (RULE_FILE.replace('"N"', '"X"'), "Last", "information"),
        (RULE_FILE.replace("view, oracle, e", "view"), "Last", "decide"),
        (ROUTING_FILE.replace("view, e, stage, node)", "view, e)", 1), "RULE", r"the cost of RULE takes \(view, e\)"),
        (ROUTING_FILE.replace('"N"', '"X"'), "RULE", "information class"),
        ("1 / 0", "Last", "ZeroDivisionError"),
    ],
)
def test_a_faulty_rule_file_is_a_users_error(tmp_path: Path, text: str, name: str, message: str) -> None:
    path = tmp_path / "faulty.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MaestroError, match=message):
        load_policy(f"{path}:{name}")


def test_a_missing_rule_file_is_named() -> None:
    with pytest.raises(MaestroError, match=r"nowhere\.py"):
        load_policy("nowhere.py:Rule")
