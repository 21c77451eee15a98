"""Data is data: no file that comes from somebody else runs code before the user says that it may."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import CARD_FILE, save_policy
from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]

RULE = """
from pathlib import Path
Path(__file__).with_name("ran").write_text("code ran")
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.numbers import Number

def key(view, oracle, e, stage):
    return float(stage)

RULE = order_by(key, name="theirs", information="N", description="theirs", source="a test")
"""


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """A rule that leaves a file beside it when it is run."""
    path = tmp_path / "theirs.py"
    path.write_text(RULE, encoding="utf-8")
    return path


def _refused(rule: Path, *words: str) -> str:
    """The one paragraph of a verb that does not run the rule, which it names."""
    result = CliRunner(env={"MAESTRO_QUIET": "1"}).invoke(app, list(words))
    assert result.exit_code == 2, result.output
    assert not rule.with_name("ran").exists()
    assert rule.name in result.stderr
    assert "--trust" in result.stderr
    assert "Traceback" not in result.output
    return result.stderr


def _run_folder(folder: Path, scenario: Scenario, companions: str) -> Path:
    env = MaestroVecEnv("cluster", 1, seed=0, scenario=scenario)
    rows, columns = env.observation_space["candidates"].shape  # pyright: ignore[reportIndexIssue]
    length = env.observation_space["context"].shape[0]  # pyright: ignore[reportIndexIssue]
    encoder = encoder_fingerprint(TIER_SPECS["cluster"], predictions=True)
    card = PolicyCard("cluster", "scorer", columns, length, rows, (8,), encoder=encoder, companions=companions)
    save_policy(folder, card, card.build())
    return folder


def test_the_companions_of_a_policy_from_elsewhere_run_no_code(rule: Path, tmp_path: Path, scenario: Scenario) -> None:
    folder = _run_folder(tmp_path / "policy", scenario, f"{rule}:RULE")
    for words in (["compare", "-s", "toy", "-p", str(folder)], ["fine-tune", "-p", str(folder)]):
        assert CARD_FILE in _refused(rule, *words)
    with pytest.warns(UserWarning, match=rule.name):
        policy = load_any_policy(str(folder), scenario, trust=True)
    assert policy.global_rule.name.startswith("theirs")


def test_the_companions_of_a_training_from_elsewhere_run_no_code(rule: Path, tmp_path: Path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(f"extends: toy\ntrain: {{companions: '{rule}:RULE'}}\n", encoding="utf-8")
    assert "train.companions" in _refused(rule, "train", "-s", str(path), "-o", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    shutil.copyfile(path, tmp_path / "config.yaml")
    assert "train.companions" in _refused(rule, "train", "--resume", str(tmp_path))


@pytest.mark.parametrize("place", ["family", "reference"])
def test_the_settings_of_a_search_run_no_code(rule: Path, tmp_path: Path, place: str) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(f"{place}: '{rule}:RULE'\n", encoding="utf-8")
    assert place in _refused(rule, "search", "--config", str(path), "-o", str(tmp_path / "run"))


def test_the_family_of_numbers_runs_no_code_through_any_door(rule: Path, tmp_path: Path, scenario: Scenario) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"family: {rule.name}:RULE\nformat: 1\nnumbers: {{}}\n", encoding="utf-8")
    folder = _run_folder(tmp_path / "policy", scenario, str(path))
    toy = ["-s", "toy"]
    for words in (
        ["compare", *toy, "-p", str(path)],
        ["compare", *toy, "-p", str(tmp_path)],
        ["compare", *toy, "-p", str(folder)],
        ["knee", *toy, "-p", str(path)],
        ["explain", str(path), *toy],
        ["serve-sim", "-p", str(path), "--rate", "1", "--duration", "2"],
        ["train", *toy, f"train.companions={path}", "-o", str(tmp_path / "run")],
        ["search", f"reference={path}", "-o", str(tmp_path / "run")],
    ):
        assert "policy.yaml: family" in _refused(rule, *words)


def test_the_log_of_a_live_run_runs_no_code(rule: Path, tmp_path: Path) -> None:
    header = {"event": "run", "time_s": 0.0, "version": 1, "policy": "theirs", "policy_spec": f"{rule}:RULE"}
    header |= {"run_id": "0a", "split": "test", "seed": 0, "index": 0, "stages": 9, "started_unix_s": 1e9}
    (tmp_path / "events.jsonl").write_text(json.dumps(header) + "\n", encoding="utf-8")
    (tmp_path / "scenario.yaml").write_text("extends: toy\n", encoding="utf-8")
    own = ["-s", str(tmp_path / "scenario.yaml")]
    assert "policy_spec" in _refused(rule, "replay", str(tmp_path), *own)
    assert "policy_spec" in _refused(rule, "live", "--resume", str(tmp_path))


@pytest.mark.parametrize("whose", ["policy", "reference"])
def test_a_record_from_elsewhere_runs_no_code(rule: Path, tmp_path: Path, whose: str) -> None:
    record = json.loads((ROOT / "benchmarks/records/quick-high/maestro.json").read_text(encoding="utf-8"))
    record[whose]["spec"] = f"{rule}:RULE"
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert "record of" in _refused(rule, "benchmark", "check", str(path))


def test_companions_that_no_system_has_are_told_in_one_paragraph(tmp_path: Path, scenario: Scenario) -> None:
    for companions in ("n" * 5000, "a\x00b", "../" * 2000):
        folder = _run_folder(tmp_path / "policy", scenario, companions)
        with pytest.raises(MaestroError, match="no policy is called"):
            load_any_policy(str(folder), scenario)


def test_what_the_user_types_needs_no_further_word(rule: Path, scenario: Scenario) -> None:
    with pytest.warns(UserWarning, match=rule.name):
        assert load_any_policy(f"{rule}:RULE", scenario).global_rule.name.startswith("theirs")
    with pytest.raises(MaestroError, match="somewhere"):
        load_any_policy(f"{rule}:RULE", scenario, named_in="somewhere")
