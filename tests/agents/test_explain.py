"""The verb ``explain``: what its folder holds, for a policy with numbers and for any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maestro_gym.agents.search.explain import PAGE_FILE, PICTURE_FILE, run_explain
from maestro_gym.agents.search.number_worth import number_worths
from maestro_gym.baselines import load_policy
from maestro_gym.baselines.shaped.numbers import PARTS
from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.sentences import paragraphs, seed_words

OVERRIDES = ("horizon_s=60", "contention=high")
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("toy", OVERRIDES)


def test_what_a_number_is_worth_is_what_its_default_loses(scenario: Scenario) -> None:
    assert number_worths(load_policy("maestro", scenario), scenario, [0, 1]) == []
    worths = number_worths(load_policy("shaped", scenario), scenario, [0, 1])
    # Nothing differs from its default, so that only the parts are left, and are worth nothing.
    assert [worth.name for worth in worths] == [f"all of {part}" for part in PARTS]
    assert all(worth.is_part and worth.slo.estimate == 0.0 for worth in worths)


def test_a_policy_with_numbers_is_explained_whole(scenario: Scenario, tmp_path: Path) -> None:
    numbers = tmp_path / "tight.yaml"
    numbers.write_text("family: shaped\nformat: 1\nabout: {found_by: hand}\nnumbers: {stages_cap: 2, slack: 1}\n")
    found, folder = run_explain(str(numbers), scenario, [0, 1], out=tmp_path / "told")
    assert (folder / PICTURE_FILE).read_bytes().startswith(PNG)
    page = (folder / PAGE_FILE).read_text(encoding="utf-8")
    for text in (*paragraphs(found), PICTURE_FILE, found.command, "seeds 0-1", f"numpy {found.versions['numpy']}"):
        assert text in page
    assert "| stages_cap | 2 | 0 stages/node |" in page
    # Maestro knows no hold: at a cap of two stages a node it would send what is held.
    held = [kind for kind in found.differences.kinds if kind.words == "holds a stage that maestro would send"]
    assert held[0].share.estimate > 0
    every = found.fates[0]
    slo = found.measured[0]
    assert slo.metric == "slo_attainment"
    assert every.net_share.estimate == pytest.approx(slo.difference.estimate)


def test_the_verb_explains_any_policy_against_any_reference(tmp_path: Path) -> None:
    folder, document = tmp_path / "told", tmp_path / "told.json"
    words = ["explain", "warm-jsq+maestro", "-s", "toy", "--reference", "fcfs", "--split", "test", "--seeds", "0,3"]
    result = CliRunner().invoke(app, [*words, "--out", str(folder), "--json", str(document), *OVERRIDES])
    assert result.exit_code == 0, result.output
    assert "warm-jsq+maestro has no numbers that differ" in " ".join(result.output.split())
    assert "fcfs was asked at every decision" in " ".join(result.output.split())
    assert (folder / PICTURE_FILE).read_bytes().startswith(PNG)
    told = json.loads(document.read_text(encoding="utf-8"))["explanation"]
    assert (told["reference"], told["split"], told["seeds"]) == ("fcfs", "test", [0, 3])
    assert told["worths"] == []
    assert {row["tier"] for row in told["differences"]["tiers"]} == {"global", "cluster", "node"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["maestro"], "--reference"),
        (["fcfs", "--reference", "maestr"], "maestro"),
        (["fcfs", "--seeds", "1,1"], "repeat"),
        (["fcfs", "--split", "tests"], "test"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(tmp_path: Path, words: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["explain", *words, "-s", "toy", "--out", str(tmp_path / "told"), *OVERRIDES])
    assert result.exit_code == 2
    assert "error: " in result.output
    assert told in result.output


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MaestroError, match="name another"):
        run_explain("fcfs", scenario, [0], out=tmp_path / "file" / "told")


def test_seeds_are_written_as_they_are_typed() -> None:
    assert seed_words([0, 1, 2]) == "0-2"
    assert seed_words([7]) == "7"
    assert seed_words([0, 3]) == "0,3"
