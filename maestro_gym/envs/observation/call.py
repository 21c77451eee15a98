"""The columns of a stage as the caller of a tool with finite places (docs/tools.md)."""

from __future__ import annotations

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_count, of_flag, of_share, of_time
from maestro_gym.scheduling.tool_view import (
    num_tool_busy,
    num_tool_places,
    num_tool_queued,
    tool_of_stage,
)
from maestro_gym.scheduling.view import (
    future_s,
    now_s,
)
from maestro_gym.state import View

CALL = Block("call", __name__)
"""Its columns take the stage, and whether the action gives its call a place."""


@CALL.column("call_gives", "flag", "gives the stage's call a free place of its tool")
def _gives(view: View, e: int, stage: int, gives: bool) -> float:
    return of_flag(gives)


@CALL.column("call_wait", "time", "since its last token, where its call waits for a place")
def _wait(view: View, e: int, stage: int, gives: bool) -> float:
    return of_time(now_s(view, e) - float(view.stages[e, stage].finished_s)) if gives else 0.0


@CALL.column("call_busy", "share", "of the places of its tool that are taken, 0 of a tool without bounds")
def _busy(view: View, e: int, stage: int, gives: bool) -> float:
    tool = tool_of_stage(view, e, stage)
    if tool < 0:
        return 0.0
    return of_share(float(num_tool_busy(view, e, tool)), float(num_tool_places(view, tool)))


@CALL.column("call_queue", "count", "calls that wait for a place of its tool")
def _queue(view: View, e: int, stage: int, gives: bool) -> float:
    tool = tool_of_stage(view, e, stage)
    return of_count(float(num_tool_queued(view, e, tool))) if tool >= 0 else 0.0


@CALL.column("call_future", "time", "T_future of the workflow, median", predicted=True)
def _future(view: View, e: int, stage: int, gives: bool) -> float:
    return of_time(future_s(view, e, stage))


write_call = CALL.writer()
