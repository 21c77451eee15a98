"""The page of logged values holds each name that runs log and no other; the sweep of W&B changes what `train` takes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.main import get_command

from maestro_gym.agents.logs import LOG_FILE, STEP_COLUMN
from maestro_gym.agents.search.search import run_search
from maestro_gym.agents.train import resolved_training, run_train
from maestro_gym.cli.app import app
from maestro_gym.config import config_dir
from maestro_gym.config.search import PlaceConfig, SearchConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "logged_values.md").read_text(encoding="utf-8")
SWEEP = yaml.safe_load((config_dir() / "wandb" / "sweep.yaml").read_text(encoding="utf-8"))
SHORT = ["contention=high", "horizon_s=20", "drain_s=60"]
TRAINING = [
    *SHORT,
    "train.num_envs=4",
    "train.rollout_steps=32",
    "train.batch_size=32",
    "train.total_steps=512",
    "train.imitation_steps=128",
    "train.hidden_sizes=[8]",
    "train.eval_every_steps=128",
    "train.eval_episodes=1",
    "train.torch_threads=1",
    "train.horizon_s=5",
]


def documented(section: str) -> set[str]:
    """Names in the table of a section of the page."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def logged(folder: Path) -> tuple[set[str], set[str]]:
    """Names in the CSV of a run, and in its TensorBoard events."""
    with (folder / LOG_FILE).open(newline="", encoding="utf-8") as file:
        names = set(next(csv.reader(file))) - {STEP_COLUMN}
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return names, set(events.Tags()["scalars"])


def test_the_page_holds_every_name_that_a_training_logs_and_no_other(tmp_path: Path) -> None:
    run_train("toy", tier="cluster", overrides=TRAINING, out=tmp_path / "run", progress=False)
    names, drawn = logged(tmp_path / "run")
    assert names == documented("Training")
    assert names - drawn == {"train/n_updates"}
    assert drawn <= names


def test_the_page_holds_every_name_that_a_search_logs_and_no_other(tmp_path: Path) -> None:
    config = SearchConfig(
        places=[PlaceConfig(scenario="toy", overrides=SHORT)],
        generations=1,
        population=4,
        episodes=1,
        validate_every=1,
        validation_episodes=1,
    )
    run_search(config, out=tmp_path / "run", progress=False)
    assert logged(tmp_path / "run") == (documented("Search"), documented("Search"))


def test_the_sweep_raises_a_value_that_is_logged() -> None:
    assert SWEEP["metric"]["name"] in documented("Training")
    assert SWEEP["metric"]["goal"] == "maximize"


def values(parameter: dict[str, Any]) -> Iterator[object]:
    """Values of a parameter that a sweep may choose: all, or both ends."""
    yield from parameter.get("values", [parameter.get("min"), parameter.get("max")])


@pytest.mark.parametrize("name", SWEEP["parameters"])
def test_the_sweep_changes_what_a_training_takes(name: str) -> None:
    for value in values(SWEEP["parameters"][name]):
        resolved = resolved_training("quick", "quick", overrides=[f"{name}={value}"])
        assert getattr(resolved.train, name.removeprefix("train.")) == value


def test_the_command_of_the_sweep_is_one_of_the_program() -> None:
    program, verb, *words = SWEEP["command"]
    assert (program, SWEEP["program"], words[-1]) == ("${program}", "maestro-gym", "${args_no_hyphens}")
    command: Any = get_command(app)
    context = command.commands[verb].make_context(verb, words[:-1])
    assert context.params["scenario"] == "quick"
    assert context.params["overrides"] == ["train.wandb=online"]
    assert "train.wandb=online" not in SWEEP["parameters"]
