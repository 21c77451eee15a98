"""Names and meanings of the features, block by block: the columns of every observation.

The writers (``stage_features``, ``node_features``, ``fleet_features``) fill the blocks in this order.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One feature.

    Attributes:
        name: unique within an observation's rows, or within its context.
        scale: how the quantity was scaled (see ``scales``).
        meaning: what it is.
        low: least value; the greatest is 1.
        predicted: rests on a prediction, so it is 0 for agents of information class N.
    """

    name: str
    scale: str
    meaning: str
    low: float = 0.0
    predicted: bool = False


LEGAL = (Column("legal", "flag", "the action exists and is legal; the row is all zero otherwise"),)

KIND = (
    Column("is_wait", "flag", "the action waits"),
    Column("is_send", "flag", "sends a stage to a cluster"),
    Column("is_route", "flag", "sends the stage to a node"),
    Column("is_admit", "flag", "admits a queued stage"),
    Column("is_promote", "flag", "makes a model RUNNING"),
    Column("is_demote", "flag", "moves a model one residency tier down"),
)

STAGE = (
    Column("stage_interactive", "flag", "of an interactive workflow"),
    Column("stage_prompt", "tokens", "prompt length"),
    Column("stage_max_output", "tokens", "the client's output limit"),
    Column("stage_wait", "time", "since the stage became ready"),
    Column("stage_slack", "signed time", "left to the workflow's deadline", low=-1.0),
    Column("stage_ttft_slack", "signed time", "left to the TTFT limit", low=-1.0),
    Column("stage_weight", "w / (1 + w)", "the workflow's weight in the reward"),
    Column("stage_invocation", "count", "earlier calls of the role in the workflow"),
    Column("stage_depth", "count", "longest path from a root of the workflow"),
    Column("stage_done", "count", "stages of the workflow that have finished"),
    Column("stage_attained", "time", "service the workflow has received"),
    Column("stage_tools", "flag", "tools are available to it"),
    Column("stage_system_share", "share", "of the prompt that is the role's system prompt"),
    Column("stage_context_share", "share", "of the prompt that continues the workflow's context"),
    Column("stage_popularity", "share", "of stages that ask for its model"),
    Column("stage_pauses", "count", "times it was paused and must recompute"),
    Column("stage_protected", "flag", "Maestro's cooldown keeps it from being passed over"),
    Column("stage_output_q50", "tokens", "predicted output, median", predicted=True),
    Column("stage_output_q90", "tokens", "predicted output, 90th percentile", predicted=True),
    Column("stage_service", "time", "nominal service time T_current", predicted=True),
    Column("stage_remaining_q50", "time", "T_rem of the workflow, median", predicted=True),
    Column("stage_remaining_q90", "time", "T_rem of the workflow, 90th percentile", predicted=True),
    Column("stage_remaining_calls", "count", "stages that will follow", predicted=True),
    Column("stage_tool_probability", "share", "probability that it calls a tool", predicted=True),
    Column("stage_maestro_key", "signed time", "Maestro's key: T_rem - wait", low=-1.0, predicted=True),
)

NODE = (
    Column("node_queue", "count", "stages in its queue"),
    Column("node_inbound", "count", "stages on the way to it"),
    Column("node_running", "count", "admitted stages"),
    Column("node_room", "share", "of its queue places that are free"),
    Column("node_kv_free", "share", "of usable HBM: KV that can still be reserved"),
    Column("node_kv_reserved", "share", "of usable HBM: reserved KV"),
    Column("node_kv_used", "share", "of usable HBM: mapped KV blocks"),
    Column("node_kv_cached", "share", "of usable HBM: unreferenced prefix blocks"),
    Column("node_kv_virtual", "share", "of the overcommit cap: granted address space"),
    Column("node_weights", "share", "of usable HBM: weights, margins and residue of sleepers"),
    Column("node_rho", "rho", "margin of adaptive reservations"),
    Column("node_awake", "share", "of its engine slots that are RUNNING"),
    Column("node_loading", "share", "of its engine slots that are loading"),
    Column("node_asleep", "share", "of its engine slots that are SLEEPING"),
    Column("node_queue_wait", "time", "to drain what it has", predicted=True),
)

