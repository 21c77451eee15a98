"""An episode in Chrome's trace event format, which ui.perfetto.dev and chrome://tracing open.

The format is public: "Trace Event Format" by the authors of Catapult (Google, 2016), a JSON object whose
``traceEvents`` are events with a phase ``ph``. Used here are ``M`` (names of processes and threads), ``X`` (a slice and
its ``dur``), ``C`` (counters), ``b`` and ``e`` (begin and end of something that belongs to a process and to no thread,
held together by ``cat`` and ``id2.local``) and ``s`` and ``f`` (the ends of a flow arrow, held together by ``cat``,
``name`` and ``id``). Times are microseconds of the run.

A node is a process. An engine of it is a thread with slices for its residency, followed by a thread for each place of
its batch, since slices of one thread must nest and stages of one batch overlap. Before the nodes stand the fleet, with
its queue, and the workflows, from arrival to end.
"""

from __future__ import annotations

import gzip
import heapq
import json
import math
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym import __version__
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.residency import Span, models_of, residency_spans
from maestro_gym.state import CLASS_NAMES

Event = dict[str, Any]

FLEET, WORKFLOWS, FIRST_NODE = 1, 2, 10
"""Ids of processes; node n is ``FIRST_NODE + n``."""

_NAMES = {"awake": "awake", "asleep": "asleep", "sleeping": "wake"}


def write_chrome_traces(traces: Sequence[Trace], path: Path) -> list[Path]:
    """Write episodes as files that Perfetto opens, a file an episode.

    Args:
        traces: The episodes.
        path: The file, whose folder is made; a name that ends in ``.gz`` is compressed, which Perfetto opens as well.
            With several episodes, scenario, contention and policy come before the ending of its name.

    Returns:
        The files, in the order of the episodes.

    Raises:
        MaestroError: A file cannot be written.
    """
    zipped = path.suffix == ".gz"
    stem, ending = (Path(path.stem).stem, "".join(path.suffixes[-2:])) if zipped else (path.stem, path.suffix)
    names = [path.name]
    if len(traces) != 1:
        names = [f"{stem}-{'-'.join(map(file_name, (t.scenario, t.contention, t.policy)))}{ending}" for t in traces]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for trace, name in zip(traces, names, strict=True):
            content = json.dumps(chrome_trace(trace), separators=(",", ":"), allow_nan=False).encode()
            write_whole(path.with_name(name), gzip.compress(content, mtime=0) if zipped else content)
    except OSError as error:
        raise MaestroError(f"{path}: cannot write the trace ({error.strerror}); name a writable path.") from error
    return [path.with_name(name) for name in names]


def chrome_trace(trace: Trace) -> dict[str, Any]:
    """An episode as a document of the trace event format.

    Args:
        trace: The episode.

    Returns:
        The JSON object; names of processes and threads come first, then events in the order of their times, an outer
        slice before the slices in it.
    """
    names: list[Event] = []
    events: list[Event] = [*_fleet(trace, names), *_workflows(trace, names)]
    slices: dict[int, Event] = {}
    for node in range(len(trace.node_names)):
        events += _node(trace, node, names, slices)
    events += _flows(trace, slices)
    return {
        "traceEvents": names + sorted(events, key=lambda event: (event["ts"], -event.get("dur", 0.0))),
        "displayTimeUnit": "ms",
        "otherData": {
            "policy": trace.policy,
            "scenario": trace.scenario,
            "contention": trace.contention,
            "seed": trace.seed,
            "horizon_s": trace.horizon_s,
            "end_s": trace.end_s,
            "made_by": f"maestro-gym {__version__}",
        },
    }


def _us(time_s: float) -> float:
    """Microseconds of a moment, whole nanoseconds of it: ends of slices that touch are the same number."""
    return round(float(time_s) * 1e9) / 1e3


def _slice(name: str, place: tuple[int, int], begin_s: float, end_s: float, **about: Any) -> Event:  # noqa: ANN401
    begin = _us(begin_s)
    duration = round((_us(end_s) - begin) * 1e3) / 1e3
    return {"ph": "X", "name": name, "pid": place[0], "tid": place[1], "ts": begin, "dur": duration, **about}


