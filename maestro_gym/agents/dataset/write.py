"""``maestro-gym dataset``: a Minari dataset of the episodes of an environment under a policy."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np

from maestro_gym.agents.dataset.record import Recorded, record_episode
from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.baselines.registry import TABLE
from maestro_gym.config import ScenarioConfig, hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.envs.masking import ActionMaskObservation
from maestro_gym.envs.single import MaestroEnv
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.run_info import command_line, commit, now_utc, versions
from maestro_gym.evaluation.suite.fingerprint import digest, scenario_parts
from maestro_gym.registration import ENVIRONMENTS, VERSION_1

METADATA = "maestro_gym"
"""Key of the dataset's metadata under which JSON says how it was made."""

_PLACE = "MINARI_DATASETS_PATH"


@dataclass(frozen=True)
class Made:
    """A dataset that was written.

    Attributes:
        dataset_id: Its name in Minari.
        folder: Where it lies.
        rows: Seed, decisions, return and some metrics of each episode.
        about: What its metadata says of it.
    """

    dataset_id: str
    folder: Path
    rows: list[dict[str, Any]]
    about: dict[str, Any]


def write_dataset(
    policy: str = "maestro",
    *,
    env_id: str = "Maestro/Cluster-v0",
    dataset_id: str | None = None,
    scenario: str | None = None,
    overrides: Sequence[str] = (),
    split: str = "train",
    seeds: Sequence[int] = (0, 1, 2, 3),
    explore: float = 0.0,
    information: str = "P",
    fleet: str | None = None,
    root: Path | None = None,
    overwrite: bool = False,
    trust: bool = False,
    progress: bool = True,
) -> Made:
    """Play episodes under a policy and write them as a dataset.

    Args:
        policy: Whatever `compare` takes as one.
        env_id: An id of `registration`; the actions recorded are those of its tier. A live one records real servers.
        dataset_id: Its name in Minari; None makes one of tier, policy and scenario.
        scenario: Name or file; None is ``quick``, and of a live environment the fleet's own.
        overrides: ``a.b.c=value``.
        split: Split of the episodes; a learner's validation and test episodes belong to no dataset.
        seeds: An episode each, the first of the seed.
        explore: Share of the decisions that are drawn at random among the legal actions.
        information: ``P``, or ``N`` to blank what rests on predictions.
        fleet: Fleet file, of a live environment only.
        root: Folder of the datasets; None is Minari's own, ``~/.minari/datasets`` or what MINARI_DATASETS_PATH says.
        overwrite: Remove the dataset of this name, if there is one.
        trust: Whether files that could run code are loaded.
        progress: Show how far it is, on standard error.

    Returns:
        What was written. A dataset whose writing is interrupted holds the whole episodes so far.

    Raises:
        MaestroError: Something asked for does not exist or does not fit together, or the dataset is there already.
    """
    minari = load_minari()
    known = ENVIRONMENTS | VERSION_1
    if env_id not in known:
        raise MaestroError(f"--env {env_id}: no environment has this id. {hint(env_id, known)}")
    if not 0 <= explore <= 1:
        raise MaestroError(f"--explore {explore:g}: is a share of the decisions; give 0 to 1.")
    is_live = "Live" in env_id
    if fleet is not None and not is_live:
        raise MaestroError(f"--fleet {fleet}: {env_id} is simulated; name an id such as Maestro/Live-Cluster-v0.")
    options: dict[str, Any] = {"split": split, "information": information}
    if is_live:
        options |= {"fleet": fleet or "local_cpu", "companions": policy, "trust": trust, "scenario": scenario}
    else:
        options |= {"scenario": scenario or "quick"}
    options |= {"overrides": list(overrides)} if overrides else {}
    made = _make(env_id, options, policy, trust=trust)
    try:
        inner = made.unwrapped
        assert isinstance(inner, MaestroEnv)
        config, tier = inner.batch.scenario.config, inner.tier
        name = dataset_id or f"maestro/{tier}/{file_name(f'{policy}-{config.name}-{config.contention}')}-v0"
        about = {
            "environment": env_id,
            "tier": tier,
            "policy": policy,
            "explore": explore,
            "split": split,
            "seeds": list(seeds),
            "scenario": config.name,
            "contention": config.contention,
            "overrides": list(overrides),
            "scenario_hash": scenario_hash(config),
            "encoder": encoder_fingerprint(inner.batch.layout.spec, predictions=information == "P"),
            "information": information,
            "window": inner.batch.options.window,
            "reward_terms": list(inner.batch.reward.term_names),
            "command": command_line(),
            "written": now_utc(),
            "commit": commit(),
            "versions": versions() | {"minari": minari.__version__},
        }
        with _datasets_in(root):
            folder = _free(minari, name, overwrite=overwrite)
            rows = _record(minari, made, name, seeds, explore, about, progress)
    finally:
        made.close()
    return Made(name, folder, rows, about)


def load_minari() -> ModuleType:
    """Import Minari with its HDF5 storage.

    Raises:
        MaestroError: It is not installed.
    """
    try:
        import h5py  # noqa: F401 - Minari's storage, which it misses only when it writes
        import minari
    except ImportError as error:
        raise MaestroError("dataset: needs Minari. Install it by: pip install 'maestro-gym[offline]'.") from error
    return minari


