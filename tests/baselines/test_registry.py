"""Policies by name, rules of the user's own, and the page that is made from the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_gym.baselines import TABLE, load_policy
from maestro_gym.baselines.baseline_docs import baselines_markdown
from maestro_gym.baselines.maestro.fitness import FitnessScale
from maestro_gym.baselines.maestro.scales import frozen_scales, scale_for
from maestro_gym.core.errors import MaestroError
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


def test_a_rule_of_the_users_own_takes_its_tier_and_maestro_the_others(rule_file: Path) -> None:
    with pytest.warns(UserWarning, match="only rules that you trust"):
        policy = load_policy(f"{rule_file}:Last")
    assert policy.cluster_rule.name == "Last"
    assert policy.cluster_rule.information == "N"
    assert policy.global_rule.name == load_policy("maestro").global_rule.name
    hand = Hand(nodes_per_cluster=3)
    assert ask(policy.cluster_rule, hand) == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (RULE_FILE, "Lost", "Did you mean `Last`"),
        (RULE_FILE.replace('"cluster"', '"clutser"'), "Last", "Did you mean `cluster`"),
        (RULE_FILE.replace('"N"', '"X"'), "Last", "information"),
        (RULE_FILE.replace("view, oracle, e", "view"), "Last", "decide"),
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
