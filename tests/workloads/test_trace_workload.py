from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import (
    SPLITS,
    Deployments,
    TraceWorkload,
    episode_key,
    make_deployments,
    unit_service,
)


@pytest.fixture
def trace_file(calls: pd.DataFrame, tmp_path: Path) -> Path:
    """Forty copies of the four workflows, ten seconds apart, each with a prompt length of its own."""
    copies = []
    for i in range(40):
        copy = calls.assign(
            workflow_id=calls["workflow_id"] + f"-{i}",
            arrival_s=calls["arrival_s"] + 10.0 * i,
            ctx_group=calls["workflow_id"] + f"-{i}",
            ctx_prefix_tokens=0,
        )
        copies.append(copy.assign(prompt_tokens=copy["prompt_tokens"] + i))
    path = tmp_path / "long.csv"
    pd.concat(copies).to_csv(path, index=False)
    return path


def _identities(trace: TraceWorkload, split: str, arrivals_seed: int = 0) -> set[tuple[int, int]]:
    service = unit_service(12)
    seen = set()
    for index in range(12):
        episode = trace.episode(episode_key(split, arrivals_seed, index), 1.0, 60.0, service, split=split)
        first = episode.workflows["first_stage"]
        seen |= set(zip(episode.stages["prompt_tokens"][first], episode.hidden["output_tokens"][first], strict=True))
    return seen


@pytest.mark.parametrize("arrivals", ["own", "scaled", "process"])
def test_splits_share_no_workflow(trace_file: Path, deployments: Deployments, arrivals: str) -> None:
    workload = TraceWorkload(trace_file, deployments, arrivals=arrivals)
    blocks = [set(workload.block(split)) for split in SPLITS]
    assert all(blocks)
    assert set.union(*blocks) == set(range(160))
    assert sum(len(block) for block in blocks) == 160
    train, validation, test = (_identities(workload, split) for split in SPLITS)
    assert len(train | validation | test) == len(train) + len(validation) + len(test)


@pytest.mark.parametrize("arrivals", ["own", "scaled", "process"])
def test_episodes_respect_the_horizon_and_differ_by_index(
    trace_file: Path, deployments: Deployments, service: np.ndarray, arrivals: str
) -> None:
    workload = TraceWorkload(trace_file, deployments, arrivals=arrivals)
    episodes = [workload.episode(episode_key("train", 0, i), 0.5, 50.0, service) for i in range(4)]
    for episode in episodes:
        arrival_s = episode.workflows["arrival_s"]
        assert len(arrival_s) > 0
        assert arrival_s[0] >= 0
        assert arrival_s[-1] < 50.0
        assert np.all(np.diff(arrival_s) >= 0)
        assert np.all(episode.workflows["deadline_s"] > arrival_s)
    firsts = {(int(e.stages["prompt_tokens"][0]), int(e.hidden["output_tokens"][0])) for e in episodes}
    assert len(firsts) > 1


def test_own_times_are_the_traces(trace_file: Path, deployments: Deployments, service: np.ndarray) -> None:
    workload = TraceWorkload(trace_file, deployments, arrivals="own")
    gaps = np.diff(workload.episode(3, 99.0, 100.0, service).workflows["arrival_s"])
    assert set(np.round(gaps, 6)) == {3.0, 1.0, 5.5, 0.5}


@pytest.mark.parametrize("arrivals", ["scaled", "process"])
def test_the_rate_is_the_one_asked_for(
    trace_file: Path, deployments: Deployments, service: np.ndarray, arrivals: str
) -> None:
    workload = TraceWorkload(trace_file, deployments, arrivals=arrivals)
    assert len(workload.episode(3, 2.0, 2000.0, service).workflows) == pytest.approx(4000, rel=0.05)


def test_every_round_has_contexts_of_its_own(trace_file: Path, deployments: Deployments, service: np.ndarray) -> None:
    workload = TraceWorkload(trace_file, deployments, arrivals="process")
    episode = workload.episode(3, 2.0, 400.0, service)
    assert len(episode.workflows) > 2 * len(workload.block("train"))
    owners = pd.DataFrame({"group": episode.stages["ctx_group"], "workflow": episode.stages["workflow"]})
    assert owners.groupby("group")["workflow"].nunique().max() == 1


def test_history_is_of_the_training_split(trace_file: Path, deployments: Deployments, service: np.ndarray) -> None:
    workload = TraceWorkload(trace_file, deployments)
    history = workload.history(20, service)
    assert len(history.workflows) == 20
    prompts = workload.trace.stages["prompt_tokens"][
        workload.trace.workflows["first_stage"][list(workload.block("train"))]
    ]
    assert set(history.stages["prompt_tokens"][history.workflows["first_stage"]]) <= set(prompts)


def _rename_models(path: Path, names: dict[str, str]) -> Path:
    frame = pd.read_csv(path, keep_default_na=False)
    frame["model"] = frame["model"].replace(names)
    frame.to_csv(path, index=False)
    return path


