"""The command line: help that teaches, and mistakes that cost one paragraph."""

import codecs
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from maestro_gym.cli.app import app
from maestro_gym.cli.console import seed_numbers, write_json
from maestro_gym.cli.stand_ins import HANDLER, stand_in
from maestro_gym.config import load_scenario

ROOT = Path(__file__).resolve().parents[2]
VERBS = sorted(command.name or command.callback.__name__ for command in app.registered_commands if command.callback)


def _invoke(*words: str) -> Result:
    # What is not cached would be announced between what is asserted.
    return CliRunner(env={"MAESTRO_QUIET": "1"}).invoke(app, list(words))


def _is_one_red_paragraph(result: Result) -> bool:
    lines = result.stderr.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in result.output


def test_help_shows_a_first_hour_and_every_verb() -> None:
    result = _invoke("--help")
    assert result.exit_code == 0
    assert "maestro-gym compare" in result.output
    for verb in VERBS:
        assert verb in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    result = _invoke(verb, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_gives_an_example(verb: str) -> None:
    assert f"maestro-gym {verb}" in _invoke(verb, "--help").output


def test_help_does_not_import_what_only_the_verbs_need() -> None:
    code = (
        "import sys, maestro_gym.cli.app;"
        "heavy = {'torch', 'numba', 'pandas', 'matplotlib', 'stable_baselines3', 'scipy', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_printed() -> None:
    from maestro_gym import __version__

    assert _invoke("--version").output.strip() == f"maestro-gym {__version__}"


@pytest.mark.parametrize("words", [("up",), ("status",), ("down",)])
def test_every_verb_of_a_fleet_explains_itself(words: tuple[str]) -> None:
    result = _invoke("fleet", *words, "--help")
    assert result.exit_code == 0
    assert f"maestro-gym fleet {words[0]}" in result.output


def test_validate_without_servers_says_how_to_start_them(tmp_path: Path) -> None:
    result = _invoke("validate", "--fleet", str(_unreachable(tmp_path)), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert _is_one_red_paragraph(result)
    assert "fleet" in result.stderr


def _unreachable(folder: Path) -> Path:
    """The shipped fleet at ports that nobody listens on."""
    shipped = ROOT / "configs" / "live"
    text = (shipped / "local_cpu.yaml").read_text(encoding="utf-8").replace("810", "1")
    (folder / "gpus").mkdir()
    shutil.copy(shipped / "gpus" / "one-core.yaml", folder / "gpus")
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder / "mine.yaml"


def test_an_unknown_verb_exits_with_2() -> None:
    assert _invoke("compere").exit_code == 2


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "maestro_gym", "compar"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "python -m maestro_gym" in done.stderr
    assert "Did you mean 'compare'?" in done.stderr


def test_a_root_script_is_its_verb(tmp_path: Path) -> None:
    words = [sys.executable, "validate.py", "--fleet", str(tmp_path / "none.yaml")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["scenarios", "metrics", "policies"])
def test_what_is_printed_as_a_table_is_also_written_as_json(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "made" / "rows.json"
    result = _invoke(verb, "--json", str(path))
    assert result.exit_code == 0
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["command"] == verb
    for row in document["rows"]:
        assert str(next(iter(row.values()))) in result.output


def test_json_holds_null_for_numbers_that_json_lacks(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    write_json(path, {"rows": [{"finished_s": float("inf"), "load": np.float64(0.5), "seeds": np.arange(2)}]})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "rows": [{"finished_s": None, "load": 0.5, "seeds": [0, 1]}]
    }


def test_compare_ends_with_a_table_a_report_and_the_same_numbers_as_json(tmp_path: Path) -> None:
    words = ["-s", "toy", "-p", "fcfs,maestro", "--seeds", "0,1", "--jobs", "1"]
    files = ["--json", str(tmp_path / "rows.json"), "--perfetto", str(tmp_path / "trace.json")]
    result = _invoke("compare", *words, "--out", str(tmp_path / "run"), *files)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "run" / "report.html") in result.output
    for name in ("fcfs", "maestro"):
        path = next(tmp_path.glob(f"trace-toy-*-{name}.json"))
        assert str(path) in result.output
        assert json.loads(path.read_text(encoding="utf-8"))["otherData"]["policy"] == name
    for name in ("report.html", "results.csv", "results.parquet"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    document = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert {row["policy"] for row in document["rows"]} == {"fcfs", "maestro"}

    again = _invoke("report", str(tmp_path / "run"), "--format", "csv", "--wide", "--reference", "maestro")
    assert again.exit_code == 0, again.output
    assert [line.split(",")[2] for line in again.stdout.splitlines()] == ["policy", "fcfs", "maestro"]
    twice = _invoke("report", str(tmp_path / "run"), str(tmp_path / "run"))
    assert twice.exit_code == 2
    assert "named twice" in twice.output


def test_seeds_are_numbers_and_ranges() -> None:
    assert seed_numbers("0,3-5") == [0, 3, 4, 5]
    assert seed_numbers(None) is None


def test_doctor_runs_the_engine_and_everything_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "doctor.json"
    result = _invoke("doctor", "--json", str(path))
    assert result.exit_code == 0, result.output
    rows = {row["check"]: row["state"] for row in json.loads(path.read_text(encoding="utf-8"))["rows"]}
    assert rows["nothing lost"] == rows["memory within bounds"] == rows["same seed, same result"] == "ok"


def test_a_scenario_is_described_with_its_capacity_and_rate(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    assert _invoke("describe", "-s", "toy", "-c", "medium", "--json", str(path)).exit_code == 0
    facts = {row["field"]: row["value"] for row in json.loads(path.read_text(encoding="utf-8"))["scenario"]}
    assert facts["knee_rps"] == pytest.approx(facts["knee_load"] * facts["capacity_rps"])
    assert facts["rate_rps"] == pytest.approx(0.8 * facts["knee_rps"])
    assert facts["offered_share_of_knee"] == pytest.approx(0.8)
    assert facts["labels_are_parts_of"] == "knee"


def test_a_scenario_without_a_knee_says_what_its_labels_are_parts_of_and_how_to_measure_one(tmp_path: Path) -> None:
    path = tmp_path / "family.json"
    assert _invoke("describe", "workload.family=toy", "--json", str(path)).exit_code == 0
    facts = {row["field"]: row["value"] for row in json.loads(path.read_text(encoding="utf-8"))["scenario"]}
    assert facts["knee_load"] is None
    assert facts["labels_are_parts_of"].startswith("capacity")
    assert "maestro-gym knee" in facts["labels_are_parts_of"]


def test_the_lines_that_the_knee_prints_are_the_knee_of_a_scenario(tmp_path: Path) -> None:
    words = ["-s", "toy", "-p", "fcfs", "--seeds", "0", "workload.family=toy", "horizon_s=60", "drain_s=200"]
    result = _invoke("knee", *words, "--json", str(tmp_path / "knee.json"))
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "knee.json").read_text(encoding="utf-8"))
    lines = result.stdout.partition("Below `workload:` of the scenario's file:")[2]
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: toy\nworkload:\n  family: toy\n{lines}", encoding="utf-8")
    knee = load_scenario(str(path), ["contention=overload"]).workload
    assert knee.knee is not None
    assert knee.knee.model_dump() == document["knee"]
    assert knee.load == pytest.approx(1.5 * document["knee_load"])
    assert knee.knee.measured_by == "maestro-gym knee --scenario toy --policy fcfs --seeds 0 " + " ".join(words[6:])


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "--seeds="],
        ["compare", "--seeds", ""],
        ["compare", "-p", " "],
        ["compare", "-p", ","],
        ["serve-sim", "--trace", ""],
        ["workload", "import", ""],
        ["train", "--out", ""],
        ["describe", ""],
    ],
)
def test_an_option_that_is_given_and_empty_is_refused(words: list[str]) -> None:
    result = _invoke(*words)
    assert result.exit_code == 2
    assert _is_one_red_paragraph(result)
    assert "value" in result.stderr


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["serve-sim", "--trace", "sample_requests", "--duration", "5"], "--duration"),
        (["serve-sim", "--trace", "sample_requests", "--prompt", "5"], "--prompt"),
        (
            ["workload", "fit", "--kind", "arrivals", "-f", "x", "-o", "x.yaml", "-t", "y.csv", "--min-calls", "5"],
            "--min-calls",
        ),
        (["workload", "describe", "mine.csv", "--trace", "y.csv"], "--trace"),
    ],
)
def test_an_option_that_another_makes_useless_is_refused(words: list[str], option: str) -> None:
    result = _invoke(*words)
    assert result.exit_code == 2
    assert _is_one_red_paragraph(result)
    assert f"{option}: has no meaning beside" in result.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_no_verb_ends_in_a_character_that_standard_output_lacks(encoding: str, tmp_path: Path) -> None:
    words = ["compare", "-s", "toy", "-p", "fcfs,edf", "--seeds", "0,1", "horizon_s=5", "-j", "1"]
    program = "import sys; from maestro_gym.cli import main; sys.argv[0] = 'maestro-gym'; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--out", str(tmp_path / "läuft")],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.decode(encoding)
    assert "SLO" in told
    assert " ^" in told
    assert " v" in told
    assert ("läuft" if encoding != "ascii" else "lauft") in told


def test_stand_ins_are_ascii_for_every_character() -> None:
    codecs.register_error(HANDLER, stand_in)
    assert "a \u2191 \u00b11 \u2013 \u00e9 \u6f22 \U0001f600 \udcff".encode("ascii", HANDLER) == b"a ^ +-1 - e ? ? ?"


def test_train_ends_with_a_table_and_a_folder_that_compare_takes(tmp_path: Path) -> None:
    run, rows = tmp_path / "learned", tmp_path / "rows.json"
    small = ["num_envs=4", "rollout_steps=16", "batch_size=32", "epochs=1", "total_steps=64", "eval_episodes=1"]
    words = ["-s", "toy", *(f"train.{word}" for word in small)]
    result = _invoke("train", *words, "--out", str(run), "--json", str(rows))
    assert result.exit_code == 0, result.output
    assert str(run) in result.output
    assert json.loads(rows.read_text(encoding="utf-8"))["steps"] == 64
    words = ["-s", "toy", "-p", f"{run},fcfs", "--seeds", "0", "--jobs", "1", "--out", str(tmp_path / "compare")]
    result = _invoke("compare", *words)
    assert result.exit_code == 0, result.output
    assert "learned" in result.output
