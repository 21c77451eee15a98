"""A live episode becomes a dataset as a simulated one does."""

import json
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.agents.dataset.write import METADATA, write_dataset
from maestro_gym.config import dump_config
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import short_scenario
from tests.real_backend.stand_in import StandIn

minari = pytest.importorskip("minari", reason="minari is not installed; the extra `offline` has it")
pytest.importorskip("h5py", reason="h5py is not installed; the extra `offline` has it")


def test_a_live_episode_becomes_a_dataset(
    two_servers: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    fleet = fleet_of(two_servers)
    (tmp_path / "fleet.yaml").write_text(dump_config(fleet), encoding="utf-8")
    short_scenario(fleet, tmp_path)
    made = write_dataset(
        "warm-jsq+maestro",
        env_id="Maestro/Live-Cluster-v0",
        fleet=str(tmp_path / "fleet.yaml"),
        scenario=str(tmp_path / "scenario.yaml"),
        seeds=[0],
        dataset_id="maestro/live-v0",
        progress=False,
    )
    data = minari.load_dataset("maestro/live-v0")
    (episode,) = data.iterate_episodes()
    assert len(episode.actions) == made.rows[0]["decisions"] > 0
    assert made.rows[0]["of_policy"] == 1.0
    steps = np.arange(len(episode.actions))
    assert episode.observations["action_mask"][steps, episode.actions].all()
    assert (np.diff(episode.infos["sim_time_s"]) >= 0.0).all()
    assert json.loads(data.storage.metadata[METADATA])["environment"] == "Maestro/Live-Cluster-v0"
