"""An episode in Chrome's trace event format: it keeps the format's rules, and it says what happened."""

import gzip
import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from maestro_gym import state
from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.report.chrome_trace import (
    FIRST_NODE,
    WORKFLOWS,
    chrome_trace,
    counts_over_time,
    write_chrome_traces,
)
from maestro_gym.evaluation.report.episode_trace import Trace, trace_of
from tests.evaluation.by_hand import make_result
from tests.evaluation.trace_event_rules import violations

Document = dict[str, Any]


@pytest.fixture
def document() -> Document:
    return chrome_trace(trace_of(make_result()))


@pytest.fixture(scope="module")
def simulated() -> Trace:
    """An episode that pauses stages, loads, wakes and puts to sleep."""
    scenario = Scenario.load("toy", ["horizon_s=60", "drain_s=60", "contention=overload"])
    return trace_of(run_episode(scenario, load_policy("fcfs", scenario), samples=256))


def _slices(document: Document, category: str) -> list[tuple[str, int, float, float]]:
    return [
        (event["name"], event["pid"] - FIRST_NODE, event["ts"] / 1e6, (event["ts"] + event["dur"]) / 1e6)
        for event in document["traceEvents"]
        if event["ph"] == "X" and event["cat"] == category
    ]


def test_an_episode_keeps_the_rules_of_the_format(document: Document, simulated: Trace) -> None:
    assert violations(document) == []
    document = chrome_trace(simulated)
    assert violations(document) == []
    assert not [e for e in document["traceEvents"] if e["ph"] == "X" and e["pid"] == e["tid"]], "main threads"


def test_a_stage_is_a_slice_with_its_prefill_and_decode_on_its_node(document: Document) -> None:
    assert sorted(_slices(document, "stage"), key=lambda stage: stage[2]) == [
        ("planner", 0, 1.0, 4.0),
        ("planner", 1, 3.0, 7.0),
        ("planner", 0, 6.0, 9.0),
        ("planner", 1, 40.0, 100.0),  # paused and begun again; still at work at the end of the run
    ]
    assert ("prefill", 0, 1.0, 2.0) in _slices(document, "prefill")
    assert ("decode", 0, 2.0, 4.0) in _slices(document, "decode")


def test_residency_says_loads_wakes_and_sleeps() -> None:
    result = make_result()
    result.residency_log = np.array(
        [
            (10.0, 0, 1, state.DISK, state.DISK),
            (40.0, 0, 1, state.DISK, state.RUNNING),
            (60.0, 0, 1, state.RUNNING, state.SLEEPING),
            (80.0, 0, 1, state.SLEEPING, state.SLEEPING),
            (81.0, 0, 1, state.SLEEPING, state.RUNNING),
        ],
        state.RESIDENCY_EVENT,
    )
    own = [s[:1] + s[2:] for s in _slices(chrome_trace(trace_of(result)), "residency") if s[1] == 0 and s[2] > 0]
    assert own == [
        ("load from disk", 10.0, 40.0),
        ("awake", 40.0, 60.0),
        ("asleep", 60.0, 80.0),
        ("wake", 80.0, 81.0),
        ("awake", 81.0, 100.0),
    ]


def test_an_arrow_leads_from_a_stage_to_the_stage_that_waited_for_it(document: Document) -> None:
    arrows = [event for event in document["traceEvents"] if event["ph"] in "sf"]
    assert [(event["ph"], event["pid"] - FIRST_NODE, round(event["ts"] / 1e6, 6)) for event in arrows] == [
        ("s", 0, 4.0),
        ("f", 0, 6.0),
    ], "the other workflow's second stage never began"


def test_workflows_last_from_arrival_to_end(document: Document) -> None:
    ends = [(e["ph"], e["id2"]["local"], e["ts"] / 1e6) for e in document["traceEvents"] if e["ph"] in "be"]
    assert {e["pid"] for e in document["traceEvents"] if e["ph"] in "be"} == {WORKFLOWS}
    assert {end for end in ends if end[0] == "b"} == {("b", "0x0", 0.0), ("b", "0x1", 1.0), ("b", "0x2", 2.0)}
    assert {end for end in ends if end[0] == "e"} == {("e", "0x0", 9.0), ("e", "0x1", 7.0), ("e", "0x2", 100.0)}
    about = {e["args"]["workflow"]: e["args"] for e in document["traceEvents"] if e["ph"] == "b"}
    assert [about[w]["deadline_met"] for w in range(3)] == [True, False, False]
    assert [about[w]["finished"] for w in range(3)] == [True, True, False]