def _named(process: int, name: str, order: int) -> list[Event]:
    return [
        {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": name}},
        {"ph": "M", "name": "process_sort_index", "pid": process, "tid": 0, "args": {"sort_index": order}},
    ]


def _thread(process: int, thread: int, name: str) -> list[Event]:
    return [
        {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": name}},
        {"ph": "M", "name": "thread_sort_index", "pid": process, "tid": thread, "args": {"sort_index": thread}},
    ]


def _counter(process: int, name: str, time_s: float, **values: float) -> Event:
    return {"ph": "C", "name": name, "pid": process, "tid": 0, "ts": _us(time_s), "args": values}


def _gb(value: float) -> float:
    return round(float(value) / 1e9, 6)


def _fleet(trace: Trace, names: list[Event]) -> Iterator[Event]:
    names += _named(FLEET, "fleet", 0)
    for row in trace.samples:
        yield _counter(FLEET, "workflows in the system", row["time_s"], workflows=int(row["workflows"]))
        yield _counter(FLEET, "stages in the global queue", row["time_s"], stages=int(row["ready"]))
        kv = {name: _gb(row[f"kv_{name}_bytes"]) for name in ("used", "reserved", "virtual", "pool")}
        yield _counter(FLEET, "KV memory [GB]", row["time_s"], **kv)


def _workflows(trace: Trace, names: list[Event]) -> Iterator[Event]:
    names += _named(WORKFLOWS, "workflows", 1)
    for number, row in enumerate(trace.workflows):
        end_s = min(float(row["finished_s"]), trace.end_s)
        if row["arrival_s"] > end_s:
            continue
        kind = CLASS_NAMES[row["cls"]]
        common = {"cat": "workflow", "id2": {"local": f"0x{number:x}"}, "name": kind, "pid": WORKFLOWS, "tid": 0}
        about = {
            "workflow": number,
            "tenant": int(row["tenant"]),
            "stages": int(row["num_stages"]),
            "deadline_s": float(row["deadline_s"]),
            "deadline_met": bool(row["finished_s"] <= row["deadline_s"]),
            "finished": math.isfinite(row["finished_s"]),
        }
        yield {"ph": "b", "ts": _us(row["arrival_s"]), **common, "args": about}
        yield {"ph": "e", "ts": _us(end_s), **common}


def _node(trace: Trace, node: int, names: list[Event], slices: dict[int, Event]) -> Iterator[Event]:
    process = FIRST_NODE + node
    # A thread with the number of its process would be taken for its main thread.
    threads = (number for number in count(1) if number != process)
    names += _named(process, trace.node_names[node], FIRST_NODE + node)
    yield from _node_counters(trace, node, process)
    ran, (begins_s, firsts_s, ends_s) = trace.stages[trace.ran], trace.running_s
    for model in models_of(trace, node):
        engine = next(threads)
        names += _thread(process, engine, trace.model_names[model])
        for span in residency_spans(trace, node, model):
            yield _slice(_residency_name(span), (process, engine), span.begin_s, span.end_s, cat="residency")
        own = np.flatnonzero((ran["node"] == node) & (ran["model"] == model))
        own = own[np.argsort(begins_s[own], kind="stable")]
        places = places_of(begins_s[own], ends_s[own])
        lanes = [next(threads) for _ in range(max(places, default=-1) + 1)]
        for number, lane in enumerate(lanes, start=1):
            names += _thread(process, lane, f"{trace.model_names[model]}, place {number}")
        for row, place in zip(own.tolist(), places, strict=True):
            at = (process, lanes[place])
            stage = _stage(trace, row, at)
            slices[int(trace.ran[row])] = stage
            yield stage
            begin_s, first_s, end_s = (float(times_s[row]) for times_s in (begins_s, firsts_s, ends_s))
            if first_s > begin_s:
                yield _slice("prefill", at, begin_s, first_s, cat="prefill")
            if end_s > first_s:
                yield _slice("decode", at, first_s, end_s, cat="decode")


def _residency_name(span: Span) -> str:
    return _NAMES.get(span.source or span.state, f"load from {span.source}")


def _node_counters(trace: Trace, node: int, process: int) -> Iterator[Event]:
    for time_s, row in zip(trace.node_samples_s, trace.node_samples[:, node], strict=True):
        kv = {name: _gb(row[f"kv_{name}_bytes"]) for name in ("used", "reserved", "pool")}
        yield _counter(process, "KV memory [GB]", time_s, **kv)
        yield _counter(process, "batch", time_s, stages=int(row["running"]))
        yield _counter(process, "queue", time_s, stages=int(row["queued"]))
    if len(trace.node_samples):
        return
    # A log holds no samples; batch and queue follow from the times of its stages.
    own = trace.stages["node"][trace.ran] == node
    sent_s = trace.stages["sent_s"][trace.ran]
    begins_s, _, ends_s = trace.running_s
    for name, since_s, until_s in (("batch", begins_s[own], ends_s[own]), ("queue", sent_s[own], begins_s[own])):
        for time_s, stages in zip(*counts_over_time(since_s, until_s), strict=True):
            yield _counter(process, name, time_s, stages=int(stages))


def counts_over_time(begins_s: np.ndarray, ends_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of some intervals hold a moment, at every moment at which that changes.

    Args:
        begins_s: float, shape (A,).
        ends_s: float, shape (A,), finite.

    Returns:
        Moments, ascending and each once, and the numbers from each of them on.
    """
    times_s, places = np.unique(np.concatenate([begins_s, ends_s]), return_inverse=True)
    steps = np.zeros(len(times_s), dtype=int)
    np.add.at(steps, places, np.repeat([1, -1], len(begins_s)))
    return times_s, np.cumsum(steps)


def places_of(begins_s: np.ndarray, ends_s: np.ndarray) -> list[int]:
    """The place of the batch that each of some stages takes: the lowest that is free when it begins.

    Args:
        begins_s: float, shape (A,), ascending.
        ends_s: float, shape (A,).

    Returns:
        Places, from 0 on.
    """
    places: list[int] = []
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    for begin_s, end_s in zip(begins_s.tolist(), ends_s.tolist(), strict=True):
        while taken and taken[0][0] <= begin_s:
            heapq.heappush(free, heapq.heappop(taken)[1])
        place = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end_s, place))
        places.append(place)
    return places


def _stage(trace: Trace, row: int, at: tuple[int, int]) -> Event:
    stage = trace.stages[trace.ran[row]]
    begins_s, _, ends_s = trace.running_s
    about = {
        "stage": int(trace.ran[row]),
        "workflow": int(stage["workflow"]),
        "prompt_tokens": int(stage["prompt_tokens"]),
        "generated_tokens": int(stage["generated_tokens"]),
        "waited_for_dispatch_s": round(float(stage["sent_s"] - stage["ready_s"]), 6),
        "waited_at_node_s": round(float(stage["admitted_s"] - stage["queued_s"]), 6),
        "pauses": int(stage["preemptions"]),
        "finished": math.isfinite(stage["finished_s"]),
    }
    name = trace.role_names[stage["role"]]
    return _slice(name, at, begins_s[row], ends_s[row], cat="stage", args=about)


def _flows(trace: Trace, slices: dict[int, Event]) -> Iterator[Event]:
    """Arrows from the end of a stage to the begin of each stage that waited for it."""
    for number, (parent, child) in enumerate(trace.edges.tolist()):
        if parent not in slices or child not in slices:
            continue
        end, begin = slices[parent], slices[child]
        common = {"cat": "workflow", "name": "next stage", "id": number}
        # An arrow begins in the slice that holds its time, so a nanosecond before the end of this one.
        last = max(end["ts"], round((end["ts"] + end["dur"]) * 1e3 - 1) / 1e3)
        yield {"ph": "s", **common, "pid": end["pid"], "tid": end["tid"], "ts": last}
        yield {"ph": "f", "bp": "e", **common, "pid": begin["pid"], "tid": begin["tid"], "ts": begin["ts"]}