# A model on a node; the state is one-hot, the last three are its weights' place outside the GPUs.
MODEL = (
    Column("model_awake", "flag", "RUNNING"),
    Column("model_loading", "flag", "loading"),
    Column("model_asleep", "flag", "SLEEPING"),
    Column("model_cpu", "flag", "weights in the host's DRAM, no engine"),
    Column("model_disk", "flag", "weights on NVMe"),
    Column("model_remote", "flag", "weights not on the host"),
    Column("model_ready", "time", "T_ready: until it can serve there"),
    Column("model_batch", "share", "of max_num_seqs that its engine runs"),
    Column("model_queued", "count", "stages sent to the node that wait for it"),
    Column("model_weights", "share", "of usable HBM that its weights take"),
)

# A stage and a node together.
PAIR = (
    Column("pair_latency", "latency", "one way, from the workflow's ingress"),
    Column("pair_prefix_hit", "share", "of the prompt that the node holds in its prefix cache"),
    Column("pair_last_node", "flag", "the workflow's last finished stage ran there"),
    Column("pair_reservation", "share", "of usable HBM that an adaptive reservation takes", predicted=True),
    Column("pair_harm", "time", "C_deg: estimated delay to others of making room", predicted=True),
)

# A cluster, for a stage that may go there; the MODEL and PAIR blocks beside it are of its best node.
CLUSTER = (
    Column("cluster_queue", "count", "waiting and inbound stages a node"),
    Column("cluster_running", "count", "admitted stages a node"),
    Column("cluster_open", "share", "of its nodes that may take the stage"),
    Column("cluster_warm", "share", "of its nodes on which the model is RUNNING"),
    Column("cluster_kv_free", "share", "mean KV of its nodes that can still be reserved"),
    Column("cluster_start", "time", "least T_ready + queue wait of its nodes", predicted=True),
)

# What an admission, promotion or demotion does to the node's memory.
ACTION = (
    Column("action_adaptive", "flag", "reserves (L_in + L_hat)(1 + rho)"),
    Column("action_q90", "flag", "reserves prompt and predicted 90th percentile"),
    Column("action_max", "flag", "reserves prompt and output limit"),
    Column("action_prompt", "flag", "reserves the prompt and one token"),
    Column("action_bytes", "share", "of usable HBM that it takes"),
    Column("action_reclaims", "flag", "others must give way for it"),
    Column("action_idle", "time", "since the model was last used"),
    Column("action_oldest", "time", "longest wait in the queue for the model"),
)

FLEET = (
    Column("fleet_ready", "count", "stages in the global queue"),
    Column("fleet_oldest", "time", "longest wait in the global queue"),
    Column("fleet_workflows", "count", "workflows in the system"),
    Column("fleet_queued", "count", "stages in node queues"),
    Column("fleet_inbound", "count", "stages on the way to nodes"),
    Column("fleet_running", "count", "admitted stages"),
    Column("fleet_open", "share", "of nodes whose queue has a free place"),
    Column("fleet_kv_free", "share", "mean over nodes of node_kv_free"),
    Column("fleet_kv_reserved", "share", "mean over nodes of node_kv_reserved"),
    Column("fleet_weights", "share", "mean over nodes of node_weights"),
    Column("fleet_awake", "count", "RUNNING models a node"),
    Column("fleet_loading", "count", "loading models a node"),
    Column("fleet_wait_legal", "flag", "the decision may be to wait"),
    Column("fleet_queue_wait", "time", "mean over nodes of the time to drain", predicted=True),
)

TIER = (
    Column("tier_global", "flag", "the pending decision is global"),
    Column("tier_cluster", "flag", "the pending decision is a cluster's"),
    Column("tier_node", "flag", "the pending decision is a node's"),
)

BLOCKS: dict[str, tuple[Column, ...]] = {
    "legal": LEGAL,
    "kind": KIND,
    "stage": STAGE,
    "node": NODE,
    "model": MODEL,
    "pair": PAIR,
    "cluster": CLUSTER,
    "action": ACTION,
    "fleet": FLEET,
    "tier": TIER,
}
"""All blocks by name."""
