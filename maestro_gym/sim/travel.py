"""The network: how long a prompt is on its way to a cluster, and KV from node to node (docs/physics.md, "Network")."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_times import carried_bytes, carry_s
from maestro_gym.state import State, View

BYTES_PER_TOKEN = 4.0
"""Size of one prompt token on the network: its text, about four characters."""


@njit
def prompt_travel_s(view: View, e: int, stage: int) -> float:
    """Seconds that the prompt of a stage takes to the cluster to which it was sent."""
    record = view.stages[e, stage]
    ingress = view.workflows[e, record.workflow].ingress_cluster
    travel_s = view.world.latency_s[ingress, record.cluster] + view.world.params[0].api_s
    return travel_s + BYTES_PER_TOKEN * record.prompt_tokens / view.world.bytes_per_s[ingress, record.cluster]


@njit
def carry(state: State, e: int, stage: int, target: int) -> float:
    """Send the KV of a stage from the node that prefilled it to another; seconds until it is there."""
    counters, seconds = state.core.counters[e], carry_s(state.visible, e, stage, target)
    counters.transfers += 1
    counters.transfer_bytes += carried_bytes(state.visible, e, stage)
    counters.transfer_s += seconds
    return seconds
