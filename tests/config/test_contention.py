"""The labels of contention are parts of the knee, or of the capacity where the knee says so or is not measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_gym.config import CONTENTION_LOADS, dump_config, load_scenario, scenario_names
from maestro_gym.core.errors import MaestroError

OWN = "extends: quick\nworkload: {family: tool_dialogue"


def _own(folder: Path, rest: str = "}\n") -> str:
    path = folder / "mine.yaml"
    path.write_text(OWN + rest)
    return str(path)


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_that_comes_with_the_package_holds_its_knee(name: str) -> None:
    config = load_scenario(name)
    knee = config.workload.knee
    if config.contention == "custom":  # its load is its point, and it has no labels to measure
        assert (knee, config.workload.load is None) == (None, False)
        return
    assert knee is not None
    assert knee.measured_by.startswith(f"maestro-gym knee --scenario {name}")
    assert knee.labels == ("capacity" if name in ("quick", "paper") else "knee")


@pytest.mark.parametrize("name", ["quick", "paper"])
@pytest.mark.parametrize(("label", "load"), [("low", 0.5), ("medium", 0.8), ("high", 1.1), ("overload", 1.5)])
def test_labels_of_quick_and_paper_stay_at_the_capacity(name: str, label: str, load: float) -> None:
    assert load_scenario(name, [f"contention={label}"]).workload.load == load


@pytest.mark.parametrize("name", ["mixture", "toy"])
@pytest.mark.parametrize("label", CONTENTION_LOADS)
def test_labels_of_the_other_scenarios_are_parts_of_the_knee(name: str, label: str) -> None:
    workload = load_scenario(name, [f"contention={label}"]).workload
    assert workload.knee is not None
    assert workload.load == pytest.approx(CONTENTION_LOADS[label] * workload.knee.load)


def test_labels_without_a_knee_are_parts_of_the_capacity(tmp_path: Path) -> None:
    workload = load_scenario(_own(tmp_path), ["contention=overload"]).workload
    assert (workload.knee, workload.load) == (None, 1.5)


def test_a_knee_in_a_file_or_an_override_sets_the_labels(tmp_path: Path) -> None:
    path = _own(tmp_path, ", knee: {load: 2.0}}\n")
    assert load_scenario(path, ["contention=high"]).workload.load == pytest.approx(2.2)
    words = ["workload.family=coding_agent", "workload.knee.load=4", "contention=low"]
    assert load_scenario("quick", words).workload.load == 2.0


@pytest.mark.parametrize("word", ["workload.family=tool_dialogue", "workload.trace=sample"])
def test_another_workload_does_not_inherit_the_knee(word: str) -> None:
    assert load_scenario("mixture", [word]).workload.knee is None
    assert load_scenario("mixture", ["limits.max_num_seqs=64"]).workload.knee is not None


def test_a_file_that_extends_a_scenario_and_keeps_its_workload_keeps_its_knee(tmp_path: Path) -> None:
    path = tmp_path / "longer.yaml"
    path.write_text("extends: mixture\nworkload: {initial_placement: cold}\nhorizon_s: 900\n")
    assert load_scenario(str(path)).workload.knee == load_scenario("mixture").workload.knee


def test_a_resolved_scenario_keeps_its_label_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "resolved.yaml"
    config = load_scenario("mixture", ["contention=overload"])
    path.write_text(dump_config(config))
    assert load_scenario(str(path)) == config
    assert load_scenario(str(path), ["contention=low"]).workload.load < config.workload.load


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (", knee: {load: 0}}\n", ["workload.knee.load", "greater than"]),
        (", knee: {load: 2, labels: kne}}\n", ["workload.knee.labels", "'knee'"]),
        (", knee: {lod: 2}}\n", ["workload.knee.lod", "`load`"]),
        (", knee: 3}\n", ["workload.knee"]),
        (", load: 1.1, knee: {load: 2}}\ncontention: high\n", ["contention: high", "2.2", "1.1"]),
    ],
)
def test_a_mistake_in_a_knee_names_place_and_fix(tmp_path: Path, rest: str, words: list[str]) -> None:
    with pytest.raises(MaestroError) as caught:
        load_scenario(_own(tmp_path, rest))
    message = str(caught.value)
    assert "mine.yaml" in message
    for word in words:
        assert word in message
