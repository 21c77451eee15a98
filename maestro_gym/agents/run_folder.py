"""What a training run or a search leaves behind: its folder, its configuration, and what it says of itself."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_gym.config import ScenarioConfig, dump_config, load_scenario
from maestro_gym.config.search import SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.run_info import command_line, commit, machine, now_utc, versions

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"


def default_folder(config: ScenarioConfig, seeds: Sequence[int] = ()) -> Path:
    """Name a folder below ``runs/train`` for a new run, after its scenario, its tier, its seeds and the time."""
    train = config.train
    seed = f"{len(seeds)}-seeds" if seeds else f"s{train.seed}"
    name = f"{file_name(config.name)}-{train.tier}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    return Path("runs") / "train" / name


def write_config(folder: Path, config: ScenarioConfig | SearchConfig) -> None:
    """Write the resolved configuration, which loads again to an equal one."""
    write_whole(folder / CONFIG_FILE, dump_config(config))


def resumed_config(folder: Path, overrides: list[str]) -> ScenarioConfig:
    """Read the configuration of a run that shall go on.

    Args:
        folder: Its run folder.
        overrides: Changes, such as ``train.total_steps=2000000``.

    Raises:
        MaestroError: The folder holds no run.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise MaestroError(
            f"--resume {folder}: holds no {CONFIG_FILE}. Give the folder of a run of `maestro-gym train`."
        )
    return load_scenario(str(path), overrides)


def has_ended(folder: Path) -> bool:
    """Whether the last session of a run has come to its own end, and was not killed.

    Args:
        folder: The run folder.
    """
    try:
        about = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("state") in ("finished", "stopped")


def note_run(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write what the run says of itself: command, versions, commit, machine, and the facts given.

    Args:
        folder: The run folder.
        facts: As JSON.
    """
    about = {"command": command_line(), "written": now_utc(), "machine": machine()}
    about |= {"versions": versions(), "commit": commit()}
    write_whole(folder / RUN_FILE, json.dumps(about | dict(facts), indent=2) + "\n")
