"""The columns of a stage and a node that may serve it."""

from __future__ import annotations

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.node import pool_bytes
from maestro_gym.envs.observation.scales import of_flag, of_latency, of_share, of_time
from maestro_gym.scheduling.estimates import prefix_hit_tokens, reclaim_harm_s
from maestro_gym.scheduling.sizes import admit_bytes
from maestro_gym.state import RESERVE_ADAPTIVE, View

PAIR = Block("pair", __name__)


@PAIR.column("pair_latency", "latency", "one way, from the workflow's ingress")
def _latency(view: View, e: int, node: int, stage: int) -> float:
    ingress = int(view.workflows[e, int(view.stages[e, stage].workflow)].ingress_cluster)
    return of_latency(float(view.world.latency_s[ingress, int(view.world.nodes[node].cluster)]))


@PAIR.column("pair_prefix_hit", "share", "of the prompt that the node holds in its prefix cache")
def _prefix_hit(view: View, e: int, node: int, stage: int) -> float:
    return of_share(float(prefix_hit_tokens(view, e, node, stage)), float(view.stages[e, stage].prompt_tokens))


@PAIR.column("pair_last_node", "flag", "the workflow's last finished stage ran there")
def _last_node(view: View, e: int, node: int, stage: int) -> float:
    return of_flag(int(view.workflows[e, int(view.stages[e, stage].workflow)].last_node) == node)


@PAIR.column("pair_reservation", "share", "of usable HBM that an adaptive reservation takes", predicted=True)
def _reservation(view: View, e: int, node: int, stage: int) -> float:
    return of_share(admit_bytes(view, e, node, stage, RESERVE_ADAPTIVE), pool_bytes(view, node))


@PAIR.column("pair_harm", "time", "C_deg: estimated delay to others of making room", predicted=True)
def _harm(view: View, e: int, node: int, stage: int) -> float:
    return of_time(reclaim_harm_s(view, e, node, stage))


write_pair = PAIR.writer()
