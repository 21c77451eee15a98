"""What a benchmark may say, and that the shipped ones still say what they were frozen at."""

from pathlib import Path
from typing import Any

import pytest

from maestro_gym.config import ScenarioConfig, config_names, load_scenario, load_search
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.suite.definition import BenchmarkConfig, benchmark_names, load_benchmark
from maestro_gym.evaluation.suite.run import frozen_place, place_of
from tests.evaluation.suite.small import Small, forget

SHIPPED = {name: load_benchmark(name).config for name in benchmark_names()}


def _families(config: ScenarioConfig) -> set[str]:
    workload = config.workload
    return {part.family for part in workload.mixture or ()} | ({workload.family} if workload.family else set())


def _resolved(config: BenchmarkConfig) -> ScenarioConfig:
    return load_scenario(config.scenario, config.overrides)


@pytest.mark.parametrize("name", [name for name, config in SHIPPED.items() if config.trace is None])
def test_a_shipped_benchmark_is_as_it_was_frozen(name: str) -> None:
    assert frozen_place(load_benchmark(name)).changed == []


def test_every_load_two_fleets_two_families_and_traces_are_there() -> None:
    assert {f"quick-{load}" for load in ("low", "medium", "high", "overload")} | {"paper-high"} <= SHIPPED.keys()
    held_out = [config.held_out for config in SHIPPED.values()]
    assert min(held_out.count(kind) for kind in ("fleet", "family", "trace")) >= 2


def test_shipped_searches_touch_no_fleet_and_no_family_that_is_held_out() -> None:
    held_out = [config for config in SHIPPED.values() if config.held_out in ("fleet", "family")]
    fleets = [_resolved(config).fleet for config in held_out if config.held_out == "fleet"]
    families = {name for config in held_out if config.held_out == "family" for name in _families(_resolved(config))}
    places = [place for name in config_names("search") for place in load_search(name).places]
    assert places
    assert len(families) >= 2
    for place in places:
        touched = load_scenario(place.scenario, place.overrides)
        assert touched.fleet not in fleets
        assert not _families(touched) & families


def test_all_shipped_benchmarks_have_the_same_budget_and_test_seeds_that_start_alike() -> None:
    assert len({config.budget for config in SHIPPED.values()}) == 1
    assert len({config.seeds.test.first for config in SHIPPED.values()}) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": {"train": {"first": 0, "last": 300}, "validation": {"first": 400, "last": 401},
                    "test": {"first": 300, "last": 301}}}, r"seeds of train \(0-300\) and test \(300-301\) overlap"),
        ({"seeds": {"train": {"first": 9, "last": 3}, "test": {"first": 300, "last": 301}}}, "below first"),
        ({"seeds": {"test": {"first": 300, "last": 301}}}, "training never touches"),
        ({"held_out": "fleet"}, "held out has test seeds alone"),
        ({"metric": "slo"}, "'slo' is no metric"),
        ({"metric": "wakes"}, "neither better high nor low"),
        ({"also": ["slo_attainment"]}, "named twice"),
        ({"budjet": {}}, "unknown key `budjet`"),
    ],
)  # fmt: skip
def test_a_definition_that_does_not_fit_together_is_refused(small: Small, change: dict[str, Any], words: str) -> None:
    small.write(**change)
    with pytest.raises(MaestroError, match=words):
        load_benchmark(small.word)


def test_an_unknown_benchmark_is_told_the_nearest() -> None:
    with pytest.raises(MaestroError, match="Did you mean `quick-high`"):
        load_benchmark("quick-hihg")


def test_a_trace_that_is_not_there_is_named_with_its_source(tmp_path: Path) -> None:
    azure = load_benchmark("trace-azure")
    with pytest.raises(MaestroError, match=r"AzureLLMInferenceTrace_conv.csv \(github.com/Azure.*--traces FOLDER"):
        place_of(azure)
    with pytest.raises(MaestroError, match="which is not in"):
        place_of(azure, tmp_path)
    (tmp_path / "AzureLLMInferenceTrace_conv.csv").write_text("TIMESTAMP\n", encoding="utf-8")
    with pytest.raises(MaestroError, match="is another file: its SHA-256"):
        place_of(azure, tmp_path)


def test_a_changed_scenario_is_refused_with_the_part_that_differs(small: Small) -> None:
    small.write_scenario(drain_s=61)
    forget()
    with pytest.raises(MaestroError, match=r"not the frozen one. What differs: drain_s\. "):
        frozen_place(load_benchmark(small.word))


def test_a_benchmark_that_was_never_frozen_is_refused(small: Small) -> None:
    small.write()
    with pytest.raises(MaestroError, match="never frozen"):
        frozen_place(load_benchmark(small.word))
