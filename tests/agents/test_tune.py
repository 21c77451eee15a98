"""Studies: what varies reaches the verb, a stopped study goes on, and nothing sees a test episode."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.agents.run_folder import CONFIG_FILE
from maestro_gym.agents.tune.optuna_parts import STUDY_FILE
from maestro_gym.agents.tune.study import BEST_FILE, PLOTS_FILE, TRIALS_FILE, TuneResult, run_tune
from maestro_gym.agents.tune.work import WORK
from maestro_gym.cli.app import app
from maestro_gym.config import config_names, load_scenario, load_search, load_tune
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from tests.cli.test_endings import PROGRAM as VERB

optuna = pytest.importorskip("optuna", reason="optuna is not installed; the extra `tune` has it")

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["contention=high", "horizon_s=20", "drain_s=60"]
LIMIT = {"path": "limits.max_num_seqs", "levels": [16, 64, 256]}
TRAINING = [
    *SHORT,
    "train.tier=cluster",
    "train.num_envs=4",
    "train.rollout_steps=16",
    "train.batch_size=32",
    "train.total_steps=192",
    "train.hidden_sizes=[8]",
    "train.eval_every_steps=64",
    "train.eval_episodes=1",
    "train.torch_threads=1",
]


def _file(folder: Path, **changes: object) -> str:
    given = {"scenario": "toy", "overrides": SHORT, "vary": [LIMIT], "seeds": [5, 6], "trials": 3, "pruner": "none"}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(given | changes), encoding="utf-8")
    return str(path)


def _study(folder: Path, **changes: object) -> TuneResult:
    return run_tune(_file(folder, **changes), out=folder / "study")


@pytest.mark.parametrize("name", config_names("tune"))
def test_a_study_that_ships_can_be_run(name: str) -> None:
    config = load_tune(name)
    work = WORK[config.verb](config, name, trust=False)
    assert work.resolve({}) != work.resolve({config.vary[0].path: (config.vary[0].levels or [config.vary[0].high])[-1]})


def test_a_study_leaves_trials_best_settings_and_figures(tmp_path: Path) -> None:
    result = _study(tmp_path, vary=[LIMIT, {"path": "limits.rho_max", "low": 0.1, "high": 1.0, "log": True}])
    assert [row["state"] for row in result.rows] == ["complete"] * 3
    assert result.best is not None
    assert result.best["slo_attainment"] == max(row["slo_attainment"] for row in result.rows)
    best = load_scenario(str(result.folder / BEST_FILE))
    assert best.limits.max_num_seqs == result.best["limits.max_num_seqs"]
    assert best.limits.rho_max == pytest.approx(result.best["limits.rho_max"])
    # Arrivals stay those of the unchanged scenario, although its capacity has another value under other limits.
    assert best.workload.rate_rps == Scenario.load("toy", SHORT).rate_rps
    page = (result.folder / PLOTS_FILE).read_text(encoding="utf-8")
    for title in ("Value of every trial", "Value by setting", "Settings together"):
        assert f"<h2>{title}</h2>" in page
    assert (result.folder / TRIALS_FILE).read_text(encoding="utf-8").count("COMPLETE") == 3
    stored = optuna.load_study(study_name=None, storage=f"sqlite:///{result.folder / STUDY_FILE}")
    assert stored.best_value == result.best["slo_attainment"]


def test_a_study_looks_at_validation_episodes_of_its_own_seeds_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[str, int]] = set()
    kept = Scenario.episode

    def watched(self: Scenario, split: str, seed: int, index: int, **other: bool) -> object:
        seen.add((split, seed))
        return kept(self, split, seed, index, **other)

    monkeypatch.setattr(Scenario, "episode", watched)
    _study(tmp_path, trials=1)
    assert seen == {("validation", 5), ("validation", 6)}


def test_the_metric_says_whether_more_is_better(tmp_path: Path) -> None:
    result = _study(tmp_path, metric="completion_mean_s", sampler="grid")
    values = {row["limits.max_num_seqs"]: row["completion_mean_s"] for row in result.rows}
    assert set(values) == {16, 64, 256}
    assert result.best is not None
    assert result.best["completion_mean_s"] == min(values.values())


@pytest.mark.parametrize("sampler", ["random", "gp", "qmc"])
def test_every_sampler_draws_what_it_is_asked_for(tmp_path: Path, sampler: str) -> None:
    vary = [{"path": "limits.max_num_seqs", "low": 16, "high": 64, "step": 16}]
    result = _study(tmp_path, sampler=sampler, vary=vary, startup_trials=1, seeds=[5], trials=2)
    assert {row["limits.max_num_seqs"] for row in result.rows} <= {16, 32, 48, 64}


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband", "wilcoxon"])
def test_every_pruner_hears_of_the_episodes(tmp_path: Path, pruner: str) -> None:
    result = _study(tmp_path, pruner=pruner, startup_trials=0, trials=2)
    assert {row["state"] for row in result.rows} <= {"complete", "pruned"}
    stored = optuna.load_study(study_name=None, storage=f"sqlite:///{result.folder / STUDY_FILE}")
    assert len(stored.trials[0].intermediate_values) == 2


def test_a_trial_that_is_plainly_worse_is_given_up(tmp_path: Path) -> None:
    # At an offered load of 8 hardly a deadline is met.
    load = {"path": "workload.load", "levels": [0.3, 8.0]}
    result = _study(tmp_path, pruner="median", vary=[load], startup_trials=0, sampler="grid")
    assert [row["state"] for row in result.rows] == ["complete", "pruned"]


def test_a_training_is_tuned_by_what_its_policy_does_on_other_validation_episodes(tmp_path: Path) -> None:
    vary = [{"path": "train.learning_rate", "low": 1e-4, "high": 1e-2, "log": True}]
    result = _study(tmp_path, verb="train", overrides=TRAINING, vary=vary, trials=2, pruner="median", startup_trials=0)
    assert result.best is not None
    resolved = load_scenario(str(result.folder / BEST_FILE))
    assert resolved.train.learning_rate == pytest.approx(result.best["train.learning_rate"])
    assert (Path(result.policy) / "policy.pt").is_file()


def test_a_search_is_tuned_by_what_its_numbers_do(tmp_path: Path) -> None:
    words = ["population=4", "generations=1", "validation_episodes=1", "episodes=1", "validate_every=1"]
    places = [{"scenario": "toy", "overrides": SHORT}]
    (tmp_path / "search.yaml").write_text(yaml.safe_dump({"places": places}), encoding="utf-8")
    changes = {"verb": "search", "scenario": None, "config": str(tmp_path / "search.yaml"), "overrides": words}
    result = _study(tmp_path, **changes, vary=[{"path": "spread", "levels": [0.5, 1.0]}], trials=2, pruner="median")
    assert result.best is not None
    assert load_search(str(result.folder / BEST_FILE)).spread == result.best["spread"]
    assert (Path(result.policy) / "policy.yaml").is_file()


# SIGINT is ignored in what a shell runs in the background.
PROGRAM = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {VERB}"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="ends a process by SIGINT")
def test_a_study_that_ctrl_c_ends_goes_on_with_the_trial_that_was_under_way(tmp_path: Path) -> None:
    endless, enough = "train.total_steps=1000000", "train.total_steps=2048"
    # Checkpoints follow each other closely and validations do not, so that it is stopped long before `enough`.
    long = [*TRAINING, "train.eval_every_steps=1000000", "train.checkpoint_every_steps=64", endless]
    vary = [{"path": "train.entropy_coefficient", "low": 0.001, "high": 0.1, "log": True}]
    folder = tmp_path / "study"
    words = ["tune", "--config", _file(tmp_path, verb="train", overrides=long, vary=vary, trials=2), "-o", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while not (folder / "trials/0000/checkpoint").exists() and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        try:
            _, told = running.communicate(timeout=120)
        finally:
            running.kill()
    assert running.returncode == 130, told
    assert "Traceback" not in told
    assert told.count("go on with:") == 1
    assert f"maestro-gym tune --resume {folder}" in told
    path = folder / CONFIG_FILE
    path.write_text(path.read_text(encoding="utf-8").replace(endless, enough), "utf-8")
    result = run_tune(None, resume=folder)
    assert [row["state"] for row in result.rows] == ["complete"] * 2
    assert result.rows[0]["trial"] == 1  # 0 is the one that was stopped
    first = optuna.load_study(study_name=None, storage=f"sqlite:///{folder / STUDY_FILE}").trials
    assert first[1].params == first[0].params
    assert first[1].user_attrs["folder"] == "trials/0000"
    assert len(list((folder / "trials").iterdir())) == 2


def test_a_study_that_has_ended_takes_further_trials(tmp_path: Path) -> None:
    folder = _study(tmp_path, trials=1).folder
    assert len(run_tune(None, resume=folder, overrides=["trials=2"]).rows) == 2
    with pytest.raises(MaestroError, match="would make another study of it"):
        run_tune(None, resume=folder, overrides=["metric=completion_mean_s"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vary": [{"path": "limits.max_num_seq", "levels": [1, 2]}]}, "max_num_seqs"),
        ({"vary": [{"path": "limits.max_num_seqs", "low": 0, "high": 8}]}, "limits.max_num_seqs=0"),
        ({"vary": [{"path": "horizon_s", "low": 8.0, "high": 2.0}]}, "low must be there and below high"),
        ({"vary": [{"path": "horizon_s", "levels": [1.0, 1.0]}]}, "levels repeat"),
        ({"vary": [LIMIT, LIMIT]}, "varied twice"),
        ({"metric": "slo"}, "slo_attainment"),
        ({"metric": "cold_start"}, "cold_starts"),
        ({"verb": "train", "overrides": TRAINING, "metric": "ttft_attainment", "pruner": "median"}, "underway"),
        ({"verb": "search"}, "leave scenario out"),
        ({"sampler": "grid", "vary": [{"path": "horizon_s", "low": 2.0, "high": 8.0}]}, "a grid needs levels"),
        ({"policy": "mestro"}, "maestro"),
    ],
)
def test_a_mistake_ends_in_one_paragraph_before_a_trial_runs(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    result = CliRunner().invoke(app, ["tune", "--config", _file(tmp_path, **changes), "-o", str(tmp_path / "study")])
    assert result.exit_code == 2, result.output
    assert "error: " in result.output
    assert says in " ".join(result.output.split()), result.output
    assert not (tmp_path / "study" / "trials.csv").exists()


def test_a_python_file_that_a_study_names_is_run_with_trust_only(tmp_path: Path) -> None:
    rule = ROOT / "examples/own_family.py"
    with pytest.raises(MaestroError, match="--trust"):
        run_tune(_file(tmp_path, policy=f"{rule}:RULE"), out=tmp_path / "study")
