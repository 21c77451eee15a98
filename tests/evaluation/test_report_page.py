"""The report is one page that needs nothing else, and the Gantt view reads the residency log rightly."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from maestro_gym import state
from maestro_gym.episodes.metrics.row import METRICS
from maestro_gym.evaluation.comparison import PolicyLabel
from maestro_gym.evaluation.report.display import HEADLINE, SHOWN, bounds, number
from maestro_gym.evaluation.report.episode_trace import trace_of
from maestro_gym.evaluation.report.figures import draw_all
from maestro_gym.evaluation.report.gantt import draw_gantt
from maestro_gym.evaluation.report.page.answer import Standing, standings
from maestro_gym.evaluation.report.page.contenders import contenders, window
from maestro_gym.evaluation.report.page.timelines import timelines_of
from maestro_gym.evaluation.report.page.write_page import write_report
from maestro_gym.evaluation.report.residency import residency_spans
from maestro_gym.evaluation.statistics import Interval
from tests.evaluation.by_hand import make_comparison, make_result


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(make_comparison(), path).read_text(encoding="utf-8")


def _packed(page: str, name: str) -> str:
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert found
    return gzip.decompress(base64.b64decode(found[1])).decode()


def test_the_page_loads_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "@import" not in page
    assert "plotly.js v" in _packed(page, "library")[:200]
    assert len(page) < 5_000_000


def test_the_page_opens_with_the_answer(page: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading
    assert heading[1].startswith("On tiny at high contention fcfs meets the most deadlines: 33.3 %")
    assert page.index("<h1>") < page.index('id="picture"') < page.index("<table")


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
    figures = json.loads(_packed(page, "data"))
    assert "<edf>" in figures["policies"], "the page sets it as text"
    drawn = json.dumps([figures["pictures"], figures["charts"], figures["timelines"][0]["views"]])
    assert "&lt;edf&gt;" in drawn
    kept = re.sub(r'"(legendgroup|values)": ("<edf>"|\{[^}]*\})', "", drawn)
    assert "<edf>" not in kept


def test_differences_to_every_reference_are_the_paired_ones(page: str) -> None:
    (by_reference,) = json.loads(_packed(page, "data"))["differences"]
    assert list(by_reference) == ["fcfs", "<edf>"]
    column = [shown.column for shown in HEADLINE].index("completion_mean_s")
    gap = make_comparison().difference(make_comparison().settings[0], "fcfs", "<edf>", "completion_mean_s")
    words, tone = by_reference["<edf>"]["fcfs"][column]
    assert words == f"{number(gap.estimate, signed=True)}\n{bounds(gap, 1.0)}"
    assert tone == "better"
    assert by_reference["fcfs"]["<edf>"][column][1] == "worse"


def _standing(name: str, value: float, information: str = "N") -> Standing:
    return Standing(PolicyLabel(name, (), information, False), Interval(value, value - 1, value + 1, 5))


def test_the_picture_zooms_on_the_contenders_and_the_reference() -> None:
    ranked = [_standing(str(value), value) for value in (90, 88, 86, 84, 70, 3, 2)]
    view = window(ranked, "86")
    assert view.holds(84)
    assert not view.holds(70)
    assert window(ranked, "70").holds(84)
    assert not window(ranked, "70").holds(70), "more than twice as far away as the better half"
    assert window(ranked[:4], "84").holds(84), "few are all in the race"
    near = [_standing(str(value), value) for value in (90, 88, 86, 84, 80, 3, 2)]
    assert window(near, "80").holds(80)
    level = window([_standing("a", 5.0), _standing("b", 5.0)], "a")
    assert level.low < 5.0 < level.high


def test_what_was_not_measured_or_sampled_leaves_a_page_all_the_same(tmp_path: Path) -> None:
    unknown = make_comparison()
    unknown.rows["slo_attainment"] = float("nan")
    unknown.__post_init__()
    assert "nothing was measured" in write_report(unknown, tmp_path / "unknown.html").read_text(encoding="utf-8")
    bare = make_comparison()
    bare.traces = [
        replace(t, samples=t.samples[:0], node_samples=t.node_samples[:0], node_samples_s=t.node_samples_s[:0])
        for t in bare.traces
    ]
    assert 'id="view"' in write_report(bare, tmp_path / "bare.html").read_text(encoding="utf-8")
    bare.traces = []
    assert 'id="view"' not in write_report(bare, tmp_path / "none.html").read_text(encoding="utf-8")


def test_the_hopeless_are_arrows_with_their_value_at_the_edge() -> None:
    comparison = make_comparison(("fcfs", *(f"p{n}" for n in range(6))))
    setting, shown = comparison.settings[0], SHOWN["completion_mean_s"]
    figure = contenders(comparison, setting, shown)
    ranked = standings(comparison, setting, shown)
    assert [s.policy.name for s in ranked] == ["fcfs", "p0", "p1", "p2", "p3", "p4", "p5"]
    assert figure["layout"]["yaxis"]["ticktext"][0] == "<b>fcfs</b>"
    arrows = {note["y"]: note["text"] for note in figure["layout"]["annotations"]}
    inside = {y for trace in figure["data"] for y in trace["y"]}
    assert inside | set(arrows) == set(range(7))
    assert not inside & set(arrows)
    assert arrows[6] == f"{number(ranked[6].value.estimate)} \N{BLACK RIGHT-POINTING TRIANGLE}"


def test_both_policies_of_a_timeline_have_the_same_rows_and_scales() -> None:
    (timeline,) = timelines_of(make_comparison())
    assert timeline.policies == ["fcfs", "<edf>"]
    for view, figures in timeline.views.items():
        first, second = figures
        assert first["layout"] == second["layout"], view
        assert len(first["data"]) == len(second["data"])
    chosen = timeline.views["workflows"][0]["layout"]["yaxis"]["ticktext"]
    assert chosen == ["0 interactive", "1 interactive", "2 batch"]


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


def test_pictures_are_files_of_their_own(tmp_path: Path) -> None:
    plots = draw_all(make_comparison(), tmp_path)
    assert len(plots) >= 6
    assert all(plot.path.read_bytes().startswith(b"\x89PNG") for plot in plots)


def test_a_schedule_without_a_single_stage_can_be_drawn() -> None:
    result: SimpleNamespace = make_result()
    result.stages["admitted_s"] = float("inf")
    assert draw_gantt(trace_of(result)).axes


def schema_log(*events: tuple) -> object:
    return np.array(sorted(events), state.RESIDENCY_EVENT)
