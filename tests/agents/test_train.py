from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import save_policy
from maestro_gym.agents.train import run_train
from maestro_gym.core.errors import MaestroError

SMALL = (
    "contention=high",
    "horizon_s=20",
    "drain_s=60",
    "train.num_envs=4",
    "train.rollout_steps=16",
    "train.batch_size=32",
    "train.total_steps=256",
    "train.hidden_sizes=[8]",
    "train.eval_every_steps=128",
    "train.eval_episodes=1",
    "train.torch_threads=1",
)


def test_a_training_that_stops_and_resumes_ends_with_the_same_policy(tmp_path: Path) -> None:
    whole = run_train("toy", tier="cluster", overrides=SMALL, out=tmp_path / "whole", progress=False)
    run_train("toy", tier="cluster", overrides=SMALL, out=tmp_path / "parted", stop_at_steps=128, progress=False)
    parted = run_train(resume=tmp_path / "parted", progress=False)
    assert whole.steps == parted.steps == 256
    assert whole.rows == parted.rows
    weights = [torch.load(tmp_path / run / "last/policy.pt", weights_only=True) for run in ("whole", "parted")]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_options_win_over_the_settings_of_a_named_file(tmp_path: Path) -> None:
    words = ("train=quick", *SMALL, "train.total_steps=64")
    run_train("toy", tier="cluster", seed=7, overrides=words, out=tmp_path / "run", progress=False)
    assert json.loads((tmp_path / "run/run.json").read_text())["seed"] == 7


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    card = PolicyCard("cluster", "scorer", 5, 3, 4, (8, 8))
    save_policy(tmp_path, card, card.build())
    with pytest.raises(MaestroError, match="holds an earlier run"):
        run_train("toy", out=tmp_path, progress=False)


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match=r"holds no config\.yaml"):
        run_train(resume=tmp_path, progress=False)
