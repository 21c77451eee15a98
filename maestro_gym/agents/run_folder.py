"""What a training run or a search leaves behind: its folder, its configuration, and what it says of itself."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maestro_gym.agents.checkpoint import FOLDER as CHECKPOINT
from maestro_gym.agents.policy_file import CARD_FILE
from maestro_gym.config import ScenarioConfig, dump_config, load_scenario
from maestro_gym.config.search import SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.evaluation.run_info import command_line, commit, machine, now_utc, versions

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"


def new_folder(out: Path | None, config: ScenarioConfig) -> Path:
    """Make the folder of a new run.

    Args:
        out: Where the user wants it; None makes ``runs/train/<scenario>-<tier>-<seed>-<time>``.
        config: The resolved scenario.

    Returns:
        The folder, which exists.

    Raises:
        MaestroError: It already holds a run, or cannot be made.
    """
    train = config.train
    name = f"{file_name(config.name)}-{train.tier}-s{train.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = out or Path("runs") / "train" / name
    if (folder / CARD_FILE).exists() or (folder / CHECKPOINT).exists():
        raise MaestroError(
            f"{folder} already holds a training run. Go on with it by --resume {folder}, name another folder, or "
            "remove it."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MaestroError(
            f"The run folder {folder} cannot be made ({error.strerror}); name a writable place."
        ) from None
    write_config(folder, config)
    return folder


def write_config(folder: Path, config: ScenarioConfig | SearchConfig) -> None:
    """Write the resolved configuration, which loads again to an equal one."""
    (folder / CONFIG_FILE).write_text(dump_config(config), encoding="utf-8")


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


def note_run(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write what the run says of itself: command, versions, commit, machine, and the facts given.

    Args:
        folder: The run folder.
        facts: As JSON.
    """
    about = {"command": command_line(), "written": now_utc(), "machine": machine()}
    about |= {"versions": versions(), "commit": commit()}
    (folder / RUN_FILE).write_text(json.dumps(about | dict(facts), indent=2) + "\n", encoding="utf-8")
