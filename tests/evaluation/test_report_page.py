"""The report is one page that needs nothing else, and the Gantt view reads the residency log rightly."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maestro_gym import state
from maestro_gym.episodes.metrics.row import METRICS, result_row
from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.report.episode_trace import trace_of, workflow_table
from maestro_gym.evaluation.report.figures import draw_all
from maestro_gym.evaluation.report.gantt import draw_gantt
from maestro_gym.evaluation.report.html import write_report
from maestro_gym.evaluation.report.residency import residency_spans
from tests.evaluation.by_hand import make_result


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("report")
    results = [make_result(name, seed, delay_s=late + seed) for name, late in (("fcfs", 0.0), ("<edf>", 1.0))
               for seed in (0, 1)]  # fmt: skip
    comparison = Comparison(
        rows=pd.DataFrame([result_row(result) for result in results]),
        workflows=pd.concat([workflow_table(result) for result in results]),
        traces=[trace_of(result) for result in results if result.seed == 0],
        settings=[Setting("tiny", "high", 1.1, 2.2, "name: tiny\nhorizon_s: 20.0\n", ("seven calls were clipped",))],
        policies=[
            PolicyLabel("fcfs", ("a", "b", "c", "r"), "N", False),
            PolicyLabel("<edf>", ("d", "e", "f", "s"), "N", True),
        ],
        reference="fcfs",
        seeds=[0, 1],
        split="test",
        info={"command": "compare.py --policy fcfs", "versions": {"numpy": "2"}, "machine": "a", "created": "today"},
    )
    plots = draw_all(comparison, folder / "plots")
    return write_report(comparison, plots, folder / "report.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "@import" not in page
    assert page.count("data:image/png;base64,") >= 6


def test_the_page_holds_configuration_versions_command_and_definitions(page: str) -> None:
    for expected in (
        "horizon_s: 20.0",
        "numpy 2",
        "compare.py --policy fcfs",
        "LOSES to fcfs",
        "seven calls were clipped",
    ):
        assert expected in page
    assert all(f"<code>{name}</code>" in page for name in METRICS)


def test_names_cannot_inject_markup(page: str) -> None:
    assert "<edf>" not in page
    assert "&lt;edf&gt;" in page


def test_residency_spans_follow_the_log_and_what_came_before_it() -> None:
    result = make_result()
    log = result.residency_log = schema_log(
        (10.0, 0, 1, state.CPU, state.CPU),  # a load starts
        (40.0, 0, 1, state.CPU, state.RUNNING),  # and ends
        (60.0, 0, 1, state.RUNNING, state.SLEEPING),
        (80.0, 0, 1, state.SLEEPING, state.CPU),
        (30.0, 1, 0, state.RUNNING, state.SLEEPING),
    )
    assert len(log) == 5
    trace = trace_of(result)
    assert residency_spans(trace, 0, 1) == [
        (10.0, 40.0, "loading", "cpu"),
        (40.0, 60.0, "awake", ""),
        (60.0, 80.0, "asleep", ""),
    ]
    assert residency_spans(trace, 1, 0) == [(0.0, 30.0, "awake", ""), (30.0, 100.0, "asleep", "")]
    assert residency_spans(trace, 0, 0) == [(0.0, 100.0, "awake", "")], "it ran there and never moved"


def test_a_schedule_without_a_single_stage_can_be_drawn() -> None:
    result: SimpleNamespace = make_result()
    result.stages["admitted_s"] = float("inf")
    assert draw_gantt(trace_of(result)).axes


def schema_log(*events: tuple) -> object:
    return np.array(sorted(events), state.RESIDENCY_EVENT)
