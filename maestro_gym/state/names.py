"""Enumerations, as plain integers that compiled code reads as constants, and their names."""

from __future__ import annotations

INTERACTIVE, BATCH = 0, 1
CLASS_NAMES = ("interactive", "batch")

# Where a stage is in its life.
(
    STAGE_FUTURE,  # not ready, and invisible
    STAGE_READY,  # in the global queue
    STAGE_TRANSIT,  # on its way to a node
    STAGE_QUEUED,  # waits at its node
    STAGE_RUNNING,  # admitted
    STAGE_DELIVERY,  # its answer is on its way back
    STAGE_GAP,  # delivered; its tool runs
    STAGE_FINISHED,
    STAGE_REJECTED,  # its workflow was turned away before a stage of it was sent
    STAGE_TOOL,  # delivered; it waits for a place of its tool
    STAGE_HANDOFF,  # prefilled by a node that does no more; it waits for one that decodes
) = range(11)
STAGE_PHASE_NAMES = (
    "future",
    "ready",
    "transit",
    "queued",
    "running",
    "delivery",
    "gap",
    "finished",
    "rejected",
    "tool",
    "handoff",
)

# Where the weights of a model are, worst to best.
REMOTE, DISK, CPU, SLEEPING, RUNNING = range(5)
RESIDENCY_NAMES = ("remote", "disk", "cpu", "sleeping", "running")

# What an admission sets aside for the output of a stage.
RESERVE_ADAPTIVE, RESERVE_Q90, RESERVE_MAX, RESERVE_PROMPT = range(4)
RESERVE_NAMES = ("adaptive", "q90", "max_output", "prompt")
NUM_RESERVE_LEVELS = 4

# Whether a node serves. A draining one finishes what it has; of one that is off or failed nothing is left.
NODE_READY, NODE_OFF, NODE_STARTING, NODE_DRAINING, NODE_FAILED = range(5)
NODE_STATE_NAMES = ("ready", "off", "starting", "draining", "failed")
NUM_NODE_STATES = 5

# Which part of a call a node computes: all of it, or what comes up to, or after, the first token.
DUTY_BOTH, DUTY_PREFILL, DUTY_DECODE = range(3)
DUTY_NAMES = ("both", "prefill", "decode")

# State of one engine slot of a node. A slot holds one model that is RUNNING, loading or SLEEPING.
ENGINE_FREE, ENGINE_LOADING, ENGINE_AWAKE, ENGINE_ASLEEP = range(4)

# Atomic reclaim actions, offered to the reclaim rule with an estimate of their harm.
RECLAIM_TRIM, RECLAIM_SLEEP, RECLAIM_DEMOTE, RECLAIM_PAUSE = range(4)
RECLAIM_NAMES = ("trim", "sleep", "demote", "pause")

# Kinds of signals by which a router knows the nodes, each as old as its own scrapes.
SIGNAL_QUEUES, SIGNAL_RUNNING, SIGNAL_RESIDENCY = range(3)
NUM_SIGNALS = 3

# What an engine's batch does in its present step.
PHASE_IDLE, PHASE_DECODE, PHASE_PREFILL = range(3)

# Parts of a load, in order; the first for making room, three transfers, one of fixed length.
LOAD_NONE, LOAD_ROOM, LOAD_NIC, LOAD_NVME, LOAD_START, LOAD_PCIE = range(6)

# Why an episode is over.
DONE_NO, DONE_DRAINED, DONE_TIME, DONE_BUDGET = range(4)
DONE_NAMES = ("running", "drained", "time limit", "event budget")

BLOCK_TOKENS = 16
"""Tokens of one KV block (vLLM's default on GPUs)."""
