"""How loaded a node is, in four measures, and how fresh each of them is.

| signal | counts | fresh | class |
| --- | --- | --- | --- |
| `stages_at` | stages waiting, on the way and running | the controller's own accounts | N |
| `kv_used_share` | mapped KV | as old as the last scrape (``limits.metrics_delay_s``) | N |
| `queue_wait_s` | predicted work that is not admitted yet | an estimate from its accounts | P |
| `work_wait_s` | predicted work, admitted or not | an estimate from its accounts | P |

The published rivals each name one of them; a new rule that has no reason for another takes `stages_at`. Where
``limits.signals`` ages a kind of signals, a router knows all of these by its last scrape (docs/stale_signals.md).
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import is_scraped, num_inbound, num_queued, num_running, router_asked
from maestro_gym.state import SIGNAL_QUEUES, SIGNAL_RUNNING, View

NOMINAL_BATCH = 16.0
"""Sequences that a node serves at once at the nominal speeds of ``World.service``."""


@njit
def queued_at(view: View, e: int, node: int) -> int:
    """Stages in a node's queue, as far as the decision knows."""
    if is_scraped(view, e, SIGNAL_QUEUES):
        return int(view.scraped[e, router_asked(view, e), node].queue_len)
    return num_queued(view, e, node)


@njit
def inbound_at(view: View, e: int, node: int) -> int:
    """Stages on their way to a node, as far as the decision knows."""
    if is_scraped(view, e, SIGNAL_QUEUES):
        return int(view.scraped[e, router_asked(view, e), node].inbound)
    return num_inbound(view, e, node)


@njit
def running_at(view: View, e: int, node: int) -> int:
    """Admitted stages of a node, as far as the decision knows."""
    if is_scraped(view, e, SIGNAL_RUNNING):
        return int(view.scraped[e, router_asked(view, e), node].running)
    return num_running(view, e, node)


@njit
def stages_at(view: View, e: int, node: int) -> int:
    """Stages that a node has to serve: waiting, on the way, admitted."""
    return queued_at(view, e, node) + inbound_at(view, e, node) + running_at(view, e, node)


@njit
def kv_used_at_bytes(view: View, e: int, node: int) -> float:
    """Mapped KV blocks of a node, cached ones included, as far as the decision knows."""
    if is_scraped(view, e, SIGNAL_RUNNING):
        return float(view.scraped[e, router_asked(view, e), node].kv_used_bytes)
    return float(view.nodes[e, node].kv_used_bytes)


@njit
def kv_cached_at_bytes(view: View, e: int, node: int) -> float:
    """Cached KV blocks of a node that no stage reads, as far as the decision knows."""
    if is_scraped(view, e, SIGNAL_RUNNING):
        return float(view.scraped[e, router_asked(view, e), node].kv_cached_bytes)
    return float(view.nodes[e, node].kv_cached_bytes)


@njit
def kv_used_share(view: View, e: int, node: int) -> float:
    """Share of the KV pool that is mapped and referenced; cached blocks count as free, as in vLLM's gauge."""
    pool = float(view.nodes[e, node].kv_pool_bytes)
    if pool <= 0.0:
        return 1.0
    return max(0.0, kv_used_at_bytes(view, e, node) - kv_cached_at_bytes(view, e, node)) / pool


@njit
def queued_work_at_s(view: View, e: int, node: int) -> float:
    """Predicted service time of what was sent to a node and is not admitted, as far as the decision knows [s]."""
    if is_scraped(view, e, SIGNAL_QUEUES):
        return float(view.scraped[e, router_asked(view, e), node].queued_work_s)
    return float(view.nodes[e, node].queued_work_s)


@njit
def running_work_at_s(view: View, e: int, node: int) -> float:
    """Predicted service time left of what is admitted on a node, as far as the decision knows [s]."""
    if is_scraped(view, e, SIGNAL_RUNNING):
        return float(view.scraped[e, router_asked(view, e), node].running_work_s)
    return float(view.nodes[e, node].running_work_s)


@njit
def queue_wait_s(view: View, e: int, node: int) -> float:
    """Seconds to serve what was sent to a node and is not admitted yet, at the nominal batch (a fluid estimate)."""
    return queued_work_at_s(view, e, node) / NOMINAL_BATCH


@njit
def work_wait_s(view: View, e: int, node: int) -> float:
    """Seconds to serve all work that was sent to a node and is not done, at the nominal batch.

    Admitted work counts like waiting work: a newcomer waits behind the one and shares the GPU with
    the other, and so do those whom it slows.
    """
    return (queued_work_at_s(view, e, node) + running_work_at_s(view, e, node)) / NOMINAL_BATCH
