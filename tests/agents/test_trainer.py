from __future__ import annotations

import csv
import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maestro_gym.agents.callbacks import Milestones
from maestro_gym.agents.checkpoint import load_checkpoint
from maestro_gym.agents.networks import NETWORKS, CandidateScorer, SlotMlp
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import load_network, read_card
from maestro_gym.agents.trainer import Trainer
from maestro_gym.config import TrainConfig, config_names, load_scenario
from maestro_gym.core.errors import MaestroError
from tests.agents.stand_in import CANDIDATES, CONTEXT, FEATURES, StandInVecEnv, share_of_best

ENVS, ROLLOUT = 16, 16
UPDATE = ENVS * ROLLOUT


def _measure(network: CandidateScorer | SlotMlp) -> dict[str, float]:
    observation = StandInVecEnv(300).reset()
    with torch.no_grad():
        logits = network.forward_actor({name: torch.as_tensor(value) for name, value in observation.items()})
    logits = logits.where(torch.as_tensor(observation["candidates"][..., 0] > 0.5), -torch.inf)
    share = share_of_best(logits.argmax(1).numpy(), observation)
    return {"reward": share, "reward_best": share, "slo_attainment": share}


def _trainer(folder: Path, network: str = "scorer", **settings: object) -> Trainer:
    train = TrainConfig.model_validate(
        {
            "network": network,
            "hidden_sizes": [32, 32],
            "total_steps": 8 * UPDATE,
            "num_envs": ENVS,
            "rollout_steps": ROLLOUT,
            "batch_size": 128,
            "learning_rate": 1e-2,
            "entropy_coefficient": 0.0,
            "discount_horizon_s": 1.0,
            "eval_every_steps": 4 * UPDATE,
            "checkpoint_every_steps": 100 * UPDATE,
            "torch_threads": 1,
        }
        | settings
    )
    folder.mkdir(exist_ok=True)
    card = PolicyCard("cluster", network, FEATURES, CONTEXT, CANDIDATES, tuple(train.hidden_sizes))
    return Trainer(train, StandInVecEnv(ENVS), folder, card, _measure, {})


@pytest.mark.parametrize(("network", "enough"), [("scorer", 0.9), ("mlp", 0.7)])
def test_training_learns_to_pick_the_best_candidate(network: str, enough: float, tmp_path: Path) -> None:
    trainer = _trainer(tmp_path / "run", network, total_steps=16 * UPDATE)
    trainer.run(progress=False)
    shares = [row["reward"] for row in trainer.evaluations.rows]
    assert shares[0] < 0.6
    assert max(shares) > enough


def test_imitation_copies_the_companions_own_rule(tmp_path: Path) -> None:
    """Rewards are turned round, so that only the lessons can teach the best candidate."""
    trainer = _trainer(tmp_path / "run", imitation_steps=16 * UPDATE, total_steps=16 * UPDATE)
    trainer.model.env.step_wait = _paying_for_the_worst(trainer.model.env.step_wait)
    trainer.run(progress=False)
    assert trainer.evaluations.rows[-1]["reward"] > 0.9


def _paying_for_the_worst(step: Callable[[], Any]) -> Callable[[], Any]:
    def turned() -> Any:  # noqa: ANN401 - what a VecEnv returns
        observation, rewards, dones, infos = step()
        return observation, -rewards, dones, infos

    return turned


@pytest.mark.parametrize("imitation_updates", [0, 2, 5])
def test_a_run_that_stops_and_resumes_ends_with_the_same_parameters(imitation_updates: int, tmp_path: Path) -> None:
    imitation_steps = imitation_updates * UPDATE
    whole = _trainer(tmp_path / "whole", imitation_steps=imitation_steps)
    whole.run(progress=False)
    _trainer(tmp_path / "parted", imitation_steps=imitation_steps).run(progress=False, stop_at_steps=3 * UPDATE)
    parted = _trainer(tmp_path / "parted", imitation_steps=imitation_steps)
    parted.run(progress=False, resume=True)
    assert parted.model.num_timesteps == whole.model.num_timesteps == 8 * UPDATE
    expected = whole.model.policy.state_dict()
    for name, value in parted.model.policy.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert parted.model.reward_scale.state() == whole.model.reward_scale.state()
    assert _steps(tmp_path / "parted/progress.csv") == _steps(tmp_path / "whole/progress.csv")


def _parameters(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.policy.state_dict().items()}


def _assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("left", ["checkpoint.part", "checkpoint.old", "both"])
def test_a_checkpoint_is_found_wherever_a_kill_has_left_it(left: str, tmp_path: Path) -> None:
    """Between the two renames the new one is a part and the old one is old; before them a part may be half written."""
    whole = _trainer(tmp_path / "whole")
    whole.run(progress=False)
    folder = tmp_path / "parted"
    _trainer(folder).run(progress=False, stop_at_steps=3 * UPDATE)
    if left == "both":
        shutil.copytree(folder / "checkpoint", folder / "checkpoint.old")
        (folder / "checkpoint").rename(folder / "checkpoint.part")
        (folder / "checkpoint.old" / "learner.pt").write_bytes(b"of an earlier moment")
    else:
        (folder / "checkpoint").rename(folder / left)
    if left == "checkpoint.old":
        (folder / "checkpoint.part").mkdir()
        (folder / "checkpoint.part" / "learner.pt").write_bytes(b"half")
    parted = _trainer(folder)
    parted.run(progress=False, resume=True)
    _assert_same(_parameters(parted), _parameters(whole))
    assert [path.name for path in folder.glob("checkpoint*")] == ["checkpoint"]


