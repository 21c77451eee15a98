"""A search over whole episodes: what counts as better, and that it goes on exactly where it stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.agents.search.evaluate import MEASURES, Evaluator, Trial
from maestro_gym.agents.search.objective import worth
from maestro_gym.agents.search.search import Search, run_search
from maestro_gym.baselines import load_policy
from maestro_gym.baselines.shaped.file import POLICY_FILE, read_numbers
from maestro_gym.baselines.shaped.numbers import NUMBERS, defaults, values_of
from maestro_gym.cli.app import app
from maestro_gym.config.search import ObjectiveConfig, PlaceConfig, SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario

OVERRIDES = ("horizon_s=60", "contention=high")


def _config(**changes: object) -> SearchConfig:
    given = {
        "places": [PlaceConfig(scenario="toy", overrides=list(OVERRIDES))],
        "generations": 4,
        "population": 4,
        "episodes": 1,
        "validate_every": 2,
        "validation_episodes": 2,
    }
    return SearchConfig(**(given | changes))


def _row(slo: float, mean_s: float = 100.0, p95_s: float = 300.0) -> np.ndarray:
    return np.array([[slo, mean_s, p95_s, slo, slo]])


def test_the_reference_itself_is_worth_nothing_and_better_service_more() -> None:
    objective, weights = ObjectiveConfig(tail=0.1), np.ones(1)
    theirs = _row(0.7)
    assert worth(objective, theirs, theirs, weights) == 0.0
    assert worth(objective, _row(0.8), theirs, weights) == pytest.approx(0.1)
    assert worth(objective, _row(0.7, mean_s=80.0), theirs, weights) == pytest.approx(0.15 * 0.2)
    assert worth(objective, _row(0.7, p95_s=150.0), theirs, weights) == pytest.approx(0.1 * 0.5)


def test_the_worst_episode_counts_beside_the_mean_and_a_class_that_loses_costs() -> None:
    theirs = np.repeat(_row(0.5), 2, axis=0)
    uneven = np.concatenate([_row(0.9), _row(0.5)])
    even = np.repeat(_row(0.7), 2, axis=0)
    weights = np.full(2, 0.5)
    assert worth(ObjectiveConfig(), even, theirs, weights) > worth(ObjectiveConfig(), uneven, theirs, weights)
    sacrificed = even.copy()
    sacrificed[:, 4] = 0.4
    limited, free = ObjectiveConfig(class_limit=0.01), ObjectiveConfig(class_limit=None)
    assert worth(free, sacrificed, theirs, weights) == worth(free, even, theirs, weights)
    assert worth(limited, sacrificed, theirs, weights) == pytest.approx(worth(free, even, theirs, weights) - 5 * 0.09)


def test_a_trial_measures_what_a_comparison_measures() -> None:
    scenario = Scenario.load("toy", OVERRIDES)
    shaped, tight = load_policy("shaped", scenario), values_of({"stages_cap": 3.0}, "a test")
    candidates = np.array([defaults(), tight])
    trials = [Trial(candidate, 0, "validation", seed) for candidate in range(2) for seed in (3, 4)]
    found = dict(Evaluator([scenario], [shaped]).run(candidates, trials))
    for number, trial in enumerate(trials):
        policy = load_policy("maestro", scenario) if trial.candidate == 0 else _with(shaped, tight)
        row = result_row(run_episode(scenario, policy, "validation", trial.seed, 0, samples=0))
        np.testing.assert_array_equal(found[number], [row[name] for name in MEASURES])


def _with(policy: object, numbers: tuple[float, ...]) -> object:
    from dataclasses import replace

    return replace(policy, numbers=numbers)  # type: ignore[type-var]


def test_a_search_that_was_stopped_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    whole = run_search(_config(), out=tmp_path / "whole")
    run_search(_config(generations=2), out=tmp_path / "parts")
    np.random.seed(99)  # noqa: NPY002 - a new process draws from elsewhere
    parts = run_search(_config(), resume=tmp_path / "parts")
    assert parts.generations == whole.generations == 4
    assert read_numbers(parts.folder / POLICY_FILE) == read_numbers(whole.folder / POLICY_FILE)
    assert (parts.folder / "search.csv").read_text() == (whole.folder / "search.csv").read_text()


ALONE = """
import sys
from pathlib import Path
from maestro_gym.agents.search.search import run_search
from maestro_gym.config.search import PlaceConfig, SearchConfig
places = [PlaceConfig(scenario="toy", overrides=["horizon_s=60"])]
config = SearchConfig(places=places, generations=1, population=4, validation_episodes=1)
print(run_search(config, out=Path(sys.argv[1])).generations)
"""


def test_a_search_needs_nothing_that_another_verb_has_imported(tmp_path: Path) -> None:
    # Metrics are registered by their modules: a process that only searches must bring them along.
    words = [sys.executable, "-c", ALONE, str(tmp_path / "alone")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.split()[-1] == "1"


def test_only_the_numbers_that_are_named_move(tmp_path: Path) -> None:
    search = Search(_config(numbers=["stages_cap", "slack"]), tmp_path)
    candidate = search.candidate(np.array([0.0, 1.0]))
    moved = {number.name: value for number, value in zip(NUMBERS, candidate, strict=True) if value != number.default}
    assert moved == {"stages_cap": 8.0, "slack": 4.0}


def test_mistakes_are_told_with_what_exists(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="stages_cap"):
        Search(_config(numbers=["stage_cap"]), tmp_path)
    run_search(_config(generations=1), out=tmp_path / "kept")
    with pytest.raises(MaestroError, match="--resume"):
        run_search(_config(), out=tmp_path / "kept")


def test_the_verb_leaves_a_policy_that_compare_takes(tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(_config(generations=1).model_dump(mode="json")), encoding="utf-8")
    runner, folder = CliRunner(), tmp_path / "found"
    result = runner.invoke(
        app, ["search", "--config", str(config), "--out", str(folder), "--json", str(tmp_path / "s.json")]
    )
    assert result.exit_code == 0, result.output
    assert "slo_attainment" in result.output
    words = ["compare", "-s", "toy", "-p", f"{folder},maestro", "--seeds", "0", "-j", "1", *OVERRIDES]
    result = runner.invoke(app, [*words, "--out", str(tmp_path / "compare")])
    assert result.exit_code == 0, result.output
    assert "found" in result.output
