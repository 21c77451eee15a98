"""Records: what a run writes, that a check accepts it, and that a change of anything in it is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from maestro_gym.baselines import load_policy
from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import metric_columns
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.suite.check import Verdict, check_record
from maestro_gym.evaluation.suite.identity import identity_of
from maestro_gym.evaluation.suite.record import Record, read_record
from maestro_gym.evaluation.worker import Runner, label_of
from maestro_gym.evaluation.workers.choose import open_workers
from maestro_gym.scheduling.policy import Policy
from tests.evaluation.suite.small import SEEDS, Ran, Small, forget

ROOT = Path(__file__).parents[3]


def _check(record: Record, **settings: Any) -> Verdict:  # noqa: ANN401 - passed on
    forget()
    return check_record(record, runner=Runner(), workers=open_workers(jobs=1), **settings)


def _cli(*words: str) -> Result:
    forget()
    return CliRunner(env={"MAESTRO_QUIET": "1"}).invoke(app, ["benchmark", *words])


def test_a_run_writes_the_reference_and_every_policy_once(ran: tuple[Small, Ran]) -> None:
    small, found = ran
    assert list(found) == ["fcfs", "mine", "oracle-srtf"]
    assert sorted(path.name for path in (small.folder / "records" / "small").iterdir()) == [
        "fcfs.json",
        "mine.json",
        "oracle-srtf.json",
    ]


def test_a_record_says_what_was_run_on_what_and_by_what(ran: tuple[Small, Ran]) -> None:
    file, record, _ = ran[1]["mine"]
    assert read_record(file) == record
    assert record.seeds == SEEDS
    assert list(record.results.metrics) == metric_columns()
    assert {"family toy", "limits", "gpus"} <= record.scenario.keys()
    assert {"maestro-gym", "python", "numpy", "numba"} <= record.run.versions.keys()
    assert record.policy.numbers
    assert list(record.policy.files) == ["mine.yaml"]
    assert record.training.episodes == 7
    values = record.results.metrics["completion_mean_s"]
    assert len(set(values)) == len(SEEDS)
    assert record.summary["completion_mean_s"].value.mean == pytest.approx(sum(values) / len(values))


def test_shipped_policies_are_those_of_the_records_that_are_kept() -> None:
    scenario = Scenario.load("quick")
    kept = {path.stem: read_record(path).policy for path in (ROOT / "benchmarks" / "records").glob("quick-*/*.json")}
    assert "searched" in kept
    for was in kept.values():
        policy = load_policy(was.spec, scenario)
        now = identity_of(policy, label_of(policy, was.spec, policy.name), was.spec)
        assert (now.name, now.rules, now.numbers, now.files) == (was.name, was.rules, was.numbers, was.files)


def test_a_run_that_was_stopped_goes_on_and_leaves_the_same_numbers(small: Small) -> None:
    asked: list[int] = []

    def stopped(scenario: Scenario, policy: Policy, *, seed: int, **settings: Any) -> EpisodeResult:  # noqa: ANN401
        if seed == SEEDS[-1] and len(asked) < 5:
            raise KeyboardInterrupt
        asked.append(seed)
        return run_episode(scenario, policy, seed=seed, **settings)

    with pytest.raises(KeyboardInterrupt):
        small.run(small.policy, runner=Runner(run=stopped))
    assert len(asked) == 4
    with pytest.raises(MaestroError, match="holds an earlier run"):
        small.run(small.policy)
    asked.append(0)
    found = small.run(small.policy, resume=True, runner=Runner(run=stopped))
    assert asked[5:] == [SEEDS[-1]] * 2, "what was finished is not run again"
    assert sorted(path.name for path in (small.folder / "records" / "small").iterdir()) == ["fcfs.json", "mine.json"]
    with pytest.raises(MaestroError, match=r"holds an earlier run \(fcfs.json, mine.json\)"):
        small.run(small.policy)
    whole = small.run(small.policy, overwrite=True)
    for name, (_, record, _) in found.items():
        assert record.results.metrics == whole[name][1].results.metrics


def test_the_reference_differs_from_itself_by_nothing(ran: tuple[Small, Ran]) -> None:
    difference = ran[1]["fcfs"][1].summary["slo_attainment"].difference
    assert (difference.mean, difference.low, difference.high) == (0.0, 0.0, 0.0)
    assert ran[1]["mine"][1].summary["slo_attainment"].difference.mean != 0.0


def test_an_oracle_is_marked_where_predictions_are_all_that_may_be_read(ran: tuple[Small, Ran]) -> None:
    assert ran[1]["fcfs"][1].marks == {}
    assert "class O (oracle)" in ran[1]["oracle-srtf"][1].marks["informed"]


@pytest.mark.parametrize("name", ["fcfs", "mine"])
def test_a_true_record_is_accepted(ran: tuple[Small, Ran], name: str) -> None:
    verdict = _check(ran[1][name][1])
    assert (verdict.differences, verdict.notes, verdict.replayed) == ([], [], len(SEEDS))


def _set(*place: str | int, to: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:  # noqa: ANN401 - a JSON document
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("results", "metrics", "preemptions", 1, to=77.0),
         [("number", "results.metrics.preemptions, seed 301")]),
        (_set("results", "workflows", 2, to=9), [("number", "results.workflows, seed 302")]),
        (_set("seeds", 1, to=11), [("seed", "seeds")]),
        (_set("seeds", to=[300, 300, 301]), [("seed", "seeds")]),
        (_set("scenario", "limits", to="0" * 16), [("config", "scenario.limits")]),
        (_set("definition", "overrides", to=["workload.load=0.5"]), [("definition", "definition.overrides")]),
        (_set("definition", "budget", "information", to="O"), [("definition", "definition.budget.information")]),
        (_set("policy", "numbers", to="0" * 16), [("policy", "policy.numbers")]),
        (_set("policy", "information", to="N"), [("policy", "policy.information")]),
        (_set("policy", "files", "mine.yaml", to="0" * 64), [("policy", "policy.files.mine.yaml")]),
        (_set("reference", "rules", to=["a", "b", "c", "d"]), [("policy", "reference.rules")]),
        (_set("summary", "slo_attainment", "value", "n", to=9), [("summary", "summary.slo_attainment.value.n")]),
        (_set("marks", "sheds work", to="it does not"), [("mark", "marks.sheds work")]),
    ],
)  # fmt: skip
def test_a_changed_record_is_refused_by_the_name_of_what_differs(
    ran: tuple[Small, Ran], change: Callable[[Any], None], told: list[tuple[str, str]]
) -> None:
    document = ran[1]["mine"][1].model_dump(mode="json")
    change(document)
    found = _check(Record.model_validate(document)).differences
    assert [(difference.kind, difference.place) for difference in found] == told


def test_a_changed_last_bit_is_found_and_its_summary_still_holds(ran: tuple[Small, Ran]) -> None:
    document = ran[1]["mine"][1].model_dump(mode="json")
    values = document["reference_results"]["metrics"]["completion_mean_s"]
    values[0] = values[0] * (1 + 2**-52)
    (difference,) = _check(Record.model_validate(document)).differences
    assert (difference.kind, difference.recorded, difference.found) == (
        "number", repr(values[0]), repr(ran[1]["fcfs"][1].results.metrics["completion_mean_s"][0])
    )  # fmt: skip


def test_a_policy_that_has_changed_since_is_named_and_not_run(small: Small) -> None:
    record = small.run(small.policy)["mine"][1]
    small.write_policy(remaining=-1.0)
    verdict = _check(record)
    assert [d.place for d in verdict.differences] == ["policy.files.mine.yaml", "policy.numbers"]
    assert verdict.replayed == 0


def test_a_scenario_that_has_changed_since_is_named(small: Small) -> None:
    record = small.run()["fcfs"][1]
    small.write_scenario(drain_s=61)
    assert [(d.kind, d.place) for d in _check(record).differences] == [("config", "scenario.drain_s")]


def test_another_version_is_told_and_no_difference(ran: tuple[Small, Ran]) -> None:
    document = ran[1]["fcfs"][1].model_dump(mode="json")
    document["run"]["versions"]["numba"] = "0.1"
    verdict = _check(Record.model_validate(document), first_seeds=1)
    assert (verdict.accepted, verdict.replayed) == (True, 1)
    assert verdict.notes[0].startswith("numba: 0.1 in the record")


def test_records_that_stand_are_kept_and_others_run_again(small: Small) -> None:
    small.run(small.policy)
    assert [kept for *_, kept in small.run(small.policy, keep=True).values()] == [True, True]
    small.write_policy(remaining=-1.0)
    again = small.run(small.policy, keep=True)
    assert [kept for *_, kept in again.values()] == [True, False]
    assert _check(again["mine"][1]).accepted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"format": 1, "benchm', "is damaged, no JSON"),
        ("[]", "is no record of format 1"),
        ('{"format": 9}', r"is no record of format 1 \(it says 9\)"),
        ('{"format": 1, "benchmark": "quick-high"}', "the key `definition` is missing"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(MaestroError, match=f"record.json: {words}"):
        read_record(file)


def test_a_seed_without_a_value_makes_no_record(ran: tuple[Small, Ran], tmp_path: Path) -> None:
    document = ran[1]["fcfs"][1].model_dump(mode="json")
    document["results"]["metrics"]["slo_attainment"].pop()
    (tmp_path / "short.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(MaestroError, match="slo_attainment has 2 values for 3 seeds"):
        read_record(tmp_path / "short.json")


def test_the_command_line_accepts_by_code_0_refuses_by_1_and_says_why(ran: tuple[Small, Ran], tmp_path: Path) -> None:
    file, record, _ = ran[1]["fcfs"]
    accepted = _cli("check", str(file), "--jobs", "1")
    assert (accepted.exit_code, "accepted, 3 of 3" in accepted.output) == (0, True)
    document = record.model_dump(mode="json")
    document["seeds"][0] = 5
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document), encoding="utf-8")
    refused = _cli("check", str(changed), "--json", str(tmp_path / "verdict.json"))
    assert (refused.exit_code, "NOT accepted" in refused.output) == (1, True)
    (row,) = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))["rows"]
    assert row["differences"] == [
        {"kind": "seed", "place": "seeds", "recorded": "5", "found": "300-302, each once and in order"}
    ]
    assert _cli("check", str(tmp_path / "none.json")).exit_code == 2


def test_the_command_line_runs_a_benchmark_with_a_stated_training(small: Small) -> None:
    out = small.folder / "out"
    words = ("run", small.word, "-p", small.policy, "-o", str(out), "--jobs", "1", "--training-decisions", "1001")
    result = _cli(*words)
    assert result.exit_code == 0, result.output
    record = read_record(out / "small" / "mine.json")
    assert (record.training.episodes, record.training.decisions) == (7, 1001), "the file tells one, the maker the other"
    assert record.marks["over budget"] == "1,001 decisions of 1,000"
    assert read_record(out / "small" / "fcfs.json").training.decisions == 0
