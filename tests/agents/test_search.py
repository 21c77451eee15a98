"""A search over whole episodes: what counts as better, and that it goes on exactly where it stopped."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.search.evaluate import MEASURES, Evaluator, Trial
from maestro_gym.agents.search.kept import STATE_FILE, Best, KeptSearch, read_kept, write_kept
from maestro_gym.agents.search.objective import measures_of, worth
from maestro_gym.agents.search.search import Search, SearchResult, run_search
from maestro_gym.agents.search.seeds import agreement
from maestro_gym.baselines import load_policy
from maestro_gym.baselines.shaped.file import POLICY_FILE, read_numbers, values_of
from maestro_gym.baselines.shaped.numbers import FAMILY, defaults
from maestro_gym.cli.app import app
from maestro_gym.config import config_names, load_search
from maestro_gym.config.search import KnobConfig, LimitConfig, ObjectiveConfig, PlaceConfig, SearchConfig
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


def _worth(objective: ObjectiveConfig, ours: np.ndarray, theirs: np.ndarray, places: tuple[int, ...] = ()) -> float:
    count = len(ours)
    return worth(objective, ours, theirs, np.full(count, 1 / count), np.array(places or [0] * count))


def test_the_reference_itself_is_worth_nothing_and_better_service_more() -> None:
    objective, theirs = ObjectiveConfig(tail=0.1), _row(0.7)
    assert _worth(objective, theirs, theirs) == 0.0
    assert _worth(objective, _row(0.8), theirs) == pytest.approx(0.1)
    assert _worth(objective, _row(0.7, mean_s=80.0), theirs) == pytest.approx(0.15 * 0.2)
    assert _worth(objective, _row(0.7, p95_s=150.0), theirs) == pytest.approx(0.1 * 0.5)


def test_the_worst_episode_counts_beside_the_mean() -> None:
    theirs = np.repeat(_row(0.5), 2, axis=0)
    uneven = np.concatenate([_row(0.9), _row(0.5)])
    even = np.repeat(_row(0.7), 2, axis=0)
    assert _worth(ObjectiveConfig(), even, theirs) > _worth(ObjectiveConfig(), uneven, theirs)


def test_a_loss_beyond_a_limit_costs_at_each_place() -> None:
    free = ObjectiveConfig(limits=[])
    limited = ObjectiveConfig(limits=[LimitConfig(metric="slo_attainment_batch", most_loss=0.01)])
    theirs, ours = np.repeat(_row(0.5), 2, axis=0), np.repeat(_row(0.7), 2, axis=0)
    ours[:, 4] = [0.6, 0.4]
    # Over both episodes the class loses nothing; where each is a place of its own, one place loses ten points.
    assert _worth(limited, ours, theirs, (0, 0)) == _worth(free, ours, theirs)
    lost = _worth(free, ours, theirs) - _worth(limited, ours, theirs, (0, 1))
    assert lost == pytest.approx(5.0 * 0.5 * (0.1 - 0.01))
    ours[1, 4] = theirs[1, 4] = np.nan
    assert _worth(limited, ours, theirs, (0, 1)) == _worth(free, ours, theirs)


def test_what_is_no_share_is_limited_as_a_share_of_the_references() -> None:
    objective = ObjectiveConfig(
        limits=[LimitConfig(metric="completion_mean_s", most_loss=0.02), LimitConfig(metric="unfinished", most_loss=0)],
        completion=0.0,
        penalty=1.0,
    )
    assert measures_of(objective) == (*MEASURES, "unfinished")
    theirs, ours = np.array([[0.5, 100.0, 300.0, 0.5, 0.5, 0.0]]), np.array([[0.5, 105.0, 300.0, 0.5, 0.5, 2.0]])
    assert _worth(objective, ours, theirs) == pytest.approx(-(0.05 - 0.02) - 2.0)
    with pytest.raises(MaestroError, match="kv_used"):
        measures_of(ObjectiveConfig(limits=[LimitConfig(metric="kv_used_mean_bytes", most_loss=0.1)]))
    with pytest.raises(MaestroError, match="no metric"):
        measures_of(ObjectiveConfig(limits=[LimitConfig(metric="slo", most_loss=0.1)]))


def test_a_trial_measures_what_a_comparison_measures() -> None:
    scenario = Scenario.load("toy", OVERRIDES)
    shaped, tight = load_policy("shaped", scenario), values_of(FAMILY, {"stages_cap": 3.0}, "a test")
    candidates = np.array([defaults(), tight])
    trials = [Trial(candidate, 0, "validation", seed) for candidate in range(2) for seed in (3, 4)]
    found = dict(Evaluator([scenario], [shaped]).run(candidates, trials))
    for number, trial in enumerate(trials):
        policy = load_policy("maestro", scenario) if trial.candidate == 0 else _with(shaped, tight)
        row = result_row(run_episode(scenario, policy, "validation", trial.seed, 0, samples=0))
        np.testing.assert_array_equal(found[number], [row[name] for name in MEASURES])


def test_a_trial_under_other_limits_is_the_same_episode_in_the_scenario_with_them() -> None:
    scenario = Scenario.load("toy", OVERRIDES)
    policy, limits = load_policy("maestro", scenario), ("limits.max_num_seqs=17",)
    columns = [*MEASURES, "hol_blocking_mean_s"]
    evaluator = Evaluator([scenario], [policy], columns)
    trials = [Trial(candidate, 0, "validation", 3) for candidate in (0, 1, 0)]
    found = dict(evaluator.run(np.zeros((2, 1)), trials, [(), limits]))
    other = Scenario.load("toy", [*OVERRIDES, *limits, f"workload.rate_rps={scenario.rate_rps!r}"])
    row = result_row(run_episode(other, policy, "validation", 3, 0, samples=0))
    np.testing.assert_array_equal(found[1], [row[name] for name in columns])
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


def test_any_changed_bit_of_a_searchs_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILE
    best = Best(worth=0.5, validation={"slo_attainment": (0.75, 0.5)}, row=[0.25])
    kept = KeptSearch(names=["a"], told=[[1.5]], asked=["abc"], episodes=3, best=best, challenger=[0.125])
    write_kept(path, kept)
    whole = path.read_bytes()
    for place in range(len(whole) - 1):  # the last is the end of the line
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with contextlib.suppress(ValueError):
            if json.loads(path.read_bytes()) == json.loads(whole):
                continue  # a blank for another
        with pytest.raises(MaestroError, match=re.escape(str(path))):
            read_kept(path, ["a"])
    path.write_bytes(whole)
    assert read_kept(path, ["a"]).model_copy(update={"sha256": {}}) == kept


def _with(policy: object, numbers: tuple[float, ...]) -> object:
    from dataclasses import replace

    return replace(policy, numbers=numbers)  # type: ignore[type-var]


KNOB = KnobConfig(path="limits.max_num_seqs", levels=[16, 32, 64, 128])


def test_a_search_that_was_stopped_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    knobs = {"knobs": [KNOB], "numbers": ["order"]}
    whole = run_search(_config(**knobs), out=tmp_path / "whole")
    run_search(_config(generations=2, **knobs), out=tmp_path / "parts")
    np.random.seed(99)  # noqa: NPY002 - a new process draws from elsewhere
    parts = run_search(_config(**knobs), resume=tmp_path / "parts")
    assert parts.generations == whole.generations == 4
    assert parts.values == whole.values
    kept = [read_numbers(result.folder / POLICY_FILE) for result in (parts, whole)]
    assert (kept[0].numbers, kept[0].knobs) == (kept[1].numbers, kept[1].knobs)
    assert set(kept[0].knobs) == {KNOB.path}
    assert (parts.folder / "progress.csv").read_text() == (whole.folder / "progress.csv").read_text()
    assert list((whole.folder / "tensorboard").glob("events.*"))
    with pytest.raises(MaestroError, match="checkpoint searched"):
        run_search(_config(), resume=tmp_path / "parts")


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
    space = Search(_config(numbers=["stages_cap", "slack"], fixed={"wait": 0.0}, knobs=[KNOB]), tmp_path).space
    row = space.row(np.array([0.0, 1.0, 0.6]))
    moved = {
        number.name: value
        for number, value in zip(FAMILY.numbers, space.values(row), strict=True)
        if value != number.default
    }
    assert moved == {"stages_cap": 8.0, "slack": 4.0, "wait": 0.0}
    assert space.limits(row) == ("limits.max_num_seqs=64",)
    assert space.limits(space.row(np.array([0.0, 1.0, 1.0]))) == ("limits.max_num_seqs=128",)
    assert space.limits(space.row(space.start)) == ("limits.max_num_seqs=128",)


def test_a_part_names_its_numbers_but_for_the_fixed_ones(tmp_path: Path) -> None:
    space = Search(_config(numbers=["node and reclaim"], fixed={"idle_per_byte": 0.5}), tmp_path).space
    assert space.names == ["reservation", "harm_per_byte"]
    assert set(Search(_config(start="defaults"), tmp_path).space.names) == set(FAMILY.names)


@pytest.mark.parametrize(
    "name", [name for name in config_names("search") if name not in ("quick", "generalist", "clairvoyant")]
)
def test_a_shipped_search_names_what_exists(name: str, tmp_path: Path) -> None:
    config = load_search(name)
    assert len(Search(config, tmp_path).space.names) >= 2
    generalist, same = load_search("generalist"), load_search("tuned-maestro")
    for field in ("places", "objective", "population", "episodes"):
        assert getattr(config, field) == getattr(generalist, field)
    assert (config.generations, config.validation_episodes) == (same.generations, same.validation_episodes)


def test_the_clairvoyant_search_is_the_generalist_with_true_times() -> None:
    told, same = load_search("clairvoyant"), load_search("generalist")
    assert told.model_copy(update={"places": same.places}) == same
    for place, other in zip(told.places, same.places, strict=True):
        assert (place.scenario, place.weight) == (other.scenario, other.weight)
        assert place.overrides == [*other.overrides, "predictor.kind=oracle"]


def test_mistakes_are_told_with_what_exists(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="stages_cap"):
        Search(_config(numbers=["stage_cap"]), tmp_path)
    with pytest.raises(MaestroError, match="searched or held"):
        Search(_config(numbers=["slack", "wait"], fixed={"wait": 0.0}), tmp_path)
    with pytest.raises(MaestroError, match="needs two"):
        Search(_config(numbers=["slack"]), tmp_path)
    with pytest.raises(MaestroError, match="max_num_seqs"):
        Search(_config(knobs=[KnobConfig(path="limits.max_num_seq", levels=[1, 2])]), tmp_path)
    with pytest.raises(MaestroError, match=r"family.*no numbers"):
        Search(_config(family="fcfs"), tmp_path)
    run_search(_config(generations=1), out=tmp_path / "kept")
    with pytest.raises(MaestroError, match="--resume"):
        run_search(_config(), out=tmp_path / "kept")


OWN = """
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import number, remaining_s, waited_s

