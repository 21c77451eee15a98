"""What Chrome's trace event format asks of a document: its schema, and the rules between events.

The sources are the public document "Trace Event Format" (Google, Catapult project, 2016) and, for slices that must nest
and arrows that must end in slices, Perfetto's page on converting other formats, which refuses what breaks them.
"""

import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = json.loads((Path(__file__).parent / "trace_event_format.schema.json").read_text(encoding="utf-8"))

Events = list[dict[str, Any]]


def violations(document: dict[str, Any]) -> list[str]:
    """Everything by which a document breaks the format, a line each."""
    schema = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(document)]
    if schema:
        return schema
    rules = (_pairs, _nesting, _asynchronous, _flows, _order, _names)
    return [wrong for rule in rules for wrong in rule(document["traceEvents"])]


def _ns(microseconds: float) -> int:
    return round(microseconds * 1000)


def _place(event: dict[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


def _pairs(events: Events) -> list[str]:
    """Every B has its E on the same thread, the innermost first."""
    open_slices: dict[tuple[int, int], int] = defaultdict(int)
    wrong = []
    for event in events:
        if event["ph"] == "B":
            open_slices[_place(event)] += 1
        elif event["ph"] == "E":
            open_slices[_place(event)] -= 1
            if open_slices[_place(event)] < 0:
                wrong.append(f"thread {_place(event)}: E without B")
    return wrong + [f"thread {place}: B without E" for place, count in open_slices.items() if count > 0]


def _nesting(events: Events) -> list[str]:
    """Complete events of a thread lie in each other or beside each other."""
    wrong = []
    threads = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            threads[_place(event)].append((_ns(event["ts"]), _ns(event["ts"]) + _ns(event["dur"]), event["name"]))
    for place, slices in threads.items():
        around: list[int] = []
        for begin, end, name in sorted(slices, key=lambda s: (s[0], -s[1])):
            while around and around[-1] <= begin:
                around.pop()
            if around and around[-1] < end:
                wrong.append(f"thread {place}: {name} at {begin} ns overlaps what it begins in")
            around.append(end)
    return wrong


def _asynchronous(events: Events) -> list[str]:
    """As many ends as begins of an id, and no end before its begin."""
    wrong = []
    depth: Counter[tuple[Any, ...]] = Counter()
    for event in sorted((e for e in events if e["ph"] in "be"), key=lambda e: (e["ts"], e["ph"] == "e")):
        scope = event["pid"] if "local" in event.get("id2", {}) else None
        key = (event["cat"], scope, json.dumps(event.get("id", event.get("id2"))))
        depth[key] += 1 if event["ph"] == "b" else -1
        if depth[key] < 0:
            wrong.append(f"{key}: e before b")
    return wrong + [f"{key}: b without e" for key, left in depth.items() if left > 0]


def _flows(events: Events) -> list[str]:
    """An arrow begins once, ends later, and both ends lie in a slice of their thread."""
    wrong = []
    arrows: dict[tuple[Any, ...], Events] = defaultdict(list)
    slices = defaultdict(list)
    for event in events:
        if event["ph"] in "stf":
            arrows[event["cat"], event["name"], event["id"]].append(event)
        elif event["ph"] == "X":
            slices[_place(event)].append((_ns(event["ts"]), _ns(event["ts"]) + _ns(event["dur"])))
    for key, ends in arrows.items():
        phases = "".join(e["ph"] for e in sorted(ends, key=lambda e: (e["ts"], "stf".index(e["ph"]))))
        if not (phases.startswith("s") and phases.endswith("f") and phases.count("s") == phases.count("f") == 1):
            wrong.append(f"arrow {key}: goes {phases}")
        for end in ends:
            if not any(begin <= _ns(end["ts"]) <= last for begin, last in slices[_place(end)]):
                wrong.append(f"arrow {key}: {end['ph']} is in no slice")
    return wrong


def _order(events: Events) -> list[str]:
    """Times of a counter, and of B and E on a thread, never go back."""
    series = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            series["counter", event["pid"], event["name"]].append(event["ts"])
        elif event["ph"] in "BE":
            series["thread", *_place(event)].append(event["ts"])
    return [f"{key}: time goes back" for key, times in series.items() if any(b < a for a, b in pairwise(times))]


def _names(events: Events) -> list[str]:
    """Whatever holds slices says its name."""
    named = {(e["name"], e["pid"], e["tid"] if e["name"] == "thread_name" else 0) for e in events if e["ph"] == "M"}
    wrong = {f"process {e['pid']} has no name" for e in events if ("process_name", e["pid"], 0) not in named}
    wrong |= {
        f"thread {_place(e)} has no name" for e in events if e["ph"] == "X" and ("thread_name", *_place(e)) not in named
    }
    return sorted(wrong)