def test_counters_are_those_of_the_samples(document: Document) -> None:
    kv = [e for e in document["traceEvents"] if e["ph"] == "C" and (e["pid"], e["name"]) == (11, "KV memory [GB]")]
    assert [(e["ts"] / 1e6, e["args"]["reserved"]) for e in kv] == [
        (0.0, 0.0),
        (30.0, pytest.approx(20 / 3, rel=1e-6)),
        (60.0, pytest.approx(10.0, rel=1e-6)),
        (90.0, pytest.approx(5 / 3, rel=1e-6)),
    ]


def test_the_samples_of_nodes_add_up_to_those_of_the_fleet(simulated: Trace) -> None:
    rows = len(simulated.node_samples)
    assert rows > 50
    for name in ("kv_used_bytes", "kv_reserved_bytes", "kv_pool_bytes", "queued", "running"):
        fleet = simulated.samples[name][:rows]
        np.testing.assert_allclose(simulated.node_samples[name].sum(1), fleet, rtol=1e-5)
    assert simulated.node_samples["running"].max() > 0


def test_without_samples_batch_and_queue_follow_from_the_stages() -> None:
    result = make_result()
    result.samples, result.node_samples = result.samples[:0], result.node_samples[:0]
    document = chrome_trace(trace_of(result))
    assert violations(document) == []
    batch = [
        (e["ts"] / 1e6, e["args"]["stages"])
        for e in document["traceEvents"]
        if e["ph"] == "C" and (e["pid"], e["name"]) == (FIRST_NODE, "batch")
    ]
    assert batch == [(1.0, 1), (4.0, 0), (6.0, 1), (9.0, 0)]


def test_counts_over_time_hold_each_moment_once() -> None:
    times_s, counts = counts_over_time(np.array([0.0, 1.0, 1.0]), np.array([1.0, 3.0, 2.0]))
    assert times_s.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert counts.tolist() == [1, 2, 1, 0]


def test_an_episode_in_which_nothing_ran_is_a_trace_too() -> None:
    result: SimpleNamespace = make_result()
    result.stages["admitted_s"] = float("inf")
    assert violations(chrome_trace(trace_of(result))) == []


def test_several_episodes_are_several_files_named_after_them(tmp_path: Path) -> None:
    traces = [trace_of(make_result(name)) for name in ("fcfs", "edf+maestro")]
    paths = write_chrome_traces(traces, tmp_path / "new" / "run.json.gz")
    assert [path.name for path in paths] == ["run-tiny-high-fcfs.json.gz", "run-tiny-high-edf-maestro.json.gz"]
    assert json.loads(gzip.decompress(paths[1].read_bytes()))["otherData"]["policy"] == "edf+maestro"
    (single,) = write_chrome_traces(traces[:1], tmp_path / "one.json")
    assert json.loads(single.read_text())["otherData"]["seed"] == 0
    with pytest.raises(MaestroError, match="name a writable path"):
        write_chrome_traces(traces[:1], single / "below-a-file.json")


def _of(document: Document, phase: str) -> dict[str, Any]:
    return next(event for event in document["traceEvents"] if event["ph"] == phase)


def _broken(document: Document, how: str) -> None:
    events = document["traceEvents"]
    if how == "a slice without a length":
        del _of(document, "X")["dur"]
    elif how == "an unknown phase":
        _of(document, "X")["ph"] = "Z"
    elif how == "a counter of words":
        _of(document, "C")["args"] = {"stages": "many"}
    elif how == "two slices that overlap":
        stage = next(e for e in events if e["ph"] == "X" and e["cat"] == "stage")
        events.append(stage | {"ts": stage["ts"] + 1.0})
    elif how == "a workflow without an end":
        events.remove(_of(document, "e"))
    elif how == "an arrow without a head":
        events.remove(_of(document, "f"))
    elif how == "an arrow from nowhere":
        _of(document, "s")["ts"] += 1e5
    elif how == "a counter that goes back":
        events.append(_of(document, "C"))
    elif how == "a thread without a name":
        events[:] = [e for e in events if e["name"] != "thread_name"]
    elif how == "a begin without an end":
        events.append({"ph": "B", "name": "x", "pid": FIRST_NODE, "tid": 1, "ts": 0})


@pytest.mark.parametrize(
    "how",
    [
        "a slice without a length",
        "an unknown phase",
        "a counter of words",
        "two slices that overlap",
        "a workflow without an end",
        "an arrow without a head",
        "an arrow from nowhere",
        "a counter that goes back",
        "a thread without a name",
        "a begin without an end",
    ],
)
def test_the_rules_find_what_breaks_the_format(document: Document, how: str) -> None:
    broken = deepcopy(document)
    _broken(broken, how)
    assert violations(broken)