def test_an_unmapped_model_is_listed_with_a_line_to_paste(trace_file: Path, deployments: Deployments) -> None:
    path = _rename_models(trace_file, {"model-0": "gpt-4", "model-1": ""})
    with pytest.raises(MaestroError) as raised:
        TraceWorkload(path, deployments, model_map={"gpt-5": "model-0"})
    message = str(raised.value)
    assert "`gpt-4`" in message
    assert "a blank name" in message
    assert "workload.model_map=" in message


def test_the_star_and_the_empty_key_map_what_is_left(trace_file: Path, deployments: Deployments) -> None:
    path = _rename_models(trace_file, {"model-0": "gpt-4", "model-1": ""})
    trace = TraceWorkload(path, deployments, model_map={"": "model-7", "*": "model-9"}).trace
    assert set(trace.stages["model"]) == {2, 7, 9}


def test_by_popularity_spreads_workflows_and_keeps_each_together(trace_file: Path, deployments: Deployments) -> None:
    path = _rename_models(trace_file, {f"model-{i}": "any" for i in range(3)})
    stages = TraceWorkload(path, deployments, model_map={"*": "by_popularity"}).trace.stages
    assert pd.Series(stages["model"]).groupby(stages["workflow"]).nunique().max() == 1
    assert len(set(stages["model"])) > 6


def test_a_map_to_no_deployment_suggests_one(trace_file: Path, deployments: Deployments) -> None:
    with pytest.raises(MaestroError, match="Did you mean `model-10`"):
        TraceWorkload(trace_file, deployments, model_map={"*": "model10"})


@pytest.fixture
def narrow() -> Deployments:
    return make_deployments(("model-0", "model-1", "model-2"), [1, 1, 1], ["small"] * 3, [2048] * 3)


def test_a_prompt_above_the_models_limit_names_its_row(trace_file: Path, narrow: Deployments) -> None:
    with pytest.raises(MaestroError, match=r"row 2, column `prompt_tokens`.*40 of 320.*overlong=clip"):
        TraceWorkload(trace_file, narrow)


def test_clip_shortens_prompts_and_counts_them(trace_file: Path, narrow: Deployments) -> None:
    workload = TraceWorkload(trace_file, narrow, overlong="clip")
    stages, hidden = workload.trace.stages, workload.trace.hidden
    assert workload.overlong_count == 40
    assert "40 calls were clipped" in workload.notes[0]
    assert len(workload.trace.workflows) == 160
    assert np.all(stages["prompt_tokens"] + hidden["output_tokens"] <= 2048)
    assert np.all(hidden["output_tokens"] <= stages["max_output_tokens"])
    assert np.all(stages["ctx_prefix_tokens"] <= stages["prompt_tokens"])


def test_a_clipped_prompt_does_not_betray_its_output(calls: pd.DataFrame, narrow: Deployments, tmp_path: Path) -> None:
    prompts = []
    for outputs in ([900, 700, 500], [900, 30, 20]):
        rows = calls[calls["call_id"] == "a"].assign(prompt_tokens=5000, output_tokens=outputs, model="model-0")
        rows.to_csv(tmp_path / "calls.csv", index=False)
        prompts.append(TraceWorkload(tmp_path / "calls.csv", narrow, overlong="clip").trace.stages)
    assert np.array_equal(*prompts)


def test_drop_leaves_whole_workflows_out_and_counts_them(trace_file: Path, narrow: Deployments) -> None:
    workload = TraceWorkload(trace_file, narrow, overlong="drop")
    assert workload.overlong_count == 40
    assert len(workload.trace.workflows) == 120
    assert set(workload.trace.workflows["num_stages"]) == {1, 2}


def test_a_trace_too_small_to_split_is_refused_where_it_is_split(
    calls: pd.DataFrame, deployments: Deployments, service: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "two.csv"
    calls[calls["workflow_id"].isin(["w1", "w2"])].to_csv(path, index=False)
    workload = TraceWorkload(path, deployments)
    with pytest.raises(MaestroError, match="at least 3"):
        workload.block("train")
    with pytest.raises(MaestroError, match="at least 3"):
        workload.episode(1, 1.0, 10.0, service)
    # Replayed whole it needs no splits.
    assert len(workload.whole(service).stages) == 6


def test_arrivals_at_one_instant_cannot_be_stretched(
    calls: pd.DataFrame, deployments: Deployments, service: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "burst.csv"
    calls.assign(arrival_s=0.0).to_csv(path, index=False)
    with pytest.raises(MaestroError, match="trace_arrivals=process"):
        TraceWorkload(path, deployments).episode(1, 1.0, 10.0, service)
    episode = TraceWorkload(path, deployments, arrivals="process").episode(1, 1.0, 20.0, service)
    assert len(episode.workflows) > 5
