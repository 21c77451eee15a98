"""CONTRIBUTING's recipes of a rule, a metric and a GPU, followed word by word in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
RECIPES = dict(
    re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
)


def _example(recipe: str, language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", RECIPES[recipe], re.DOTALL)
    return block


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what a recipe touches."""
    for folder in ("maestro_gym", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _maestro_gym(copy: Path, *words: str) -> dict[str, Any]:
    """What a verb of the copy writes as JSON."""
    out = copy / "out.json"
    program = "from maestro_gym.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--json", str(out)],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text(encoding="utf-8"))


def test_the_recipe_of_a_rule_is_true(copy: Path) -> None:
    rule = _example("Add a rule", "python")
    (copy / "maestro_gym" / "baselines" / "cluster" / "fewest_running.py").write_text(rule, encoding="utf-8")
    rows = {row["policy"]: row for row in _maestro_gym(copy, "policies")["rows"]}
    assert rows["fewest-running"]["cluster_rule"] == "fewest-running"
    assert rows["fewest-running"]["global_rule"] == "fcfs/fewest-running"
    assert rows["fewest-running"]["information"] == "N"
    assert rows["fewest-running+maestro"]["global_rule"] == "maestro/fewest-running"


@pytest.mark.filterwarnings("ignore:running the code")
def test_the_same_rule_runs_from_a_file_of_the_users(tmp_path: Path) -> None:
    from maestro_gym.baselines import load_policy
    from tests.baselines.hand import Hand, ask

    path = tmp_path / "my_rule.py"
    path.write_text(_example("Add a rule", "python").replace("@njit\n", ""), encoding="utf-8")
    hand = Hand(nodes_per_cluster=3)
    for node, running in enumerate((2, 1, 3)):
        hand.engine(node, 0, running=running)
    hand.route(hand.stage())
    assert ask(load_policy(f"{path}:RULE").cluster_rule, hand) == 1


def test_the_recipe_of_a_metric_is_true(copy: Path) -> None:
    file = copy / "maestro_gym" / "episodes" / "metrics" / "fleet.py"
    file.write_text(file.read_text("utf-8") + "\n\n" + _example("Add a metric", "python"), encoding="utf-8")
    rows = {row["metric"]: row for row in _maestro_gym(copy, "metrics")["rows"]}
    assert rows["uncached_prompt_tokens"]["formula"] == "prompt_tokens - cached_tokens"


def test_the_recipe_of_a_gpu_is_true(copy: Path) -> None:
    gpus = copy / "configs" / "hardware" / "gpus"
    spec = yaml.safe_load((gpus / "A100-80GB.yaml").read_text("utf-8"))
    spec |= {"aliases": [], "source": "a copy for a test", "usable_hbm_gib": 150.0}
    (gpus / "BIG-GPU.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    scenario = yaml.safe_load((copy / "configs" / "scenarios" / "toy.yaml").read_text("utf-8"))
    scenario |= yaml.safe_load(_example("Add hardware", "yaml").replace("NAME", "BIG-GPU"))
    (copy / "mine.yaml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    described = _maestro_gym(copy, "describe", "--scenario", "mine.yaml")
    assert "BIG-GPU" in json.dumps(described["fleet"])


def test_every_file_that_a_recipe_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = {word for word in re.findall(r"`((?:maestro_gym|configs|tests|benchmarks)/[\w/.-]+)`", text)}
    missing = [word for word in named if not re.search(r"[A-Z]{4}", word) and not (ROOT / word).exists()]
    assert named
    assert not missing, missing
