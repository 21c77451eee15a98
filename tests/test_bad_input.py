"""A user's mistake costs one paragraph that names the place and the fix, and exit code 2."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from maestro_gym.cli.app import app


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


CALL = {
    "workflow_id": "w1",
    "call_id": "a",
    "parent_ids": "",
    "arrival_s": 0.0,
    "application": "chat",
    "role": "writer",
    "model": "small",
    "prompt_tokens": 100,
    "output_tokens": 50,
    "max_output_tokens": 200,
    "tool_gap_s": 0.0,
    "class": "interactive",
    "deadline_s": 60.0,
    "ttft_limit_s": 5.0,
}
SECOND = CALL | {"call_id": "b", "parent_ids": "a"}


def _refused_trace(tmp_path: Path, *rows: dict[str, object]) -> str:
    path = tmp_path / "calls.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    message = _refused("describe", "--scenario", "toy", f"workload.trace={path}")
    assert "calls.csv" in message
    return message


def test_a_sound_trace_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    # One workflow for each split: training, validation and test.
    rows = [call | {"workflow_id": f"w{number}"} for number in range(3) for call in (CALL, SECOND)]
    pd.DataFrame(rows).to_csv(path, index=False)
    result = CliRunner().invoke(app, ["describe", "--scenario", "toy", f"workload.trace={path}"])
    assert result.exit_code == 0, result.output


def test_a_trace_without_a_column_names_the_column(tmp_path: Path) -> None:
    short = {key: value for key, value in CALL.items() if key != "output_tokens"}
    assert "output_tokens" in _refused_trace(tmp_path, short)


@pytest.mark.parametrize(
    ("column", "value"),
    [("prompt_tokens", -5), ("output_tokens", 0), ("arrival_s", float("nan")), ("tool_gap_s", float("inf"))],
)
def test_a_trace_with_an_impossible_number_names_its_column(tmp_path: Path, column: str, value: float) -> None:
    assert column in _refused_trace(tmp_path, CALL, SECOND | {column: value})


def test_a_trace_whose_calls_wait_for_each_other_names_the_workflow(tmp_path: Path) -> None:
    assert "w1" in _refused_trace(tmp_path, CALL | {"parent_ids": "b"}, SECOND)


def test_a_trace_with_an_unknown_model_points_at_the_model_map(tmp_path: Path) -> None:
    message = _refused_trace(tmp_path, CALL | {"model": "gpt-9"})
    assert "gpt-9" in message
    assert "model_map" in message


def test_a_trace_with_a_prompt_above_the_models_limit_names_both(tmp_path: Path) -> None:
    message = _refused_trace(tmp_path, CALL | {"model": "large", "prompt_tokens": 900_000})
    assert "900000" in message.replace(",", "").replace("_", "")
    assert "large" in message


@pytest.mark.parametrize("spec", ["maestroo", "no_such_file.py:Rule", "fcfs:"])
def test_an_unknown_policy_is_refused_before_anything_runs(spec: str) -> None:
    assert spec.split(":")[0] in _refused("compare", "-s", "toy", "-p", spec)


def test_seeds_that_are_no_numbers_are_shown_how_to_be_written() -> None:
    assert "0,1,2 or 0-9" in _refused("compare", "--seeds", "a,b")


def test_a_damaged_policy_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "policy.json").write_text("{ not json", encoding="utf-8")
    message = _refused("compare", "-s", "toy", "-p", str(folder))
    assert "policy.json" in message


def test_a_folder_without_a_policy_says_what_to_give(tmp_path: Path) -> None:
    assert "maestro-gym train" in _refused("compare", "-s", "toy", "-p", str(tmp_path))


def test_resume_with_another_scenario_is_refused(tmp_path: Path) -> None:
    assert "--resume" in _refused("train", "--resume", str(tmp_path), "--scenario", "toy")


def test_resume_of_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    assert "config.yaml" in _refused("train", "--resume", str(tmp_path))


@pytest.mark.parametrize("words", [["--tier", "cloister"], ["train.learning_rat=0.1"], ["--config", "quik"]])
def test_a_training_setting_that_does_not_exist_is_refused(words: list[str]) -> None:
    _refused("train", "--scenario", "toy", *words)
