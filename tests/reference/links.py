"""Links between clusters that fail and come back.

Conventions (docs/failures.md):

- A link has both directions. It is down while any of its outages lasts. Nothing new is sent over one that is down.
- A message that sets out at t and takes d is there at t + d, unless an outage meets it on its way: it then sets out at
  the end of that outage, and the same holds for it again. Prompts, answers and first tokens are such messages; KV of
  calls that are handed over stays within a cluster. It is told of a first token when it sets out for the last time, or
  when the answer is there: of one that was paused and went on in another cluster.
- When a link is back, the global tier is asked.
"""

from __future__ import annotations

import math

from tests.reference.inputs import Stage
from tests.reference.machine import TIE_S, State


def down_times(rows: list[tuple[float, int, int, int, int, int]]) -> dict[frozenset[int], list[tuple[float, float]]]:
    """From when to when each link is down, from the beginnings and ends of outages in order of time."""
    found: dict[frozenset[int], list[tuple[float, float]]] = {}
    for link in {frozenset(row[4:]) for row in rows if row[1] < 0}:
        outages, began_s = 0, 0.0
        for time_s, _, _, fails, *ends in rows:
            if frozenset(ends) == link:
                if outages == 0:
                    began_s = time_s
                outages += 1 if fails else -1
                if outages == 0:
                    found.setdefault(link, []).append((began_s, time_s))
        if outages:
            found.setdefault(link, []).append((began_s, math.inf))
    return found


def setting_out_s(state: State, one: int, other: int, travel_s: float) -> float:
    """When a message sets out for the last time that is to set out now."""
    at_s, met = state.now_s, True
    while met:
        met = False
        for begin_s, back_s in state.link_downs.get(frozenset((one, other)), []):
            if one != other and begin_s < at_s + travel_s - TIE_S and back_s > at_s + TIE_S:
                at_s, met = back_s, True
    return at_s


def post(state: State, stage: Stage, one: int, other: int, travel_s: float) -> None:
    """A prompt or an answer sets out."""
    at_s = setting_out_s(state, one, other, travel_s)
    state.count("resent", at_s > state.now_s)
    state.timed.append((at_s + travel_s, stage.id))


def send_first_token(state: State, stage: Stage, one: int, other: int, latency_s: float) -> None:
    """A first token sets out."""
    at_s = setting_out_s(state, one, other, latency_s)
    if at_s > state.now_s:
        state.count("late first tokens")
        state.late_tokens[stage.id] = at_s, at_s + latency_s
    else:
        stage.times["first_token"] = at_s + latency_s


def see_answer(state: State, stage: Stage) -> None:
    """An answer is there."""
    if stage.id in state.late_tokens:
        stage.times["first_token"] = min(state.late_tokens.pop(stage.id)[1], state.now_s)


def turn_link(state: State, link: frozenset[int], fails: int, until_s: float) -> None:
    """An outage begins or ends."""
    state.link_outages[link] = state.link_outages.get(link, 0) + (1 if fails else -1)
    if not state.link_outages[link]:
        state.global_due = True
        for number, (at_s, seen_s) in list(state.late_tokens.items()):
            if at_s <= until_s:
                state.stages[number].times["first_token"] = seen_s
                del state.late_tokens[number]


def is_down(state: State, one: int, other: int) -> bool:
    """Whether nothing passes between two clusters."""
    return state.link_outages.get(frozenset((one, other)), 0) > 0
