"""All GPUs of a board for long prompts, as few as possible for short ones: a threshold on the mean prompt of late.

    degree = largest    where the mean prompt of the calls of the last window is at least long_prompt
           = smallest   where it is shorter;  as it is where there were no calls

A prompt is computed sooner by many GPUs, which pass on what they computed after every layer: short calls lose more by
that than they gain.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.degrees import degree_of, is_recent, largest_degree, smallest_degree
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import regroup_by
from maestro_gym.scheduling.view import number
from maestro_gym.state import View

NUMBERS = (
    Number("window", "s", 10, 600, 30, "Time over which calls are counted."),
    Number("long_prompt", "tokens", 256, 32768, 4096, "Mean prompt from which a board has all its GPUs in one node."),
)
WINDOW, LONG_PROMPT = places(NUMBERS)


@njit
def degree(view: View, e: int, node: int) -> int:
    """The largest or the smallest."""
    tokens, calls = 0.0, 0
    for stage in range(view.stages.shape[1]):
        if is_recent(view, e, stage, number(view, e, WINDOW)):
            tokens += float(view.stages[e, stage].prompt_tokens)
            calls += 1
    if calls == 0:
        return degree_of(view, node)
    is_long = tokens >= number(view, e, LONG_PROMPT) * calls
    return largest_degree(view, node) if is_long else smallest_degree(view, node)


RULE = regroup_by(
    degree,
    numbers=NUMBERS,
    name="long-prompts",
    information="N",
    description="all GPUs in one node for long prompts, as few as possible for short ones",
    source="this project; the choice that Shift Parallelism (arXiv 2509.16495) makes by the size of a batch",
    choice="a mean over half a minute; 4,096 tokens are long",
)