def scenario_hash(config: ScenarioConfig) -> str:
    """One hash of everything that the episodes of a scenario depend on.

    Args:
        config: The complete scenario.
    """
    return digest(scenario_parts(config))


def _make(env_id: str, options: dict[str, Any], policy: str, *, trust: bool) -> ActionMaskObservation:
    """The environment whose companions decide for its own tier, too."""
    module = "maestro_gym.v1" if env_id.endswith("-v1") else "maestro_gym"
    if "fleet" not in options:
        # A policy is no text, and Minari keeps what an environment was made of as JSON: names stay names.
        loaded = load_any_policy(policy, Scenario.load(options["scenario"], options.get("overrides", ())), trust=trust)
        options = options | {"companions": policy if policy in TABLE else loaded}
    env = ActionMaskObservation(gymnasium.make(f"{module}:{env_id}", disable_env_checker=True, **options))
    return env


def _record(
    minari: ModuleType,
    env: ActionMaskObservation,
    name: str,
    seeds: Sequence[int],
    explore: float,
    about: dict[str, Any],
    progress: bool,
) -> list[dict[str, Any]]:
    from rich.console import Console

    dataset, rows = None, []
    with WorkProgress("recording", "episodes", len(seeds), console=None if progress else Console(quiet=True)) as shown:
        for number, seed in enumerate(seeds):
            episode = record_episode(env, seed, explore)
            buffer = minari.data_collector.EpisodeBuffer(
                seed=seed,
                observations=episode.observations,
                actions=episode.actions,
                rewards=episode.rewards,
                terminations=episode.terminations,
                truncations=episode.truncations,
                infos=episode.infos,
            )
            if dataset is None:
                dataset = _create(minari, env, name, buffer, about)
            else:
                dataset.update_dataset_from_buffer([buffer])
            metrics = {key: value for key, value in episode.metrics.items() if np.isfinite(value)}
            dataset.storage.update_episode_metadata([{"split": about["split"], **metrics}], [number])
            rows.append(_row(seed, episode))
            shown.update(number + 1, note=f"{sum(row['decisions'] for row in rows):,} decisions")
    return rows


def _create(minari: ModuleType, env: ActionMaskObservation, name: str, first: object, about: dict[str, Any]) -> Any:  # noqa: ANN401 - minari ships no stubs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that no author and no link to code are named
        dataset = minari.create_dataset_from_buffers(
            name,
            [first],
            env=_as_text(env),
            observation_space=env.observation_space,
            action_space=env.action_space,
            algorithm_name=str(about["policy"]),
            description=_described(about),
            requirements=[f"maestro-gym=={about['versions']['maestro-gym']}"],
        )
    dataset.storage.update_metadata({METADATA: json.dumps(about)})
    return dataset


def _as_text(env: ActionMaskObservation) -> gymnasium.Env | None:
    """The environment where Minari can write down how to make it again, which it cannot of a policy from a file."""
    spec = env.spec
    if spec is None or not isinstance(spec.kwargs.get("companions"), str):
        return None
    return env


def _row(seed: int, episode: Recorded) -> dict[str, Any]:
    own = episode.infos["of_policy"][:-1]
    return {
        "seed": seed,
        "decisions": len(episode.actions),
        "of_policy": float(own.mean()),
        "return": float(episode.rewards.sum()),
        "slo_attainment": episode.metrics["slo_attainment"],
        "completion_mean_s": episode.metrics["completion_mean_s"],
    }


def _described(about: dict[str, Any]) -> str:
    return (
        f"Decisions of the {about['tier']} tier by {about['policy']} on {about['scenario']}, contention "
        f"{about['contention']}, {about['split']} episodes; the key {METADATA} says how it was made."
    )


def _free(minari: ModuleType, name: str, *, overwrite: bool) -> Path:
    """The folder of a dataset that is not there, or no longer."""
    from minari.storage.datasets_root_dir import get_dataset_path

    try:
        minari.dataset.minari_dataset.parse_dataset_id(name)
    except ValueError:
        raise MaestroError(
            f"--name {name}: is no name of a dataset. Minari's are such as maestro/cluster/edf-quick-v0: letters, "
            "digits, dashes, and a version at the end."
        ) from None
    folder = get_dataset_path(name)
    if folder.exists():
        if not overwrite:
            raise MaestroError(
                f"{folder} holds a dataset of this name. Give another by --name, such as the next version, or put the "
                "new one in its place by --overwrite."
            )
        minari.delete_dataset(name)
    return folder


@contextmanager
def _datasets_in(folder: Path | None) -> Iterator[None]:
    """Let Minari look for datasets in a folder: an environment variable tells it where; None leaves its own."""
    before = os.environ.get(_PLACE)
    if folder is not None:
        os.environ[_PLACE] = str(folder.resolve())
    try:
        yield
    finally:
        if before is not None:
            os.environ[_PLACE] = before
        else:
            os.environ.pop(_PLACE, None)
