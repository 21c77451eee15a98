"""How loaded a node is, in four measures, and how fresh each of them is.

| signal | counts | fresh | class |
| --- | --- | --- | --- |
| `stages_at` | stages waiting, on the way and running | always: the controller's own accounts | N |
| `kv_used_share` | mapped KV | as old as the last scrape (``limits.metrics_delay_s``) | N |
| `queue_wait_s` | predicted work that is not admitted yet | always, but an estimate | P |
| `work_wait_s` | predicted work, admitted or not | always, but an estimate | P |

The published rivals each name one of them; a new rule that has no reason for another takes `stages_at`.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import num_inbound, num_queued, num_running
from maestro_gym.state import View

NOMINAL_BATCH = 16.0
"""Sequences that a node serves at once at the nominal speeds of ``World.service``."""


@njit
def stages_at(view: View, e: int, node: int) -> int:
    """Stages that a node has to serve: waiting, on the way, admitted."""
    return num_queued(view, e, node) + num_inbound(view, e, node) + num_running(view, e, node)


@njit
def kv_used_share(view: View, e: int, node: int) -> float:
    """Share of the KV pool that is mapped and referenced; cached blocks count as free, as in vLLM's gauge."""
    record = view.nodes[e, node]
    pool = float(record.kv_pool_bytes)
    if pool <= 0.0:
        return 1.0
    return max(0.0, float(record.kv_used_bytes) - float(record.kv_cached_bytes)) / pool


@njit
def queue_wait_s(view: View, e: int, node: int) -> float:
    """Seconds to serve what was sent to a node and is not admitted yet, at the nominal batch (a fluid estimate)."""
    return view.nodes[e, node].queued_work_s / NOMINAL_BATCH


@njit
def work_wait_s(view: View, e: int, node: int) -> float:
    """Seconds to serve all work that was sent to a node and is not done, at the nominal batch.

    Admitted work counts like waiting work: a newcomer waits behind the one and shares the GPU with
    the other, and so do those whom it slows.
    """
    record = view.nodes[e, node]
    return (float(record.queued_work_s) + float(record.running_work_s)) / NOMINAL_BATCH
