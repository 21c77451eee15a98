"""Every example runs, and is short enough to be edited."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_under_eighty_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize(
    ("words", "says"),
    [
        # Two forms of a rule that no cache may keep are compiled.
        pytest.param(["own_cluster_rule.py"], "soonest-start+maestro", marks=pytest.mark.slow),
        (["own_fleet.py"], "far/0.0"),
        (["pettingzoo_shared_policy.py"], "trained         mean return"),
        (["sb3_ppo_own_script.py", "model.zip", "1024"], "1,024 decisions learned from"),
    ],
)
def test_an_example_runs(words: list[str], says: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / words[0]), *words[1:]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES} == {
        "own_cluster_rule.py",
        "own_fleet.py",
        "pettingzoo_shared_policy.py",
        "sb3_ppo_own_script.py",
    }
