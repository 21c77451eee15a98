"""Checkpoints from which a training run goes on exactly as if it had never stopped."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from maestro_gym.agents.ppo import ContinuousTimePPO
from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError

FOLDER = "checkpoint"
_ENV, _OBSERVATION, _STARTS = "env/", "observation/", "episode_starts"


class ResumableEnv(Protocol):
    """What an environment must give for an exact resume."""

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that its future depends on, as plain arrays."""
        ...

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to such a state."""
        ...


def save_checkpoint(
    folder: Path, model: ContinuousTimePPO, env: ResumableEnv, average: torch.nn.Module, notes: Mapping[str, Any]
) -> None:
    """Replace the run's checkpoint; the old one stays until the new one is complete.

    Args:
        folder: The run folder.
        model: Between two rollouts.
        env: Its environment.
        average: Running mean of the network's weights.
        notes: What the trainer must remember, as JSON.
    """
    partial, final = folder / (FOLDER + ".part"), folder / FOLDER
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    learner = {
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "average": average.state_dict(),
        "torch_rng": torch.get_rng_state(),
    }
    torch.save(learner, partial / "learner.pt")
    observation = model._last_obs
    assert isinstance(observation, dict)
    arrays = {_ENV + name: value for name, value in env.get_state().items()}
    arrays |= {_OBSERVATION + name: value for name, value in observation.items()}
    _write_arrays(partial / "env.npz", arrays | {_STARTS: np.asarray(model._last_episode_starts)})
    state = {
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "reward_scale": model.reward_scale.state(),
        "notes": dict(notes),
    }
    (partial / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    model.save(partial / "stable_baselines3.zip")
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)


def load_checkpoint(
    folder: Path, model: ContinuousTimePPO, env: ResumableEnv, average: torch.nn.Module
) -> dict[str, Any]:
    """Bring a freshly built model and environment to where a run stopped.

    Args:
        folder: The run folder.
        model: Built from the run's own configuration.
        env: Its environment, after a reset.
        average: Running mean of the network's weights, which is set too.

    Returns:
        The trainer's notes.

    Raises:
        MaestroError: There is no checkpoint, or it does not fit the model.
    """
    source = folder / FOLDER
    if not (source / "state.json").is_file():
        raise MaestroError(f"{folder} holds no checkpoint to resume from. Start a new run, or give another folder.")
    try:
        state = parse_json(read_bounded(source / "state.json"))
        learner = torch.load(source / "learner.pt", map_location="cpu", weights_only=True)
        with np.load(source / "env.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        model.policy.load_state_dict(learner["policy"])
        model.policy.optimizer.load_state_dict(learner["optimizer"])
        average.load_state_dict(learner["average"])
        env.set_state({name.removeprefix(_ENV): value for name, value in arrays.items() if name.startswith(_ENV)})
        model._last_obs = {
            name.removeprefix(_OBSERVATION): value for name, value in arrays.items() if name.startswith(_OBSERVATION)
        }
        model._last_episode_starts = arrays[_STARTS]
        model.num_timesteps = int(state["steps"])
        model._n_updates = int(state["updates"])
        model.reward_scale.restore(state["reward_scale"])
        # Last, because building anything above may draw from it.
        torch.set_rng_state(learner["torch_rng"])
    except MaestroError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise MaestroError(
            f"The checkpoint {source} is damaged or of another configuration ({reason}). Start a new run, or restore "
            "the folder."
        ) from error
    return state["notes"]


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An npz at the fastest compression: most of a batch's arrays is padding."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, value in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(value), allow_pickle=False)
