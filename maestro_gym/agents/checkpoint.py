"""Checkpoints from which a training run goes on exactly as if it had never stopped."""

from __future__ import annotations

import io
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
from maestro_gym.core.seal import FIELD, check_sealed, has_seal, sealed
from maestro_gym.core.whole_file import sync, whole_file, write_whole

FOLDER = "checkpoint"
_PART, _OLD = f"{FOLDER}.part", f"{FOLDER}.old"
_LAST = "state.json"
"""Written last: a folder that has it is whole."""

_LEARNER, _LIBRARY, _ARRAYS = _SEALED = ("learner.pt", "stable_baselines3.zip", "env.npz")
"""Files whose checksums stand in the last one."""

_FIELDS = {"steps", "updates", "reward_scale", "notes", FIELD}

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
    """Replace the run's checkpoint; at every moment the old one or the new one is there, whole.

    Args:
        folder: The run folder.
        model: Between two rollouts.
        env: Its environment.
        average: Running mean of the network's weights.
        notes: What the trainer must remember, as JSON.

    Raises:
        OSError: The disk does not take it; the old checkpoint is still there.
    """
    part, final, old = (folder / name for name in (_PART, FOLDER, _OLD))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    learner = {
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "average": average.state_dict(),
        "torch_rng": torch.get_rng_state(),
    }
    # Both libraries write into memory: to a full disk they would answer with errors of their own kinds.
    weights, library = io.BytesIO(), io.BytesIO()
    torch.save(learner, weights)
    model.save(library)
    write_whole(part / _LEARNER, weights.getvalue())
    write_whole(part / _LIBRARY, library.getvalue())
    observation = model._last_obs
    assert isinstance(observation, dict)
    arrays = {_ENV + name: value for name, value in env.get_state().items()}
    arrays |= {_OBSERVATION + name: value for name, value in observation.items()}
    with whole_file(part / _ARRAYS) as path:
        _write_arrays(path, arrays | {_STARTS: np.asarray(model._last_episode_starts)})
    state = {
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "reward_scale": model.reward_scale.state(),
        "notes": dict(notes),
    }
    state = sealed(state, _LAST, [part / name for name in _SEALED])
    write_whole(part / _LAST, json.dumps(state, indent=2) + "\n")
    # A folder cannot take the place of another at one stroke: between the two renames `checkpoint_of` finds the part.
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    part.rename(final)
    sync(folder)
    shutil.rmtree(old, ignore_errors=True)


def checkpoint_of(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run folder, wherever a kill has left it; None before the first."""
    places = (folder / name for name in (FOLDER, _PART, _OLD))
    return next((place for place in places if (place / _LAST).is_file()), None)


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
        MaestroError: There is no checkpoint, a bit of it has changed, or it does not fit the model.
    """
    source = checkpoint_of(folder)
    if source is None:
        raise MaestroError(f"{folder} holds no checkpoint to resume from. Start a new run, or give another folder.")
    if source != folder / FOLDER:
        source = source.rename(folder / FOLDER)  # the next one is written as a part, and may not write over this one
    try:
        state = parse_json(read_bounded(source / _LAST))
        if unknown := sorted(state.keys() - _FIELDS):
            raise ValueError(f"{_LAST} has a field {unknown[0]!r}")  # it may once have been the checksums
        if has_seal(state, source / _LAST):
            for name in _SEALED:
                check_sealed(state, source / name)
        learner = torch.load(source / _LEARNER, map_location="cpu", weights_only=True)
        with np.load(source / _ARRAYS, allow_pickle=False) as file:
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
