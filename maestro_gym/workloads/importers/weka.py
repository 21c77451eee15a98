"""Weka's traces of coding agents: nested sub-agents, ids of prefix blocks, think time; one trace a document.

Source: callanjfox/kv-cache-tester, docs/trace_replay_tester.md: id, block_size, requests of t [s], type (s: streamed,
n: not, subagent), model, in, out, hash_ids, stop, api_time [s]; a sub-agent has duration_ms and requests whose t counts
from its own start. Its own t is when its answer came back: less duration_ms it is the end of the call that asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.blocks import common_blocks
from maestro_gym.workloads.importers.records import whole, words
from maestro_gym.workloads.importers.spans import Recorder, Span, resolution_ns, workflows_of
from maestro_gym.workloads.traces.checks import MOST, place, shown
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("id", "block_size", "requests")
FIELDS: Fields = {
    "workflow_id": ("id",),
    "call_id": ("place",),
    "parent_ids": ("t", "api_time"),
    "role": ("agent",),
    "model": ("model",),
    "prompt_tokens": ("in",),
    "output_tokens": ("out",),
    "tool_gap_s": ("t", "api_time"),
    "tool_intent": ("stop",),
    "ctx_group": ("agent",),
    "ctx_prefix_tokens": ("hash_ids",),
}
RECORDER = Recorder(
    calls="in these traces a call is an entry of `requests` with `in` and `out`",
    prompt="in",
    output="out",
    span="requests",
    parent="requests",
    start="t",
)

# Not in the trace: an unattended coding task.
DEADLINE_S, TTFT_LIMIT_S = 3600.0, 60.0

_COARSEST_NS = 10**9
_PACE_S = 0.02  # Of a token, where no call of a trace says how long it took.


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every trace into a workflow whose sub-agents are branches.

    The gap after a call lasts until the next that waits for it: think time and tools together. A call that says nothing
    of its own time is taken to go at the trace's median pace. A request that was sent twice, streamed and not, is one
    call. What a call shares are the leading blocks of the call before in its agent's context.

    Args:
        frame: The table, with ``ROW``; one trace a row.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    spans: list[Span] = []
    told: dict[str, int] = {}
    for record in frame.to_dict("records"):
        spans += _Trace(record, source, told).spans()
    # Often t is in whole seconds, while answers are timed finer.
    clock_ns = resolution_ns((round(span.seen["t"] * 1e9) for span in spans if span.kind == "call"), _COARSEST_NS)
    made = workflows_of(spans, source, RECORDER, idle_is_gap=True, clock_ns=clock_ns)
    table = made.table.assign(
        **{"application": "weka_agentic", "class": "batch", "deadline_s": DEADLINE_S, "ttft_limit_s": TTFT_LIMIT_S}
    )
    notes = tuple(f"{words}: {count}" for words, count in told.items())
    alone = ("traces have no common clock: all arrive at 0",) if len(frame) > 1 else ()
    return made._replace(table=table, notes=(*made.notes, *notes, *alone))


class _Trace:
    """One trace, read into spans."""

    def __init__(self, record: Mapping[str, Any], source: str, told: dict[str, int]) -> None:
        self.row, self.source, self.told = int(record[ROW]), source, told
        self.name = words(record["id"])
        if not self.name:
            raise MaestroError(f"{place(source, self.row, 'id')}: is blank; a trace has an id.")
        self.block_tokens = whole(record["block_size"], place(source, self.row, "block_size"))
        if self.block_tokens < 1:
            raise MaestroError(f"{place(source, self.row, 'block_size')}: is 0; a block has at least one token.")
        self.requests = self._listed(record["requests"], "requests")
        paces = [
            float(request["api_time"]) / request["out"]
            for request in self._all(self.requests)
            if _is_time(request.get("api_time")) and isinstance(request.get("out"), int) and request["out"] > 0
        ]
        self.pace_s = float(np.median(paces)) if paces else _PACE_S

    def spans(self) -> list[Span]:
        root = self._structure("", "weka_agentic", "", 0.0, 0.0)
        root.agent, root.context = "main", "main"
        return [root, *self._inside(self.requests, root, 0.0, "requests")]

    def _all(self, requests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for request in requests:
            inside = request.get("requests")
            found += [request] if inside is None else self._all(self._listed(inside, "requests"))
        return found

    def _listed(self, value: object, where: str) -> list[Mapping[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise MaestroError(
                f"{place(self.source, self.row, where)}: is no list of requests; each is an object with t, in and out."
            )
        return value

    def _inside(self, requests: Sequence[Mapping[str, Any]], above: Span, start_s: float, where: str) -> list[Span]:
        """Read the requests of one agent, which began at `start_s` of the trace."""
        spans: list[Span] = []
        before: Span | None = None
        held: list[Any] = []
        for i, request in enumerate(requests):
            here = f"{where}[{i}]"
            at_s = start_s + self._seconds(request, "t", here)
            if request.get("type") == "subagent" or "requests" in request:
                spans += self._subagent(request, above, at_s, 0.0 if before is None else _seconds_of(before), here)
                continue
            if request.get("type", "n") not in ("s", "n"):
                raise MaestroError(
                    f"{place(self.source, self.row, f'{here}.type')}: the value {shown(request['type'])} is no kind of "
                    "request; those known are s (streamed), n (not streamed) and subagent."
                )
            call, ids = self._call(request, above, at_s, here)
            if before is not None and self._is_echo(requests[i - 1], request, before, call):
                self._tell("requests that were sent twice, streamed and not, are one call")
                before.end_ns = max(before.end_ns or 0, call.end_ns or 0)
                continue
            call.shared = min(common_blocks(ids, held) * self.block_tokens, call.prompt or 0)
            spans.append(call)
            before, held = call, ids
        for one, next_one in pairwise(span for span in spans if span.parent == above.span and span.kind == "call"):
            one.asks = one.asks or "tool_result" in (next_one.seen.get("input_types") or ())
            if one.seen.get("api_time") is None:
                # An estimate never makes one agent's calls overlap.
                one.end_ns = max(one.start_ns or 0, min(one.end_ns or 0, next_one.start_ns or 0))
        return spans

    def _call(self, request: Mapping[str, Any], above: Span, at_s: float, here: str) -> tuple[Span, list[Any]]:
        output = whole(request.get("out"), place(self.source, self.row, f"{here}.out"))
        took_s = request.get("api_time")
        if took_s is None:
            self._tell("calls that say nothing of their own time go at their trace's median pace")
            took_s = self.pace_s * output
        elif not _is_time(took_s):
            raise self._no_time(took_s, f"{here}.api_time")
        prompt = whole(request.get("in"), place(self.source, self.row, f"{here}.in"))
        ids = request.get("hash_ids", [])
        if not isinstance(ids, list) or not all(isinstance(block, int | str) for block in ids):
            raise MaestroError(f"{place(self.source, self.row, f'{here}.hash_ids')}: is no list of ids; give one.")
        if len(ids) * self.block_tokens > prompt + self.block_tokens:
            raise MaestroError(
                f"{place(self.source, self.row, f'{here}.hash_ids')}: {len(ids)} blocks of {self.block_tokens} tokens "
                f"are more than the prompt of {prompt}; mend `in` or `block_size`."
            )
        if ids and (len(ids) + 1) * self.block_tokens < prompt:
            self._tell("prompts that are longer than their blocks share nothing beyond them")
        seen = {**request, "hash_ids": f"{len(ids)} ids", "id": self.name, "place": here, "agent": above.agent}
        span = Span(
            row=self.row,
            trace=self.name,
            span=here.replace("requests", "").strip("."),
            parent=above.span,
            name="",
            start_ns=round(at_s * 1e9),
            end_ns=round((at_s + took_s) * 1e9),
            kind="call",
            model=words(request.get("model")),
            prompt=prompt,
            output=output,
            asks=request.get("stop") == "tool_use",
            seen=seen,
        )
        return span, ids

    def _subagent(self, marker: Mapping[str, Any], above: Span, at_s: float, asked_s: float, here: str) -> list[Span]:
        took_s = self._seconds(marker, "duration_ms", here, default=0.0) / 1e3
        # The marker stands where the answer came back; one that could not have begun after its call marks the start.
        start_s = at_s - took_s if at_s - took_s >= asked_s - 1.0 else at_s
        kind = words(marker.get("subagent_type")) or "subagent"
        name = f"{above.span}/{words(marker.get('agent_id')) or here}"
        span = self._structure(name, kind, above.span, start_s, start_s + took_s)
        span.agent, span.context = kind, name.strip("/")
        inside = self._listed(marker.get("requests", []), f"{here}.requests")
        return [span, *self._inside(inside, span, start_s, f"{here}.requests")]

    def _structure(self, span: str, name: str, parent: str, start_s: float, end_s: float) -> Span:
        return Span(self.row, self.name, span or "main", parent, name, round(start_s * 1e9), round(end_s * 1e9))

    def _is_echo(self, before: Mapping[str, Any], after: Mapping[str, Any], one: Span, other: Span) -> bool:
        """Whether a request is the one before again, in the other of the two ways to send it."""
        return (
            (before.get("type"), after.get("type")) in (("s", "n"), ("n", "s"))
            and bool(after.get("hash_ids"))
            and (before.get("in"), before.get("hash_ids")) == (after.get("in"), after.get("hash_ids"))
            and (other.start_ns or 0) <= (one.end_ns or 0) + _COARSEST_NS
        )

    def _seconds(self, item: Mapping[str, Any], key: str, here: str, default: float | None = None) -> float:
        value = item.get(key, default)
        if not _is_time(value):
            raise self._no_time(value, f"{here}.{key}")
        return float(value)

    def _no_time(self, value: object, where: str) -> MaestroError:
        return MaestroError(
            f"{place(self.source, self.row, where)}: the value {shown(value)} is no time; give a number of at least 0."
        )

    def _tell(self, words_: str) -> None:
        self.told[words_] = self.told.get(words_, 0) + 1


def _is_time(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST


def _seconds_of(span: Span) -> float:
    return (span.start_ns or 0) / 1e9
