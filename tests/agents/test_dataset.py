"""Datasets: what Minari reads back is what the environment showed, the policy's answers, and how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from typer.testing import CliRunner

from maestro_gym.agents.dataset.card import card_of_dataset
from maestro_gym.agents.dataset.write import METADATA, scenario_hash, write_dataset
from maestro_gym.cli.app import app
from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.masking import ActionMaskObservation

minari = pytest.importorskip("minari", reason="minari is not installed; the extra `offline` has it")
pytest.importorskip("h5py", reason="h5py is not installed; the extra `offline` has it")

SHORT = ("contention=high", "horizon_s=20", "drain_s=60")
ASKED: dict[str, Any] = {"scenario": "toy", "overrides": SHORT, "seeds": [3, 4], "progress": False}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder of datasets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("tier", ["Cluster", "Global"])
def test_a_dataset_is_what_its_environment_shows(place: Path, tier: str) -> None:
    made = write_dataset("edf+maestro", env_id=f"Maestro/{tier}-v0", dataset_id="maestro/edf-v0", **ASKED)
    data = minari.load_dataset("maestro/edf-v0")
    assert [row["seed"] for row in made.rows] == [3, 4]
    env = data.recover_environment()
    assert env.observation_space == data.spec.observation_space
    assert env.unwrapped.batch.policy.name == "edf+maestro"
    for episode, seed in zip(data.iterate_episodes(), (3, 4), strict=True):
        observation, info = env.reset(seed=seed)
        for step, action in enumerate(episode.actions):
            assert all(np.array_equal(episode.observations[name][step], observation[name]) for name in observation)
            assert episode.observations["action_mask"][step, action] == 1
            assert episode.infos["dt_s"][step] == info["dt_s"]
            observation, reward, terminated, truncated, info = env.step(action)
            assert episode.rewards[step] == reward
        assert (episode.terminations[-1], episode.truncations[-1]) == (terminated, truncated)
        assert np.array_equal(episode.observations["context"][-1], observation["context"])
    env.close()


def test_without_exploring_every_decision_of_the_cluster_tier_is_the_policys(place: Path) -> None:
    # A training episode is measured on the workflows whose deadline has passed by its horizon: there must be some.
    longer = {"overrides": ("contention=high", "horizon_s=240")}
    made = write_dataset("warm-jsq+maestro", **(ASKED | longer))
    assert made.dataset_id == "maestro/cluster/warm-jsq-maestro-toy-high-v0"
    assert [row["of_policy"] for row in made.rows] == [1.0, 1.0]
    (first, *_) = minari.load_dataset(made.dataset_id).iterate_episodes()
    metrics = next(iter(minari.load_dataset(made.dataset_id).storage.get_episode_metadata([0])))
    assert metrics["split"] == "train"
    assert metrics["seed"] == 3
    assert metrics["slo_attainment"] == pytest.approx(made.rows[0]["slo_attainment"])
    assert len(first.actions) == made.rows[0]["decisions"]


def test_the_dataset_says_how_it_was_made(place: Path) -> None:
    made = write_dataset("fcfs", explore=1.0, **ASKED)
    about = json.loads(minari.load_dataset(made.dataset_id).storage.metadata[METADATA])
    assert (about["policy"], about["seeds"], about["split"]) == ("fcfs", [3, 4], "train")
    assert about["scenario_hash"] == scenario_hash(load_scenario("toy", SHORT))
    assert about["scenario_hash"] != scenario_hash(load_scenario("toy", (*SHORT, "horizon_s=21")))
    assert about["versions"]["minari"] == minari.__version__
    assert [row["of_policy"] for row in made.rows] == [0.0, 0.0]


def test_exploring_follows_the_seed_alone(place: Path) -> None:
    names = ("maestro/one-v0", "maestro/two-v0")
    for name in names:
        write_dataset("fcfs", explore=0.5, dataset_id=name, **ASKED)
    one, two = ([episode.actions for episode in minari.load_dataset(name).iterate_episodes()] for name in names)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_policy_learns_from_a_dataset_under_the_card_of_its_observations(place: Path) -> None:
    made = write_dataset("maestro", **ASKED)
    data = minari.load_dataset(made.dataset_id)
    card = card_of_dataset(data)
    env = ActionMaskObservation(gymnasium.make("maestro_gym:Maestro/Cluster-v0", scenario="toy", overrides=SHORT))
    assert (card.num_candidates, card.num_features) == env.observation_space["candidates"].shape  # pyright: ignore[reportIndexIssue]
    about = json.loads(data.storage.metadata[METADATA])
    data.storage.update_metadata({METADATA: json.dumps(about | {"encoder": "another"})})
    with pytest.raises(MaestroError, match="another version"):
        card_of_dataset(data)


def test_an_earlier_dataset_is_kept_unless_it_shall_go(place: Path) -> None:
    write_dataset("fcfs", dataset_id="maestro/kept-v0", **ASKED)
    with pytest.raises(MaestroError, match="--overwrite"):
        write_dataset("fcfs", dataset_id="maestro/kept-v0", **ASKED)
    write_dataset("fcfs", dataset_id="maestro/kept-v0", overwrite=True, **(ASKED | {"seeds": [5]}))
    assert minari.load_dataset("maestro/kept-v0").total_episodes == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--env", "Maestro/Claster-v0"], "Maestro/Cluster-v0"),
        (["--explore", "2"], "0 to 1"),
        (["--fleet", "local_cpu"], "is simulated"),
        (["--name", "no version!"], "is no name of a dataset"),
        (["-p", "mestro"], "maestro"),
        (["--split", "tests"], "split"),
    ],
)
def test_a_mistake_ends_in_one_paragraph(place: Path, words: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["dataset", "-s", "toy", "--seeds", "0", *words, *SHORT])
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.output.split())
