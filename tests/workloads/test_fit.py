"""Fitting: a known machine is found again, real traces are met, files say how they came about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from maestro_gym.config import config_dir
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.workloads.describe import describe_workload, update_page
from maestro_gym.workloads import (
    FamilyWorkload,
    MachineFamilySpec,
    load_family,
    make_deployments,
    read_trace,
    unit_service,
    write_trace,
)
from maestro_gym.workloads.arrivals.client_files import load_arrivals
from maestro_gym.workloads.fitting.fit import FitOptions, fit_machines
from maestro_gym.workloads.popularity import load_popularity, shares_of
from tests.workloads.foreign_files import FILES, write_rows

SOURCES = {
    "software_team": ["chatdev_workflows/chatdev_calls.csv"],
    "coding_agent": ["agentcgroup_sessions/agent_calls.csv"],
    "orchestrator": ["lmcache_agent_trace/lmcache_agent_calls.csv", "who_and_when/who_and_when_steps.csv"],
    "tool_dialogue": ["taubench_gpt4o/taubench_airline_calls.csv"],
    "conversation": [
        "azure_llm_2023/AzureLLMInferenceTrace_conv.csv",
        "mooncake_fast25/conversation_trace.jsonl",
    ],
}

HAND_MADE = yaml.safe_load("""
description: test
machines:
  team:
    class: batch
    share: 1
    deadline_s: 500
    ttft_limit_s: 20
    calls: {quantiles: {0: 3, 0.5: 9, 0.8: 15, 1: 30}}
    job_effects: {output: 0.6}
    roles:
      planner: {size: large, max_output_tokens: 4096, thread: plan}
      worker: {size: small, max_output_tokens: 4096, thread: work}
    start: {plan: 1}
    states:
      plan:
        role: planner
        output_tokens: {quantiles: {0: 50, 0.5: 200, 1: 900}}
        prompt_tokens: {quantiles: {0: 300, 1: 800}}
        grows_tokens: {median: 80}
        next: {work: 0.7, plan: 0.2, end: 0.1}
      work:
        role: worker
        tool: tool
        output_tokens: {quantiles: {0: 5, 0.9: 30, 1: 90}}
        prompt_tokens: {quantiles: {0: 500, 1: 900}}
        grows_tokens: {quantiles: {0: 10, 1: 400}}
        keeps_output: true
        gap_s: {quantiles: {0: 0.5, 1: 3}}
        next: {work: 0.5, plan: 0.4, end: 0.1}
""")


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported trace of the machine above, 3,000 workflows."""
    spec = MachineFamilySpec.model_validate(HAND_MADE)
    deployments = make_deployments(("any",), [1], ["medium"], [1 << 20])
    made = FamilyWorkload("team", spec, deployments)
    path = tmp_path_factory.mktemp("made") / "team.parquet"
    write_trace(made.episode(1, 1.0, 3000.0, unit_service(1)), made, ("any",), path)
    return path


def test_a_known_machine_is_found_again(hand_made: Path) -> None:
    machines, workflows, calls = fit_machines(read_trace(hand_made), FitOptions(sizes={"team.planner": "large"}))
    machine = machines["team"]
    assert workflows > 2800
    assert calls > 20_000
    wanted = MachineFamilySpec.model_validate(HAND_MADE).machines["team"]
    assert set(machine.states) == {"team.planner", "team.worker:tool"}
    plan, work = machine.states["team.planner"], machine.states["team.worker:tool"]
    # The law of calls bends the chances of ending; between the two states they stand as they were.
    ratio = plan.next["team.worker:tool"] / plan.next["team.planner"]
    assert ratio == pytest.approx(0.7 / 0.2, rel=0.15)
    assert work.next["team.worker:tool"] / work.next["team.planner"] == pytest.approx(0.5 / 0.4, rel=0.15)
    assert machine.job_effects.output == pytest.approx(wanted.job_effects.output, abs=0.06)
    assert abs(machine.job_effects.prompt) < 0.2
    assert machine.roles["team.planner"].size == "large"
    assert machine.roles["team.worker"].size == "medium"
    assert (plan.keeps_output, plan.reset) == (True, 0.0)
    assert dict(plan.grows_tokens.quantiles) == {0.0: 80.0, 1.0: 80.0}  # type: ignore[union-attr]


