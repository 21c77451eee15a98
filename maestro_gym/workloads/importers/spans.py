"""Spans of agents, whatever wrote them down: a tree with times, of which some are model calls and some are tools.

An importer reads its format into `Span`s; `workflows_of` finds out which calls there were, which waited for which, how
long tools took in between, and what prompts share.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import place
from maestro_gym.workloads.traces.format import ROW, SEEN, Converted

# Not in any of these files: somebody who waits for an agent.
DEADLINE_S, TTFT_LIMIT_S = 300.0, 10.0

COARSEST_CLOCK_NS = 10**6
"""A clock that is coarser than a millisecond is not told from times that happen to be round."""


class Recorder(NamedTuple):
    """What the tool that wrote the spans calls things, for messages.

    Attributes:
        calls: A sentence: how it says that a span is a model call.
        prompt: Its count of prompt tokens.
        output: Its count of output tokens.
        span: Its id of a span.
        parent: Its id of the span above.
        start: Its start of a span.
    """

    calls: str
    prompt: str
    output: str
    span: str
    parent: str
    start: str


@dataclass(eq=False)
class Span:
    """One span.

    Attributes:
        row: Of the file.
        trace: The workflow.
        span: Its id, unique in its trace.
        parent: Id of the span above; blank: none.
        name: As recorded.
        start_ns: Its start [ns]; None: not recorded.
        end_ns: Its end [ns].
        kind: A model call, a tool, or structure.
        agent: Name of the agent that it stands for; blank: that of the span above.
        context: Whose growing context a call extends; blank: that of the span above, else its agent's.
        model: Of a call.
        prompt: Tokens, all of them, cached ones too; None: not recorded.
        output: Tokens; None: not recorded.
        limit: The client's limit of the output [tokens].
        shared: Leading prompt tokens that were reused; None: not recorded.
        apart: Cached prompt tokens that `prompt` may or may not include; see `_whole_prompts`.
        tool: Name of a tool.
        asks: Whether a call asked for a tool, in files that do not record tools themselves.
        failed: Whether it ended in an error.
        seen: What the file says of it, by its own names.
    """

    row: int
    trace: str
    span: str
    parent: str
    name: str
    start_ns: int | None
    end_ns: int | None
    kind: Literal["call", "tool", ""] = ""
    agent: str = ""
    context: str = ""
    model: str = ""
    prompt: int | None = None
    output: int | None = None
    limit: int | None = None
    shared: int | None = None
    apart: int = 0
    tool: str = ""
    asks: bool = False
    failed: bool = False
    seen: Mapping[str, Any] = field(default_factory=dict)
    above: list[Span] = field(default_factory=list)  # ancestors, the root first, the span itself last
    # With all spans below it, which may outlast it.
    branch_start_ns: int = 0
    branch_end_ns: int = 0

    @property
    def role(self) -> str:
        """The agent that it belongs to: its own, else the nearest above."""
        return next((span.agent for span in reversed(self.above) if span.agent), "agent")

    @property
    def extends(self) -> str:
        """The growing context that it belongs to."""
        return next((span.context for span in reversed(self.above) if span.context), self.role)

    @property
    def counted(self) -> bool:
        """Whether both token counts were recorded."""
        return self.prompt is not None and self.output is not None


def workflows_of(
    spans: Sequence[Span], source: str, recorder: Recorder, *, idle_is_gap: bool = False, clock_ns: int | None = None
) -> Converted:
    """Turn every trace into a workflow, its model calls into calls, what happens between them into gaps.

    One call comes before another if, below the span that both lie in, the branch of the first ended before the branch
    of the second began, within what the clock can tell; its parents are the latest of those. Branches that overlap run
    side by side. A call around calls is the same call seen from further out: the innermost counts. A call around a
    tool that makes calls comes before them. An agent's prompt that did not shrink is taken to extend what its last
    call held, unless the file says what was shared.

    Args:
        spans: All spans of a file.
        source: The file.
        recorder: What the tool that wrote them calls things.
        idle_is_gap: The gap after a call lasts until the first call that waits for it; else it ends with the last tool
            between the two that holds no call itself.
        clock_ns: Resolution of the clock; None: a power of ten that all times are multiples of.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: A span contradicts another, a call lacks what is needed, or there is no call.
    """
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace, []).append(span)
    if clock_ns is None:
        clock_ns = resolution_ns(time for span in spans for time in (span.start_ns, span.end_ns) if time is not None)
    told: dict[str, int] = {}
    chosen: list[tuple[list[Span], list[Span]]] = []
    for members in traces.values():
        _link(members, source, recorder)
        chosen.append((members, _innermost(members, told, source, recorder)))
    _whole_prompts([call for _, calls in chosen for call in calls], told, source, recorder)
    rows: list[dict[str, Any]] = []
    for members, calls in chosen:
        if calls:
            rows += _workflow(members, calls, clock_ns, idle_is_gap)
    if not rows:
        raise MaestroError(f"{source}: no span is a model call; {recorder.calls}.")
    table = pd.DataFrame(rows)
    origin_ns = min(int(value) for value in table["_arrival_ns"])
    table["arrival_s"] = [(int(value) - origin_ns) / 1e9 for value in table["_arrival_ns"]]
    unlimited = table["max_output_tokens"].isna().to_numpy()
    if unlimited.any():
        limit = client_limit(table["output_tokens"].to_numpy(np.float64))
        table["max_output_tokens"] = table["max_output_tokens"].fillna(limit)
        _tell(told, f"calls without a recorded output limit get {limit}", int(unlimited.sum()))
    table = table.drop(columns="_arrival_ns").sort_values(["arrival_s", "workflow_id"], kind="stable")
    return Converted(table.reset_index(drop=True), tuple(f"{words}: {count}" for words, count in told.items()))


def _tell(told: dict[str, int], words: str, count: int = 1) -> None:
    if count:
        told[words] = told.get(words, 0) + count


def resolution_ns(times_ns: Iterable[int], coarsest_ns: int = COARSEST_CLOCK_NS) -> int:
    """Tell the resolution of a clock from its times.

    Args:
        times_ns: Times [ns].
        coarsest_ns: Beyond it times are taken to be round by chance.

    Returns:
        The largest power of ten [ns] that all times are multiples of; 0 if that is a nanosecond.
    """
    common = math.gcd(*times_ns)
    resolution = 1
    while resolution < coarsest_ns and common % (resolution * 10) == 0:
        resolution *= 10
    return resolution if resolution > 1 else 0


def _link(members: list[Span], source: str, recorder: Recorder) -> None:
    """Give every span its ancestors, and its branch its times."""
    by_id: dict[str, Span] = {}
    for span in members:
        if span.span in by_id:
            raise MaestroError(
                f"{place(source, span.row, recorder.span)}: {span.span!r} stands twice in its trace; take one out."
            )
        by_id[span.span] = span
    for span in members:
        chain, at, seen = [span], span, {span.span}
        # A parent that was not exported makes its child a root.
        while at.parent and at.parent in by_id:
            at = by_id[at.parent]
            if at.span in seen:
                raise MaestroError(
                    f"{place(source, span.row, recorder.parent)}: the span {span.span!r} and those above it are "
                    "parents in a circle; mend their parents."
                )
            seen.add(at.span)
            chain.append(at)
        span.above = chain[::-1]
    for span in members:
        if span.start_ns is None:
            continue
        end_ns = span.start_ns if span.end_ns is None else span.end_ns
        for above in span.above:
            untouched = above.branch_end_ns == 0
            above.branch_start_ns = span.start_ns if untouched else min(above.branch_start_ns, span.start_ns)
            above.branch_end_ns = max(above.branch_end_ns, end_ns)


def _innermost(members: list[Span], told: dict[str, int], source: str, recorder: Recorder) -> list[Span]:
    """Choose the calls, one for each request that a model served, in order of time."""
    calls = [span for span in members if span.kind == "call"]
    lost = [call for call in calls if call.failed and not call.counted]
    _tell(told, "calls that failed and have no token counts are left out", len(lost))
    calls = [call for call in calls if call not in lost]
    left = {id(call): call for call in calls}
    inside: dict[int, list[Span]] = {}
    for call in sorted(calls, key=lambda call: len(call.above), reverse=True):
        inner = [span for span in inside.get(id(call), ()) if id(span) in left]
        counted = [span for span in inner if span.counted]
        if call.counted and not counted:
            # The outer view alone has the tokens: it is the call, and what lies in it is a part of it.
            for span in inner:
                del left[id(span)]
            inner = [call]
        elif inner:
            del left[id(call)]
            _tell(told, "spans around a call that are the same call seen from further out are left out")
            sums = (sum(span.prompt or 0 for span in counted), sum(span.output or 0 for span in counted))
            if call.counted and (call.prompt, call.output) not in [sums, *((s.prompt, s.output) for s in counted)]:
                _tell(told, "of these, with other token counts than the calls in them")
            for span in inner:
                span.model, span.limit = span.model or call.model, call.limit if span.limit is None else span.limit
        else:
            inner = [call]
        if (outer := _wrapper(call)) is not None:
            inside.setdefault(id(outer), []).extend(inner)
    kept = list(left.values())
    for call in kept:
        if call.start_ns is None:
            raise MaestroError(
                f"{place(source, call.row, recorder.start)}: the call has no time; record it, or take it out."
            )
    return sorted(kept, key=lambda call: (call.start_ns, call.end_ns, call.row))


def _wrapper(call: Span) -> Span | None:
    """Find the call that a call lies in, with no tool and no agent of its own in between."""
    for above in reversed(call.above[:-1]):
        if above.kind == "call":
            return above
        if above.kind == "tool" or above.agent:
            return None
    return None


def _whole_prompts(calls: list[Span], told: dict[str, int], source: str, recorder: Recorder) -> None:
    """Let prompts include their cached tokens; some recorders count these apart.

    Where a model's cached tokens exceed the prompt of one call, they are counted apart in all of its calls.
    """
    apart = {call.model for call in calls if call.prompt is not None and call.apart > call.prompt}
    for call in calls:
        if call.prompt is None or call.output is None:
            missing = recorder.prompt if call.prompt is None else recorder.output
            raise MaestroError(
                f"{place(source, call.row, missing)}: the call {call.span!r} has no {missing}; let the agent "
                "record token usage, or take the span out."
            )
        if call.model in apart and call.apart:
            call.prompt += call.apart
            _tell(told, "prompts that were counted without their cached tokens got them added")
        _tell(told, "prompts without tokens are taken as one token", call.prompt < 1)
        _tell(told, "outputs without tokens are taken as one token", call.output < 1)
        call.prompt, call.output = max(call.prompt, 1), max(call.output, 1)
        if call.shared is not None and call.shared > call.prompt:
            raise MaestroError(
                f"{place(source, call.row, recorder.prompt)}: the call {call.span!r} reused {call.shared} of "
                f"{call.prompt} prompt tokens; it cannot share more than it has, so mend one of the two."
            )


def _before(one: Span, other: Span, clock_ns: int) -> bool:
    """Whether a call's branch ended before another span's began, below the span that both lie in."""
    for a, b in zip(one.above, other.above, strict=False):
        if a is not b:
            late_ns = a.branch_end_ns - b.branch_start_ns
            return late_ns <= 0 or (late_ns <= clock_ns and a.branch_start_ns < b.branch_start_ns)
    # What lies in a call without being a view of it, it asked for.
    return len(one.above) < len(other.above)


def _workflow(members: list[Span], calls: list[Span], clock_ns: int, idle_is_gap: bool) -> list[dict[str, Any]]:
    bearing = {id(above) for call in calls for above in call.above}
    tools = [span for span in members if span.kind == "tool" and id(span) not in bearing and span.start_ns is not None]
    earlier: list[int] = []  # of every call, the calls that come before it, as bits
    parents: list[list[int]] = []
    for i, call in enumerate(calls):
        latest, all_before = _latest_before(call, calls[:i], earlier, clock_ns)
        parents.append(latest)
        earlier.append(all_before)
    root = min(members, key=lambda span: (len(span.above), span.branch_start_ns))
    start_ns = min(span.start_ns for span in members if span.start_ns is not None)
    starts_ns = [call.start_ns or 0 for call in calls]
    used: dict[int, list[Span]] = {}
    for tool in sorted(tools, key=lambda span: span.branch_start_ns):
        begun = bisect_right(starts_ns, tool.branch_start_ns + clock_ns)
        for j in _latest_before(tool, calls[:begun], earlier, clock_ns)[0]:
            used.setdefault(j, []).append(tool)
    gaps_ns = (
        _idle_ns(calls, parents) if idle_is_gap else [_busy_ns(call, used.get(i, [])) for i, call in enumerate(calls)]
    )
    offered = int(bool(tools) or any(call.asks for call in calls))
    contexts: dict[str, tuple[int, int]] = {}
    rows = []
    for i, call in enumerate(calls):
        prompt, output = call.prompt or 1, call.output or 1
        asked, held = contexts.get(call.extends, (0, 0))
        shared = call.shared if call.shared is not None else min(held, prompt) if asked <= prompt else 0
        contexts[call.extends] = (prompt, prompt + output)
        mine = used.get(i, [])
        rows.append(
            {
                ROW: call.row,
                SEEN: call.seen,
                "workflow_id": call.trace,
                "call_id": call.span,
                "parent_ids": "|".join(calls[j].span for j in parents[i]),
                "_arrival_ns": start_ns,
                "application": root.agent or root.name or "agent",
                "role": call.role,
                "model": call.model,
                "prompt_tokens": prompt,
                "output_tokens": output,
                "max_output_tokens": call.limit,
                "tool_gap_s": gaps_ns[i] / 1e9,
                "tool_intent": int(bool(mine) or call.asks),
                "tool": mine[0].tool if mine else "",
                "tools_available": offered,
                "class": "interactive",
                "deadline_s": DEADLINE_S,
                "ttft_limit_s": TTFT_LIMIT_S,
                "ctx_group": f"{call.trace}/{call.extends}",
                "ctx_prefix_tokens": shared,
            }
        )
    return rows


def _latest_before(span: Span, calls: list[Span], earlier: list[int], clock_ns: int) -> tuple[list[int], int]:
    """Find the calls that come before a span and before no other such call, and all that come before it, as bits."""
    latest: list[int] = []
    found = 0
    for j in range(len(calls) - 1, -1, -1):
        # What comes before a call that comes before the span needs no look.
        if not found >> j & 1 and _before(calls[j], span, clock_ns):
            latest.append(j)
            found |= 1 << j | earlier[j]
    return latest[::-1], found


def _ended_ns(call: Span) -> int:
    return call.branch_start_ns if call.end_ns is None else call.end_ns


def _busy_ns(call: Span, tools: list[Span]) -> int:
    """Time from a call's end to the end of its last tool; a tool inside the call began after its answer."""
    inside = [tool for tool in tools if call in tool.above]
    ended_ns = min((tool.branch_start_ns for tool in inside), default=_ended_ns(call))
    # Within what the clock can tell a tool may end before the answer that asked for it.
    return max(0, *(tool.branch_end_ns - ended_ns for tool in tools)) if tools else 0


def _idle_ns(calls: list[Span], parents: list[list[int]]) -> list[int]:
    """Time from a call's end to the first call that waits for it, less what that one spent waiting for others."""
    gaps: list[int | None] = [None] * len(calls)
    for i, found in enumerate(parents):
        if not found:
            continue
        idle_ns = max(0, (calls[i].start_ns or 0) - max(_ended_ns(calls[j]) for j in found))
        for j in found:
            known = gaps[j]
            gaps[j] = idle_ns if known is None else min(known, idle_ns)
    return [gap or 0 for gap in gaps]
