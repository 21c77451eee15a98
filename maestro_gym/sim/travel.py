"""The network: how long a prompt is on its way to a cluster, and KV from node to node (docs/physics.md, "Network")."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.sizes import kv_bytes
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
    """Send the KV of a stage from the node that prefilled it to another; seconds until it is there.

    It has the link between their clusters to itself: bytes of all GPUs over its bandwidth, and its latency.
    """
    world, counters = state.visible.world, state.core.counters[e]
    record = state.visible.stages[e, stage]
    source = world.nodes[record.node]
    one_gpu_bytes = record.kv_tokens * kv_bytes(state.visible, int(record.node), int(record.model))
    moved_bytes = one_gpu_bytes * source.gpus
    there = world.nodes[target].cluster
    seconds = world.latency_s[source.cluster, there] + moved_bytes / world.bytes_per_s[source.cluster, there]
    counters.transfers += 1
    counters.transfer_bytes += moved_bytes
    counters.transfer_s += seconds
    return seconds
