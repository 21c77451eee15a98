"""compare: what it runs, what it leaves behind, and what it says; episodes are made by hand."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation import compare as compare_module
from maestro_gym.evaluation import entrants, worker
from maestro_gym.evaluation.compare import compare, run_compare
from maestro_gym.evaluation.worker import Runner
from tests.evaluation.by_hand import make_result

DELAY_S = {"fcfs": 0.6, "maestro": 0.0, "slow": 30.0, "oracle": 0.0, "mine": 2.0}
Result = make_dataclass("Result", list(vars(make_result())))


@dataclass(frozen=True)
class HandMadePolicy:
    name: str
    learned: bool = False

    @property
    def information(self) -> str:
        return "O" if self.name == "oracle" else "N"

    @property
    def rules(self) -> tuple[SimpleNamespace, ...]:
        return tuple(SimpleNamespace(name=f"{self.name}-{tier}") for tier in ("global", "cluster", "node", "reclaim"))


def hand_made_scenario(name: str, overrides: tuple[str, ...]) -> SimpleNamespace:
    chosen = [text.partition("=")[2] for text in overrides if text.startswith("contention=")]
    contention = "custom" if any(text.startswith("workload.load=") for text in overrides) else [*chosen, "medium"][0]
    rate_rps = {"low": 1.0, "medium": 1.6, "high": 2.2, "overload": 3.0}.get(contention, 1.8)
    config = SimpleNamespace(name=name, contention=contention, seeds=[0, 1, 2], host_groups=[])
    workload = SimpleNamespace(notes=())
    return SimpleNamespace(config=config, workload=workload, rate_rps=rate_rps, capacity_rps=2.0, knee_rps=4.0)


def load_policy(spec: str, scenario: SimpleNamespace) -> HandMadePolicy:
    if spec not in DELAY_S:
        raise MaestroError(f"no policy is called {spec!r}")
    return HandMadePolicy(spec, learned=spec == "mine")


def run_episode(scenario: SimpleNamespace, policy: HandMadePolicy, *, seed: int, samples: int, **_: object) -> object:
    result = make_result(policy.name, seed, delay_s=DELAY_S[policy.name] + 0.1 * seed)
    return Result(**{**vars(result), "samples": result.samples if samples else result.samples[:0]})


RUNNER = Runner(load_policy, run_episode)


@pytest.fixture(autouse=True)
def _no_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "scenario_of", hand_made_scenario)
    monkeypatch.setattr(compare_module, "scenario_of", hand_made_scenario)
    monkeypatch.setattr(compare_module, "dump_config", lambda config: f"name: {config.name}\n")
    monkeypatch.setattr(compare_module, "sweep_facts", lambda *_: {"facts": "made by hand"})
    worker.policy_of.cache_clear()


@pytest.fixture
def words() -> Console:
    return Console(file=io.StringIO(), width=200)


def read(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_every_policy_meets_every_setting_and_seed_once() -> None:
    found = compare(["tiny"], ["fcfs", "maestro"], contentions=["low", "high"], runner=RUNNER, jobs=1)
    runs = found.rows[["contention", "policy", "seed"]]
    assert len(runs) == len(runs.drop_duplicates()) == 2 * 2 * 3
    assert [(s.contention, s.load) for s in found.settings] == [("low", 0.5), ("high", 1.1)]
    assert [s.title for s in found.settings] == [
        "tiny, low contention (load 0.5, 0.25 of the knee)",
        "tiny, high contention (load 1.1, 0.55 of the knee)",
    ]
    assert "knee not measured" in replace(found.settings[0], knee_rps=None).title
    assert len(found.traces) == 2 * 2, "one drawn episode for each policy and setting"


def test_a_row_names_all_rules_the_information_class_and_the_load() -> None:
    found = compare(["tiny"], ["oracle"], runner=RUNNER, jobs=1)
    row = found.rows.iloc[0]
    assert row["global_rule"] == "oracle-global"
    assert row["cluster_rule"] == "oracle-cluster"
    assert row["node_rule"] == "oracle-node"
    assert row["reclaim_rule"] == "oracle-reclaim"
    assert (row["information"], row["learned"], row["load"]) == ("O", False, 0.8)


def test_differences_are_paired_by_seed_with_the_reference() -> None:
    found = compare(["tiny"], ["maestro", "fcfs"], seeds=[4, 2], runner=RUNNER, jobs=1)
    assert found.reference == "fcfs"
    gap = found.cell(found.settings[0], "maestro", "completion_mean_s").difference
    assert gap.estimate == pytest.approx(-0.6 * 2 / 3)  # two of three workflows finish 0.6 s earlier
    assert gap.high - gap.low == pytest.approx(0.0, abs=1e-9), "the spread over seeds cancels"


def test_the_run_folder_holds_tables_configuration_plots_and_report(tmp_path: Path, words: Console) -> None:
    found, folder = run_compare(
        "tiny", ["fcfs", "maestro", "slow"], contentions=["high"], out=tmp_path / "run", runner=RUNNER, jobs=1,
        json_path=tmp_path / "elsewhere" / "copy.json", console=words,
    )  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "results.parquet"), found.rows, check_dtype=False)
    assert len(pd.read_csv(folder / "results.csv")) == len(found.rows)
    assert len(pd.read_parquet(folder / "workflows.parquet")) == 3 * len(found.rows)
    assert (folder / "config-tiny-high.yaml").read_text() == "name: tiny\n"
    assert (tmp_path / "elsewhere" / "copy.json").read_text() == (folder / "results.json").read_text()
    assert {path.name for path in (folder / "plots").iterdir()} >= {
        "tiny-slo-by-load.png",
        "tiny-completion-cdf.png",
        "tiny-kv-over-time.png",
        "tiny-gantt-fcfs.png",
    }
    assert (folder / "report.html").exists()


def test_the_json_holds_intervals_versions_and_null_for_the_unknown(tmp_path: Path, words: Console) -> None:
    _, folder = run_compare("tiny", ["fcfs", "slow"], seeds=[0], out=tmp_path, runner=RUNNER, jobs=1, console=words)
    document = json.loads((folder / "results.json").read_text())
    assert document["run"]["seeds"] == [0]
    assert document["run"]["versions"]["maestro-gym"]
    assert [setting["knee_rps"] for setting in document["settings"]] == [4.0]
    entry = next(entry for entry in document["summary"] if entry["policy"] == "slow")
    completion = entry["metrics"]["completion_mean_s"]
    assert completion["mean"] == pytest.approx((39 + 36 + 98) / 3)
    assert completion["low"] is None, "one seed has no interval"
    assert completion["difference"]["mean"] == pytest.approx(29.4 * 2 / 3)


def test_the_terminal_table_names_policies_rules_metrics_and_reference(tmp_path: Path, words: Console) -> None:
    asked: dict[str, Any] = {"runner": RUNNER, "jobs": 1, "console": words}
    run_compare("tiny", ["maestro", "fcfs"], out=tmp_path / "first", **asked)
    text = read(words)
    for expected in ("maestro (N)", "maestro-global", "SLO attainment [%]", "unfinished", "difference to fcfs"):
        assert expected in text
    assert "completion p95 [s]" not in text
    run_compare("tiny", ["maestro", "fcfs"], out=tmp_path / "wide", wide=True, **asked)
    assert "completion p95 [s]" in read(words)


def test_it_says_in_words_that_a_learned_policy_loses_to_a_heuristic(tmp_path: Path, words: Console) -> None:
    run_compare("tiny", ["fcfs", "maestro", "oracle", "mine"], out=tmp_path, runner=RUNNER, jobs=1, console=words)
    text = read(words)
    assert "mean completion time the learned policy mine LOSES to fcfs (+0.93 s" in text
    assert "mine LOSES to oracle" not in text, "an oracle is no rival"
    assert "(N, learned)" in text
    assert "Only 3 seed(s)" in text


@pytest.mark.parametrize(
    ("change", "words_of_error"),
    [
        ({"policies": []}, "No policy"),
        ({"policies": ["fcfs", "nosuch"]}, "nosuch"),
        ({"policies": ["fcfs", "fcfs"]}, "fcfs is named 2 times|named 2 times"),
        ({"reference": "edf"}, "--reference edf"),
        ({"seeds": [1, 1]}, "repeat"),
        ({"contentions": ["low", "high"], "overrides": ["workload.load=0.9"]}, "workload.load"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_paragraph(change: dict[str, Any], words_of_error: str) -> None:
    settings: dict[str, Any] = {"policies": ["fcfs"], "runner": RUNNER, "jobs": 1} | change
    with pytest.raises(MaestroError, match=words_of_error):
        compare(["tiny"], settings.pop("policies"), **settings)


def test_an_interrupt_keeps_the_episodes_so_far(tmp_path: Path) -> None:
    def interrupted(
        scenario: SimpleNamespace, policy: HandMadePolicy, *, seed: int, samples: int, **_: object
    ) -> object:
        if seed == 1:
            raise KeyboardInterrupt
        return run_episode(scenario, policy, seed=seed, samples=samples)

    with pytest.raises(KeyboardInterrupt):
        compare(["tiny"], ["fcfs", "maestro"], runner=replace(RUNNER, run=interrupted), jobs=1, folder=tmp_path)
    asked: list[int] = []

    def noted(scenario: SimpleNamespace, policy: HandMadePolicy, *, seed: int, samples: int, **_: object) -> object:
        asked.append(seed)
        return run_episode(scenario, policy, seed=seed, samples=samples)

    runner = replace(RUNNER, run=noted)
    found = compare(["tiny"], ["fcfs", "maestro"], runner=runner, jobs=1, folder=tmp_path, resume=True)
    assert asked == [1, 1, 2, 2], "what was finished is not run again"
    pd.testing.assert_frame_equal(found.rows, compare(["tiny"], ["fcfs", "maestro"], runner=RUNNER, jobs=1).rows)


def test_an_unexpected_error_says_which_episode_it_was() -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        compare(["tiny"], ["fcfs"], runner=replace(RUNNER, run=broken), jobs=1)
    assert "fcfs on tiny, medium, seed 0" in caught.value.__notes__[0]


def test_policies_of_one_name_are_told_apart_by_what_named_them() -> None:
    def always_ppo(spec: str, scenario: SimpleNamespace) -> HandMadePolicy:
        return HandMadePolicy("mine", learned=True)

    load: Callable[..., Any] = always_ppo
    found = compare(["tiny"], ["runs/a", "runs/b"], runner=replace(RUNNER, load=load), jobs=1)
    assert [policy.name for policy in found.policies] == ["mine (runs/a)", "mine (runs/b)"]
    assert np.isin(found.rows["policy"], ["mine (runs/a)", "mine (runs/b)"]).all()


def test_only_what_reads_predictions_runs_under_every_predictor() -> None:
    found = compare(["tiny"], ["fcfs", "oracle"], predictors=["boosted", "noisy:100"], runner=RUNNER, jobs=1)
    assert [(p.name, p.predictor) for p in found.policies] == [
        ("oracle@boosted", "boosted"),
        ("oracle@noisy:100", "noisy:100"),
        ("fcfs", None),
    ]
    assert len(found.rows) == 3 * 3
    assert set(found.rows.loc[found.rows["policy"] == "oracle@noisy:100", "predictor"]) == {"noisy:100"}
    assert found.reference == "fcfs"


def test_each_predictor_runs_in_a_scenario_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def scenario(name: str, overrides: tuple[str, ...]) -> SimpleNamespace:
        asked.append(overrides)
        return hand_made_scenario(name, overrides)

    monkeypatch.setattr(worker, "scenario_of", scenario)
    compare(["tiny"], ["oracle"], predictors=["noisy:100", "boosted"], contentions=["low"], runner=RUNNER, jobs=1)
    assert ("contention=low", "predictor.kind=noisy", "predictor.mae_tokens=100") in asked
    assert ("contention=low", "predictor.kind=boosted") in asked


def test_a_policy_with_limits_of_its_own_meets_them_at_the_rate_of_the_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, ...]] = []

    def scenario(name: str, overrides: tuple[str, ...]) -> SimpleNamespace:
        asked.append(overrides)
        return hand_made_scenario(name, overrides)

    monkeypatch.setattr(worker, "scenario_of", scenario)
    limits = ("limits.max_num_seqs=64",)
    monkeypatch.setattr(entrants, "own_limits", lambda spec: limits if spec == "slow" else ())
    names = ["fcfs", "slow"]
    found = compare(["tiny"], names, contentions=["low"], own_limits=True, runner=RUNNER, jobs=1)
    assert ("contention=low", "limits.max_num_seqs=64", "workload.rate_rps=1.0") in asked
    assert ("contention=low",) in asked
    assert "slow runs under limits of its own" in found.settings[0].notes[-1]
    asked.clear()
    compare(["tiny"], names, contentions=["low"], runner=RUNNER, jobs=1)
    assert set(asked) == {("contention=low",)}


@pytest.mark.parametrize(
    ("policies", "predictors", "words"),
    [
        (["oracle"], ["boostd"], "Did you mean `boosted`"),
        (["oracle"], ["boosted:3"], "boosted takes no number"),
        (["oracle"], ["noisy", "noisy"], "named 2 times"),
        (["fcfs", "slow"], ["noisy"], "none of fcfs, slow reads a prediction"),
    ],
)
def test_a_mistaken_predictor_is_explained(policies: list[str], predictors: list[str], words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        compare(["tiny"], policies, predictors=predictors, runner=RUNNER, jobs=1)
