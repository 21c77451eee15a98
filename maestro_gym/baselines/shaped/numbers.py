"""The numbers of the shaped family, each with unit, range, default and one sentence.

Rules read them from ``view.numbers`` at run time, so that another candidate needs no compilation. With the defaults
every decision is Maestro's; a number that is 0 by default adds or binds nothing.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding import holds
from maestro_gym.scheduling.numbers import Family, Number

_URGENCY = (
    Number("pessimism", "1", -1, 1, 0, "T_rem moves from its median by this share of the way to its 90th percentile."),
    Number("stretch", "1", 0.5, 4, 1, "Factor on T_rem in the slack: how much slower calls run than alone."),
    Number("relegation_margin", "s", -60, 60, 0, "Slack below which a workflow counts as that.", -8),
    Number("pressing_class", "flag", 0, 1, 1, "Above 0.5 an interactive call that can be in time is pressing."),
    Number("pressing_slack", "s", -60, 240, 0, "Slack below which a call that can be in time is pressing.", 70),
)

_NETWORK = (
    *(
        Number(f"net_{unit}_{name}", "1", -3, 3, 0, f"Weight of {words} in hidden unit {unit} of the network.")
        for unit in "ab"
        for name, words in (
            ("bias", "1"),
            ("backlog", "the logarithm of 1 + calls a node in the global queue"),
            ("demand", "the logarithm of 1 + calls of the model in it for each node that has the model"),
            ("fill", "the calls at the node over 64"),
        )
    ),
    *(
        Number(f"net_{unit}_{name}", unit_of, -span, span, 0, f"What hidden unit {unit} adds to {words}.")
        for name, unit_of, span, words in (
            ("stages", "stages/node", 40, "`stages_cap`"),
            ("reserve", "stages/node", 40, "`reserve`"),
            ("engines", "engines/node", 3, "`engines_cap`"),
        )
        for unit in "ab"
    ),
)

_HOLDS = (
    Number("stages_cap", "stages/node", 8, 256, 0, "A call waits globally for a node with fewer stages; 0: none.", 76),
    Number(
        "stages_cap_per_ready", "stages", -1, 1, 0, "Added to that cap for each call a node in the global queue.", -0.3
    ),
    Number("reserve", "stages/node", 0, 48, 0, "Places under that cap that pressing calls keep to themselves.", 28),
    Number("engines_cap", "engines/node", 0.5, 8, 0, "Other active engines at which a node is closed to a model.", 1.7),
    Number("engines_cap_per_ready", "engines", -0.05, 0.05, 0, "Added to that cap for each call a node that waits."),
    Number("keep", "calls/node", 0.5, 40, 0, "An idle engine stays while more calls than this want its model.", 0.6),
    Number("stay", "s", 0, 60, 0, "An engine stays for this long after it became ready."),
    Number("replicate", "nodes/call", 0, 0.1, 0, "Nodes that each waiting call asks for its model."),
    Number("patience", "s", -1.5, 20, 0, "Added to the 2 s that a call waits before it may disturb others.", -1),
)

_KEY = (
    Number("class_bands", "flag", 0, 1, 1, "Above 0.5 every interactive call goes before every batch call.", 0),
    Number("remaining", "s/s", -2, 4, 1, "Key for each second of T_rem.", 1.15),
    Number("log_remaining", "s", -30, 60, 0, "Key for the natural logarithm of T_rem in seconds.", 4),
    Number("wait", "s/s", -4, 1, -1, "Key for each second since readiness.", -0.3),
    Number("age", "s/s", -2, 2, 0, "Key for each second since the workflow arrived.", 1.2),
    Number("interactive", "s", -120, 30, 0, "Key of an interactive call.", -110),
    Number("ttft_slack", "s/s", -8, 8, 0, "Key for each second left to the TTFT limit of an interactive call.", 2),
    Number("protected", "s", -60, 10, 0, "Key of a call that the cooldown after a preemption protects.", -5),
    Number("slack", "s/s", -2, 4, 0, "Key for each second by which the deadline can still be met.", 1.5),
    Number("lateness", "s/s", -2, 2, 0, "Key for each second by which the deadline will be missed."),
    Number("late", "s", -120, 240, 0, "Key of a workflow whose deadline is over.", -24),
    Number("relegation", "s", 0, 2000, 0, "Key of a workflow that can no longer be in time.", 900),
    Number("stages_done", "s/stage", -20, 20, 0, "Key for each stage that the workflow has finished.", -4),
    Number("service", "s/s", -4, 4, 0, "Key for each second of the call's own nominal service.", 1),
    Number("remaining_calls", "s/call", -10, 10, 0, "Key for each call that is predicted to follow.", 4),
)

_PLACEMENT = (
    Number("fitness", "1", 0, 4, 1, "Weight of Maestro's normalised fitness, which lies between -2 and 1."),
    Number("work_wait", "1/s", -0.2, 0.6, 0, "Cost for each second of work at the node."),
    Number("ready", "1/s", 0, 0.5, 0, "Cost for each second until the model is ready there.", 0.08),
    Number("harm", "1/s", -0.2, 0.6, 0, "Cost for each second of estimated harm to others."),
    Number("prefix", "1/s", -4, 0, 0, "Cost for each second of prefill that a cached prefix saves.", -1),
    Number("latency", "1/s", 0, 60, 0, "Cost for each second of one-way network latency."),
    Number("stages", "1/stage", -0.05, 0.3, 0, "Cost for each stage at the node.", 0.11),
    Number("kv_share", "1", -3, 3, 0, "Cost of a full KV pool.", 0.25),
    Number("cold", "1", -3, 3, 0, "Cost of a node where the model is neither RUNNING nor loading.", -0.5),
    Number("others", "1/engine", -2, 3, 0, "Cost for each active engine of another model.", 0.75),
    Number("others_if_new", "1/engine", -3, 3, 0, "Cost for each of them where the model is not served.", 0.8),
    Number("own_batch", "1/stage", -0.2, 0.2, 0, "Cost for each stage of the model that runs there.", -0.08),
    Number("alone", "1", -3, 3, 0, "Cost of a node that serves this model and no other.", -0.25),
)

_NODE = (
    Number("reservation", "level", 0, 3, 0, "What an admission sets aside: 0 adaptive, 1 q90, 2 limit, 3 prompt."),
    Number("harm_per_byte", "1", 0, 4, 1, "Weight of the harm for each byte in the choice of who gives way.", 0.8),
    Number("idle_per_byte", "1", -2, 2, 0, "Weight of minus the idle time for each byte in that choice.", 0.3),
)

_ADMISSION = (
    Number("reject_lateness", "s", 0, 240, 0, "A workflow that will be later than this is turned away; 0: none.", 30),
)

_ELASTIC = (
    Number(
        "degree_gain", "1", 0, 2, 0, "Share of the response time that another degree of a board must save; 0: none."
    ),
)

_TOOLS = (
    Number("tool_future", "s/s", 0, 4, 0, "Key at a tool for each second of T_future; 0: the order of asking."),
    Number(
        "offload_context", "tokens", 0, 50_000, 0, "From here on a context is offloaded while its tool runs; 0: none."
    ),
    Number("hold_context", "s", 0, 600, 0, "Another context is held for so long meanwhile; 0: it stays in the cache."),
)

_SCALING = (
    Number(
        "scale_headroom", "1", 0, 4, 0, "Nodes that are on, over those that arriving work keeps busy; 0: as they are."
    ),
)

_TENANTS = (
    Number("tenant_excess", "s", 0, 2000, 0, "Key for the share of all service that a tenant had beyond its weight's."),
)

_LEFT_OPEN = (*_ADMISSION, *_ELASTIC, *_TOOLS, *_SCALING, *_TENANTS)
"""For switches of a scenario beyond the paper: where they are off these bind nothing."""

NUMBERS: tuple[Number, ...] = (*_URGENCY, *_NETWORK, *_HOLDS, *_KEY, *_PLACEMENT, *_NODE, *_LEFT_OPEN)
"""All numbers, in their order in ``view.numbers``."""

# Places, for compiled code.
(
    CLASS_BANDS,
    REMAINING,
    LOG_REMAINING,
    WAIT,
    AGE,
    INTERACTIVE_BONUS,
    TTFT_SLACK,
    PROTECTED,
    SLACK,
    LATENESS,
    LATE,
    RELEGATION,
    STAGES_DONE,
    SERVICE,
    REMAINING_CALLS,
) = range(holds.NUM_HOLDS, holds.NUM_HOLDS + len(_KEY))
_FIRST_PLACEMENT = holds.NUM_HOLDS + len(_KEY)
(
    FITNESS,
    WORK_WAIT,
    READY,
    HARM,
    PREFIX,
    LATENCY,
    STAGES,
    KV_SHARE,
    COLD,
    OTHERS,
    OTHERS_IF_NEW,
    OWN_BATCH,
    ALONE,
) = range(_FIRST_PLACEMENT, _FIRST_PLACEMENT + len(_PLACEMENT))
_FIRST_NODE = _FIRST_PLACEMENT + len(_PLACEMENT)
_FIRST_ADMISSION = _FIRST_NODE + len(_NODE)
RESERVATION, HARM_PER_BYTE, IDLE_PER_BYTE = range(_FIRST_NODE, _FIRST_ADMISSION)
(
    REJECT_LATENESS,
    DEGREE_GAIN,
    TOOL_FUTURE,
    OFFLOAD_CONTEXT,
    HOLD_CONTEXT,
    SCALE_HEADROOM,
    TENANT_EXCESS,
) = range(_FIRST_ADMISSION, len(NUMBERS))

PARTS = {
    "late binding": range(len(_URGENCY) + len(_NETWORK), holds.NUM_HOLDS),
    "urgency": range(len(_URGENCY)),
    "network": range(len(_URGENCY), len(_URGENCY) + len(_NETWORK)),
    "order": range(holds.NUM_HOLDS, _FIRST_PLACEMENT),
    "placement": range(_FIRST_PLACEMENT, _FIRST_NODE),
    "node and reclaim": range(_FIRST_NODE, _FIRST_ADMISSION),
    "admission": range(REJECT_LATENESS, DEGREE_GAIN),
    "elastic parallelism": range(DEGREE_GAIN, TOOL_FUTURE),
    "tools and contexts": range(TOOL_FUTURE, SCALE_HEADROOM),
    "autoscaling": range(SCALE_HEADROOM, TENANT_EXCESS),
    "tenants": range(TENANT_EXCESS, len(NUMBERS)),
}
"""Places of the numbers by what they are about."""


FAMILY = Family("shaped", NUMBERS, first=0, parts=PARTS)
"""The family, whose first numbers are the levers on late binding."""


def defaults() -> tuple[float, ...]:
    """Maestro, as numbers."""
    return FAMILY.defaults()