def test_a_full_disk_leaves_the_checkpoint_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = _trainer(tmp_path)
    trainer.run(progress=False, stop_at_steps=3 * UPDATE)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}

    def full(path: Path, content: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("maestro_gym.agents.checkpoint.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        trainer.checkpoint()
    assert {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()} == before


def test_checkpoints_by_the_clock_change_nothing_of_what_is_learned(tmp_path: Path) -> None:
    seldom = _trainer(tmp_path / "a", checkpoint_every_s=1e8)
    seldom.run(progress=False)
    often = _trainer(tmp_path / "b", checkpoint_every_s=1e-9)
    often.run(progress=False)
    _assert_same(_parameters(often), _parameters(seldom))
    names = ("evaluations.csv", "episodes.csv")
    assert [(tmp_path / "a" / name).read_text() for name in names] == [
        (tmp_path / "b" / name).read_text() for name in names
    ]


def test_a_milestone_comes_after_its_steps_or_after_its_time() -> None:
    now_s, met = [0.0], []
    milestones = Milestones(1000, met.append, every_s=120.0, clock=lambda: now_s[0])
    for steps, seconds in (
        (0, 0.0),
        (100, 60.0),
        (200, 119.0),
        (300, 121.0),
        (400, 200.0),
        (1000, 201.0),
        (1100, 322.0),
    ):
        milestones.num_timesteps, now_s[0] = steps, seconds
        milestones._on_rollout_start()
    assert met == [300, 1000, 1100]


def test_by_default_no_more_than_two_minutes_are_lost() -> None:
    assert TrainConfig().checkpoint_every_s <= 120.0
    for name in config_names("train"):
        assert load_scenario("toy", [f"train={name}"]).train.checkpoint_every_s <= 120.0


def _steps(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [row["steps"] for row in csv.DictReader(file)]


def test_a_run_folder_holds_curves_logs_and_the_best_policy(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    trainer.run(progress=False)
    for name in ("progress.csv", "evaluations.csv", "episodes.csv", "learning_curves.png", "checkpoint/state.json"):
        assert (tmp_path / name).stat().st_size > 0, name
    assert list((tmp_path / "tensorboard").iterdir())
    card, network = load_network(tmp_path)
    assert card.validation["reward"] == max(row["reward"] for row in trainer.evaluations.rows)
    assert _measure(network)["reward"] == card.validation["reward"]
    assert read_card(tmp_path / "last").steps == 8 * UPDATE


def test_a_run_without_a_checkpoint_cannot_resume(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="no checkpoint to resume from"):
        _trainer(tmp_path).run(progress=False, resume=True)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    _trainer(tmp_path).run(progress=False, stop_at_steps=UPDATE)
    (tmp_path / "checkpoint" / "learner.pt").write_bytes(b"nonsense")
    with pytest.raises(MaestroError, match="damaged or of another configuration"):
        _trainer(tmp_path).run(progress=False, resume=True)


@pytest.mark.parametrize("name", ["learner.pt", "stable_baselines3.zip", "env.npz", "state.json"])
def test_any_changed_bit_of_a_checkpoint_is_refused_by_name(name: str, tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    trainer.run(progress=False, stop_at_steps=UPDATE)
    path = tmp_path / "checkpoint" / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 20)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if name == "state.json" and _means_the_same(whole, path.read_bytes()):
            continue  # a blank for another
        with pytest.raises(MaestroError, match="damaged or of another configuration"):
            load_checkpoint(tmp_path, trainer.model, StandInVecEnv(ENVS), trainer.model.policy)
    path.write_bytes(whole)
    _trainer(tmp_path).run(progress=False, resume=True, stop_at_steps=2 * UPDATE)


def _means_the_same(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def test_a_checkpoint_of_an_older_version_is_taken_with_a_warning(tmp_path: Path) -> None:
    _trainer(tmp_path).run(progress=False, stop_at_steps=UPDATE)
    path = tmp_path / "checkpoint" / "state.json"
    state = json.loads(path.read_text())
    del state["sha256"]
    path.write_text(json.dumps(state))
    resumed = _trainer(tmp_path)
    with pytest.warns(UserWarning, match=r"state\.json holds no SHA-256"):
        resumed.run(progress=False, resume=True)
    assert resumed.model.num_timesteps == 8 * UPDATE


def test_every_network_has_a_policy_for_stable_baselines3(tmp_path: Path) -> None:
    for network in NETWORKS:
        trainer = _trainer(tmp_path / network, network)
        observation = trainer.model.get_env().reset()
        masks = np.asarray(trainer.model.get_env().env_method("action_masks"))
        actions, _ = trainer.model.predict(observation, deterministic=False, action_masks=masks)
        assert masks[np.arange(ENVS), actions].all()


def test_wandb_offline_writes_below_the_run_folder(tmp_path: Path) -> None:
    _trainer(tmp_path, total_steps=UPDATE, wandb="offline").run(progress=False)
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
