"""Every example runs, and is short enough to be edited."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from maestro_gym.agents.dataset.write import write_dataset
from maestro_gym.agents.policy_file import load_network

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_under_eighty_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80


DATASET = "maestro/examples-v0"

RUNS = [
    # Two forms of a rule that no cache may keep are compiled.
    pytest.param("own_cluster_rule.py", (), "soonest-start+maestro", marks=pytest.mark.slow),
    ("own_family.py", (), "in time, mean completion"),
    ("own_fleet.py", (), "far/0.0"),
    ("own_reward.py", (), "late_first_token"),
    ("own_scenario.py", (), "busy, begins cold"),
    ("own_wrapper.py", (), "real choices"),
    ("sb3_ppo.py", ("1024",), "Maestro"),
    ("sb3_maskable_ppo.py", ("1024",), "Maestro"),
    ("sb3_ppo_own_script.py", ("model.zip", "1024"), "1,024 decisions learned from"),
    ("cleanrl_ppo.py", ("--total-timesteps", "2048"), "slo_attainment"),
    ("torchrl_ppo.py", ("1000",), "1000 decisions, mean reward"),
    pytest.param("optuna_search.py", ("2",), "of the workflows in time with", marks=pytest.mark.slow),
    ("offline_bc.py", (DATASET, "cloned"), "held-out decisions as the policy"),
    ("offline_cql.py", (DATASET, "conservative", "500"), "mean Q"),
    ("pettingzoo_shared_policy.py", (), "trained         mean return"),
]
NEEDS = {
    "cleanrl_ppo.py": "cleanrl",
    "offline_bc.py": "minari",
    "offline_cql.py": "minari",
    "torchrl_ppo.py": "torchrl",
    "optuna_search.py": "optuna",
    "pettingzoo_shared_policy.py": "pettingzoo",
}
"""Libraries that are not the project's own; where one is missing, its example is skipped."""


@pytest.mark.parametrize(("name", "words", "says"), RUNS)
def test_an_example_runs(name: str, words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed; the head of examples/{name} says how to")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINARI_DATASETS_PATH": str(tmp_path / "datasets")}
    if DATASET in words:
        short = ("contention=high", "horizon_s=20")
        write_dataset(dataset_id=DATASET, overrides=short, seeds=[0], root=tmp_path / "datasets", progress=False)
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    if DATASET in words:
        assert load_network(tmp_path / words[1])[0].companions == "maestro"


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES} == {getattr(run, "values", run)[0] for run in RUNS}


def test_cleanrl_is_changed_in_twelve_to_twenty_lines() -> None:
    changes: dict[int, str] = runpy.run_path(str(ROOT / "examples" / "cleanrl_ppo.py"))["CHANGES"]
    assert 12 <= len(changes) <= 20
    assert 12 <= sum(len(text.splitlines()) for text in changes.values()) <= 20