NUMBERS = (
    Number("short", "s/s", -1, 1, 1, "Key for each second that remains."),
    Number("old", "s/s", -1, 1, 0, "Key for each second of waiting."),
)
SHORT, OLD = places(NUMBERS)


def key(view, oracle, e, stage):
    return number(view, e, SHORT) * remaining_s(view, e, stage) + number(view, e, OLD) * waited_s(view, e, stage)


RULE = order_by(key, numbers=NUMBERS, name="own", information="P", description="own", source="a test")
"""


def test_the_numbers_of_a_users_rule_are_searched_and_kept_with_the_rule(tmp_path: Path) -> None:
    rule = tmp_path / "own.py"
    rule.write_text(OWN, encoding="utf-8")
    with pytest.warns(UserWarning, match=r"own\.py"):
        found = run_search(_config(family=f"{rule}:RULE+maestro", generations=1), out=tmp_path / "found")
    assert set(found.values) == {"short", "old"}
    file = read_numbers(found.folder / POLICY_FILE)
    assert file.family == "own.py:RULE+maestro"
    rule.unlink()  # the folder holds what its numbers belong to
    scenario = Scenario.load("toy", OVERRIDES)
    with pytest.raises(MaestroError, match="--trust"):
        load_any_policy(str(found.folder), scenario)
    with pytest.warns(UserWarning, match=r"own\.py"):
        policy = load_any_policy(str(found.folder), scenario, trust=True)
    assert policy.family is not None
    values = dict(zip(policy.family.names, policy.numbers[policy.family.first :], strict=True))
    assert values == pytest.approx(found.values, rel=1e-4)
    assert set(policy.numbers[: policy.family.first]) == {0.0}


def test_the_verb_leaves_a_policy_that_compare_takes(tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(_config(generations=1).model_dump(mode="json")), encoding="utf-8")
    runner, folder = CliRunner(), tmp_path / "found"
    words = ["search", "--config", str(config), "--out", str(folder), "--json", str(tmp_path / "s.json")]
    result = runner.invoke(app, [*words, "--report", "--perfetto", str(tmp_path / "trace.json")])
    assert result.exit_code == 0, result.output
    assert "slo_attainment" in result.output
    assert f"Report: {folder / 'report.html'}" in result.output
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "of the\nvalidation split" in page
    assert "<option selected>maestro</option>" in page
    assert len(list(tmp_path.glob("trace-toy-*.json"))) == 2
    words = ["compare", "-s", "toy", "-p", f"{folder},maestro", "--seeds", "0", "-j", "1", *OVERRIDES]
    result = runner.invoke(app, [*words, "--out", str(tmp_path / "compare")])
    assert result.exit_code == 0, result.output
    assert "found" in result.output


def test_the_verb_searches_every_number_of_a_rival_that_is_named_as_the_family(tmp_path: Path) -> None:
    folder = tmp_path / "found"
    few = ["generations=2", "population=4", "validate_every=2", "validation_episodes=1", "numbers=[alpha]"]
    words = ["search", "--family", "qoserve+maestro@early", "--out", str(folder), 'places=[{"scenario":"toy"}]', *few]
    result = CliRunner().invoke(app, words)
    assert "CMA-ES needs two" in result.output, "words of the user's own come after"
    result = CliRunner().invoke(app, [*words[:-1], "--overwrite"])
    assert result.exit_code == 0, result.output
    found = read_numbers(folder / POLICY_FILE)
    assert found.family == "qoserve+maestro@early"
    assert set(found.numbers) <= {"alpha", "relegation_margin"}
    policy = load_policy(str(folder))
    assert policy.cluster_rule.name == "maestro@early"
    assert policy.numbers[-2:] == tuple(values_of(policy.family, found.numbers, ""))


def test_several_seeds_leave_the_best_policy_and_say_on_what_they_agree(tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(_config(generations=1).model_dump(mode="json")), encoding="utf-8")
    runner, folder = CliRunner(), tmp_path / "found"
    words = [
        "search",
        "--config",
        str(config),
        "--seeds",
        "0-1",
        "--out",
        str(folder),
        "--json",
        str(tmp_path / "s.json"),
    ]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert [row["seed"] for row in document["seeds"]] == [0, 1]
    assert len(document["numbers"]) == len(FAMILY.numbers)
    best = max(document["seeds"], key=lambda row: row["objective"])["seed"]
    kept = (folder / f"seed-{best}" / POLICY_FILE).read_text(encoding="utf-8")
    assert (folder / POLICY_FILE).read_text(encoding="utf-8") == kept
    result = runner.invoke(app, ["search", "--resume", str(folder)])
    assert result.exit_code == 2
    assert "--seeds" in result.output
    again = runner.invoke(app, ["search", "--resume", str(folder), "--seeds", "0-1"])
    assert again.exit_code == 0, again.output


def test_agreement_counts_the_searches_that_moved_a_number_the_same_way() -> None:
    def found(value: float) -> SearchResult:
        return SearchResult(Path("nowhere"), 0, 1, 1, 0.0, {}, 0.0, {"slack": value}, {"slack": 1.0})

    assert agreement([found(2.0), found(4.0), found(0.5)]) == [
        {"number": "slack", "default": 1.0, "median": 2.0, "least": 0.5, "greatest": 4.0, "moved": "up in 2 of 3"}
    ]


def test_the_page_names_every_setting() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
    for model in (SearchConfig, ObjectiveConfig, LimitConfig, PlaceConfig):
        for field in model.model_fields:
            assert re.search(rf"`[^`]*\b{field}\b[^`]*`|\b{field}:", page), field