def test_a_family_fitted_to_itself_is_near_itself(hand_made: Path, tmp_path: Path) -> None:
    out = tmp_path / "team.yaml"
    result = CliRunner().invoke(
        app, ["workload", "fit", "--family", "team", "--trace", str(hand_made), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    found = describe_workload(str(out), [hand_made])
    rows = {row["quantity"]: row for row in found.tables["team beside its trace"]}
    assert set(rows) == {"calls per workflow", "output", "input", "gap"}
    for name, row in rows.items():
        assert row["ks"] < 0.05, name
        assert abs(row["median_error_%"]) < 5, name
        assert abs(row["p90_error_%"]) < 5, name


def test_workflows_with_calls_side_by_side_are_refused(calls: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "diamond.csv"
    calls.to_csv(path, index=False)
    with pytest.raises(MaestroError, match=r"row \d.*side by side.*workload\.trace"):
        fit_machines(read_trace(path), FitOptions())


def test_states_that_the_log_does_not_name_are_told_apart_by_what_came_before(tmp_path: Path) -> None:
    rows = []
    for w in range(60):
        # The planner hands over in 6 tokens after an instruction, and thinks in 300 otherwise.
        for i, (role, output) in enumerate([("planner", 300), ("instruct", 50), ("planner", 6), ("worker", 90)]):
            rows.append(
                {
                    "workflow_id": w,
                    "call_id": i,
                    "parent_ids": "" if i == 0 else i - 1,
                    "arrival_s": w,
                    "application": "team",
                    "role": role,
                    "model": "m",
                    "prompt_tokens": 100,
                    "output_tokens": output,
                    "max_output_tokens": 512,
                    "tool_gap_s": 0,
                    "class": "batch",
                    "deadline_s": 9,
                    "ttft_limit_s": 9,
                }
            )
    machines, _, _ = fit_machines(read_trace(write_rows(rows, tmp_path / "team.csv")), FitOptions())
    states = machines["team"].states
    assert set(states) == {"planner", "planner after instruct", "instruct", "worker"}
    assert states["instruct"].next == {"planner after instruct": 1.0}


@pytest.mark.parametrize("name", SOURCES)
def test_the_shipped_family_is_what_its_command_makes(name: str, traces_dir: Path, tmp_path: Path) -> None:
    import shlex

    shipped = load_family(name)
    assert isinstance(shipped, MachineFamilySpec)
    assert shipped.fitted is not None
    paths = {Path(path).name: str(traces_dir / path) for path in SOURCES[name]}
    words = [paths.get(word, word) for word in shlex.split(shipped.fitted.command)[1:]]
    out = tmp_path / f"{name}.yaml"
    words[words.index("--out") + 1] = str(out)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert load_family(str(out)).machines == shipped.machines  # type: ignore[union-attr]


@pytest.mark.parametrize("name", SOURCES)
def test_calls_and_outputs_of_a_family_are_within_a_tenth_of_its_trace(name: str, traces_dir: Path) -> None:
    found = describe_workload(name, [traces_dir / path for path in SOURCES[name]])
    rows = next(iter(found.tables.values()))
    applications = {row["application"] for row in rows}
    assert len(applications) >= 1
    for row in rows:
        if row["quantity"] in ("calls per workflow", "output"):
            assert abs(row["median_error_%"]) <= 10, row
            assert abs(row["p90_error_%"]) <= 10, row
            assert row["ks"] < 0.06, row


def test_popularity_is_as_skewed_as_in_gentd26() -> None:
    shares = load_popularity("gentd26").shares
    assert shares[0] == pytest.approx(0.31, abs=0.005)
    assert sum(shares[:10]) == pytest.approx(0.87, abs=0.005)
    more = shares_of(load_popularity("gentd26"), 120)
    assert len(more) == 120
    assert np.all(np.diff(more) <= 0)


def test_the_largest_client_of_servegen_is_a_third_and_another_bursts() -> None:
    spec = load_arrivals("servegen_m_small", "test")
    assert spec.clients[0].share == pytest.approx(0.299, abs=0.001)
    assert max(client.cv for client in spec.clients if client.share > 0.05) > 5
    assert len(spec.profile) == 24
    assert np.mean(spec.profile) == pytest.approx(1.0, abs=0.001)


def test_describe_prints_writes_and_draws(hand_made: Path, tmp_path: Path) -> None:
    plot, written = tmp_path / "plot.png", tmp_path / "found.json"
    words = ["workload", "describe", "tool_dialogue", "--out", str(plot), "--json", str(written)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "calls per workflow" in written.read_text()
    assert plot.read_bytes()[:4] == b"\x89PNG"
    result = CliRunner().invoke(app, ["workload", "describe", str(hand_made)])
    assert result.exit_code == 0, result.output
    assert "could be reused" in result.output


def test_a_page_takes_the_table_between_its_marks(tmp_path: Path, hand_made: Path) -> None:
    spec = tmp_path / "team.yaml"
    family = HAND_MADE | {"machines": {"team": HAND_MADE["machines"]["team"]}}
    spec.write_text(yaml.safe_dump(family))
    found = describe_workload(str(spec), [hand_made])
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin team -->\nold\n<!-- end team -->\nafter\n")
    update_page(found, page)
    text = page.read_text()
    assert "old" not in text
    assert "| team | output [tokens] |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    page.write_text("no marks")
    with pytest.raises(MaestroError, match="begin team"):
        update_page(found, page)


def test_import_and_export_speak_the_same_format(tmp_path: Path) -> None:
    runner = CliRunner()
    spans = write_rows(FILES["otel"].rows, tmp_path / "spans.jsonl")
    mine = tmp_path / "mine.csv"
    assert runner.invoke(app, ["workload", "import", str(spans), "--out", str(mine)]).exit_code == 0
    one, other = read_trace(spans), read_trace(mine)
    assert np.array_equal(one.stages, other.stages)
    assert np.array_equal(one.hidden, other.hidden)
    assert one.tool_names == other.tool_names
    episode = tmp_path / "episode.parquet"
    words = ["workload", "export", "workload.family=software_team", "horizon_s=60", "--out", str(episode)]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert len(read_trace(episode).workflows) > 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit", "--family", "x", "--out", "x.yaml"], "--trace"),
        (["fit", "--family", "x", "--out", "x.yaml", "--trace", "nowhere.csv"], "nowhere.csv"),
        (["fit", "--family", "x", "--out", "x.yaml", "--size", "main=huge"], "--size main=huge"),
        (["describe", "nobody"], "nobody"),
        (["describe", "nowhere.csv"], "nowhere.csv"),
        (["import", "nowhere.csv", "--out", "x.csv"], "nowhere.csv"),
    ],
)
def test_a_mistake_at_the_command_line_costs_one_paragraph(words: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["workload", *words])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert told in result.stderr


def test_an_output_file_that_is_no_yaml_and_an_unknown_application_are_refused(hand_made: Path, tmp_path: Path) -> None:
    base = ["workload", "fit", "--family", "x", "--trace", str(hand_made)]
    result = CliRunner().invoke(app, [*base, "--out", str(tmp_path / "x.txt")])
    assert (result.exit_code, ".yaml" in result.stderr) == (2, True)
    result = CliRunner().invoke(app, [*base, "--out", str(tmp_path / "x.yaml"), "--application", "taem"])
    assert (result.exit_code, "`team`" in result.stderr or "team" in result.stderr) == (2, True)


def test_every_file_of_arrivals_and_popularity_loads() -> None:
    for path in (config_dir() / "arrivals").glob("*.yaml"):
        assert load_arrivals(path.stem, "test").fitted is not None
    for path in (config_dir() / "popularity").glob("*.yaml"):
        assert load_popularity(path.stem).fitted is not None


def test_a_call_whose_context_is_always_made_afresh_after_it_is_a_state_of_its_own(tmp_path: Path) -> None:
    rows = []
    for w in range(40):
        # The first ledger holds the plan too; all later ones hold the task alone.
        for i, (role, prompt) in enumerate([("plan", 400), ("ledger", 1500), ("ledger", 900), ("ledger", 900)]):
            rows.append(
                {
                    "workflow_id": w,
                    "call_id": i,
                    "parent_ids": "" if i == 0 else i - 1,
                    "arrival_s": w,
                    "application": "team",
                    "role": role,
                    "model": "m",
                    "prompt_tokens": prompt,
                    "output_tokens": 50,
                    "max_output_tokens": 512,
                    "tool_gap_s": 0,
                    "class": "batch",
                    "deadline_s": 9,
                    "ttft_limit_s": 9,
                    "ctx_group": f"{w}/{role}",
                }
            )
    machines, _, _ = fit_machines(read_trace(write_rows(rows, tmp_path / "team.csv")), FitOptions())
    states = machines["team"].states
    assert set(states) == {"plan", "ledger", "ledger after ledger"}
    assert (states["ledger"].reset, states["ledger after ledger"].reset) == (1.0, 0.0)
    assert set(states["ledger after ledger"].prompt_tokens.quantiles.values()) == {900.0}  # type: ignore[union-attr]
    spec = MachineFamilySpec(description="test", machines=machines)
    made = FamilyWorkload("team", spec, make_deployments(("any",), [1], ["medium"], [1 << 20]))
    prompts = made.episode(1, 1.0, 50.0, unit_service(1)).stages["prompt_tokens"]
    assert prompts[:4].tolist() == [400, 1500, 900, 900]
