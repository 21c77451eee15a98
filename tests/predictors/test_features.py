"""What is known of a stage when it becomes ready, on workflows small enough to tell by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maestro_gym.predictors.features import CATEGORICAL, COLUMN, FEATURES, NAMES, stage_features
from maestro_gym.workloads import TraceWorkload, make_deployments, unit_service

HEADER = (
    "workflow_id,call_id,parent_ids,arrival_s,application,role,model,prompt_tokens,output_tokens,max_output_tokens,"
    "tool_gap_s,class,deadline_s,ttft_limit_s,tool_intent\n"
)
# plan -> left and right -> write; left calls a tool, right does not.
DIAMOND = (
    "w,plan,,0,a,planner,m,100,20,512,0,batch,9,9,0\n"
    "w,left,plan,0,a,searcher,m,130,5,512,3,batch,9,9,1\n"
    "w,right,plan,0,a,searcher,m,140,40,512,0,batch,9,9,0\n"
    "w,write,left|right,0,a,planner,m,400,90,512,0,batch,9,9,0\n"
)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, np.ndarray]:
    path = tmp_path / "calls.csv"
    others = "".join(DIAMOND.replace("w,", f"{name},").replace(",0,a", f",{at},a") for at, name in ((1, "x"), (2, "y")))
    path.write_text(HEADER + DIAMOND + others)
    workload = TraceWorkload(path, make_deployments(("m",), [1], ["small"], [4096]))
    table = stage_features(workload.whole(unit_service(1)))
    return {name: table[:4, COLUMN[name]] for name in NAMES}


def test_a_root_knows_its_own_prompt_and_no_parent(known: dict[str, np.ndarray]) -> None:
    root = {name: values[0] for name, values in known.items()}
    assert root["prompt_tokens"] == root["new_tokens"] == 100
    assert root["num_ancestors"] == root["num_parents"] == root["tool_calls"] == 0
    for name in ("parent_role", "parent_output_tokens", "own_output_tokens", "mean_output_tokens", "parent_tool"):
        assert np.isnan(root[name]), name


def test_a_join_knows_both_arms_and_what_came_before_them(known: dict[str, np.ndarray]) -> None:
    write = {name: values[3] for name, values in known.items()}
    assert write["num_parents"] == 2
    assert write["num_ancestors"] == 3
    assert write["parents_output_tokens"] == 45
    assert write["mean_output_tokens"] == pytest.approx(65 / 3)
    assert write["own_output_tokens"] == 20  # the planner's last call
    assert write["parent_gap_s"] == 3
    assert write["tool_calls"] == 1
    assert write["parent_output_tokens"] == 40  # the last parent in the workflow's order
    assert write["tool_streak"] == 0
    assert write["new_tokens"] == 400 - 140 - 40


def test_an_arm_knows_nothing_of_its_sibling(known: dict[str, np.ndarray]) -> None:
    assert known["num_ancestors"][1:3].tolist() == [1, 1]
    assert np.isnan(known["own_output_tokens"][2])


def test_categorical_columns_stand_first() -> None:
    assert tuple(range(len(CATEGORICAL))) == CATEGORICAL
    assert all(feature.meaning for feature in FEATURES.values())


def test_the_page_on_predictors_tells_every_feature() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "predictors.md").read_text(encoding="utf-8")
    for name, feature in FEATURES.items():
        assert f"| {feature.group} | `{name}` | {feature.meaning} |" in page, name
