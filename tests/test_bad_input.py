"""A user's mistake costs one paragraph that names the place and the fix, and exit code 2."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from maestro_gym.cli import app


def _refused(*words: str) -> str:
    """Run the command line on something wrong and return its one paragraph."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    message = result.stderr.strip()
    assert message.startswith("error: ")
    assert "\n\n" not in message
    return message


def test_an_unknown_scenario_lists_those_that_exist() -> None:
    message = _refused("describe", "--scenario", "quik")
    assert "Did you mean `quick`?" in message
    assert "paper" in message


def test_a_scenario_file_that_is_missing_is_named() -> None:
    assert "nowhere.yaml" in _refused("describe", "--scenario", "nowhere.yaml")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("workload.laod=0.9", "load"),
        ("limits.node_queue_limt=4", "node_queue_limit"),
        ("predicter.kind=oracle", "predictor"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(word: str, hint: str) -> None:
    message = _refused("describe", word)
    assert word.partition("=")[0].split(".")[-1] in message or word.split(".")[0] in message
    assert hint in message


def test_an_unknown_key_in_a_file_is_answered_with_file_and_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: quick\nlimits: {max_num_sequences: 8}\n", encoding="utf-8")
    message = _refused("describe", "--scenario", str(path))
    assert "mine.yaml" in message
    assert "max_num_seqs" in message


def test_a_value_of_the_wrong_kind_names_its_place() -> None:
    assert "horizon_s" in _refused("describe", "horizon_s=soon")


def test_an_unknown_model_is_answered_with_the_catalogue() -> None:
    message = _refused("describe", "models=[{name: mine, architecture: Qwen3-8C}]")
    assert "Did you mean `Qwen3-8B`?" in message


def test_a_fleet_that_can_host_no_such_model_says_what_is_missing() -> None:
    message = _refused("describe", "models=[{name: big, architecture: Llama-3-70B}]")
    assert "no node of the fleet can host `big`" in message
    assert "higher tp" in message


def test_a_word_that_is_no_override_shows_how_one_is_written() -> None:
    assert "workload.load=0.9" in _refused("describe", "quick")


def test_json_into_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    assert "--json" in _refused("scenarios", "--json", str(blocker / "rows.json"))
