"""The environment ``Maestro/Cluster-v0``; its class docstring is its page in the docs."""

from __future__ import annotations

from typing import ClassVar

from maestro_gym.envs.single import MaestroEnv


class ClusterEnv(MaestroEnv):
    """Choice of a node for every stage sent to a cluster.

    ## Description

    An agent is the router of every cluster: a stage has been sent to the cluster, and it says to which node it goes.
    What makes a good node is a short queue, a model that is RUNNING there or soon will be, a cached prefix, and memory
    that nobody else needs. The global and node tiers follow `companions`. Several decisions may fall due at one
    instant, so a step may take no simulated time.

    ## Action Space

    `Discrete(N)` with N nodes in the largest cluster: action i sends the stage to the i-th node of its cluster. Legal
    are nodes with a free place in their queue that could hold the stage alone. There is no waiting: that some node
    has room was checked before the stage was sent.

    Illegal actions: see `illegal`. Masks: `action_masks()`, `info["action_mask"]`, `ActionMaskObservation`.

    ## Observation Space

    `Dict` of two bounded float32 `Box`es; the greatest value is 1. Row a of `candidates` describes action a and is all
    zero when it is illegal. (P) marks what rests on a prediction: 0 with `information="N"`. Scales: flag 0 or 1; share
    of a whole; count log1p(x) / log1p(1e4); tokens log1p(x / 16) / log1p(1e4); time log1p(x / 0.1 s) / log1p(1e5), with
    its sign where it is signed; latency log1p(x / 1 ms) / log1p(1e5).

    `candidates`: float32, shape (A, 31)

    | # | name | scale | min | meaning |
    | --- | --- | --- | --- | --- |
    | 0 | `legal` | flag | 0 | the action exists and is legal; the row is all zero otherwise |
    | 1 | `node_queue` | count | 0 | stages in its queue |
    | 2 | `node_inbound` | count | 0 | stages on the way to it |
    | 3 | `node_running` | count | 0 | admitted stages |
    | 4 | `node_room` | share | 0 | of its queue places that are free |
    | 5 | `node_kv_free` | share | 0 | of usable HBM: KV that can still be reserved |
    | 6 | `node_kv_reserved` | share | 0 | of usable HBM: reserved KV |
    | 7 | `node_kv_used` | share | 0 | of usable HBM: mapped KV blocks |
    | 8 | `node_kv_cached` | share | 0 | of usable HBM: unreferenced prefix blocks |
    | 9 | `node_kv_virtual` | share | 0 | of the overcommit cap: granted address space |
    | 10 | `node_weights` | share | 0 | of usable HBM: weights, margins and residue of sleepers |
    | 11 | `node_rho` | rho | 0 | margin of adaptive reservations |
    | 12 | `node_awake` | share | 0 | of its engine slots that are RUNNING |
    | 13 | `node_loading` | share | 0 | of its engine slots that are loading |
    | 14 | `node_asleep` | share | 0 | of its engine slots that are SLEEPING |
    | 15 | `node_queue_wait` | time | 0 | to drain what it has (P) |
    | 16 | `model_awake` | flag | 0 | RUNNING |
    | 17 | `model_loading` | flag | 0 | loading |
    | 18 | `model_asleep` | flag | 0 | SLEEPING |
    | 19 | `model_cpu` | flag | 0 | weights in the host's DRAM, no engine |
    | 20 | `model_disk` | flag | 0 | weights on NVMe |
    | 21 | `model_remote` | flag | 0 | weights not on the host |
    | 22 | `model_ready` | time | 0 | T_ready: until it can serve there |
    | 23 | `model_batch` | share | 0 | of max_num_seqs that its engine runs |
    | 24 | `model_queued` | count | 0 | stages sent to the node that wait for it |
    | 25 | `model_weights` | share | 0 | of usable HBM that its weights take |
    | 26 | `pair_latency` | latency | 0 | one way, from the workflow's ingress |
    | 27 | `pair_prefix_hit` | share | 0 | of the prompt that the node holds in its prefix cache |
    | 28 | `pair_last_node` | flag | 0 | the workflow's last finished stage ran there |
    | 29 | `pair_reservation` | share | 0 | of usable HBM that an adaptive reservation takes (P) |
    | 30 | `pair_harm` | time | 0 | C_deg: estimated delay to others of making room (P) |

    `context`: float32, shape (39,)

    | # | name | scale | min | meaning |
    | --- | --- | --- | --- | --- |
    | 0 | `fleet_ready` | count | 0 | stages in the global queue |
    | 1 | `fleet_oldest` | time | 0 | longest wait in the global queue |
    | 2 | `fleet_workflows` | count | 0 | workflows in the system |
    | 3 | `fleet_queued` | count | 0 | stages in node queues |
    | 4 | `fleet_inbound` | count | 0 | stages on the way to nodes |
    | 5 | `fleet_running` | count | 0 | admitted stages |
    | 6 | `fleet_open` | share | 0 | of nodes whose queue has a free place |
    | 7 | `fleet_kv_free` | share | 0 | mean over nodes of node_kv_free |
    | 8 | `fleet_kv_reserved` | share | 0 | mean over nodes of node_kv_reserved |
    | 9 | `fleet_weights` | share | 0 | mean over nodes of node_weights |
    | 10 | `fleet_awake` | count | 0 | RUNNING models a node |
    | 11 | `fleet_loading` | count | 0 | loading models a node |
    | 12 | `fleet_wait_legal` | flag | 0 | the decision may be to wait |
    | 13 | `fleet_queue_wait` | time | 0 | mean over nodes of the time to drain (P) |
    | 14 | `stage_interactive` | flag | 0 | of an interactive workflow |
    | 15 | `stage_prompt` | tokens | 0 | prompt length |
    | 16 | `stage_max_output` | tokens | 0 | the client's output limit |
    | 17 | `stage_wait` | time | 0 | since the stage became ready |
    | 18 | `stage_slack` | signed time | -1 | left to the workflow's deadline |
    | 19 | `stage_ttft_slack` | signed time | -1 | left to the TTFT limit |
    | 20 | `stage_weight` | w / (1 + w) | 0 | the workflow's weight in the reward |
    | 21 | `stage_invocation` | count | 0 | earlier calls of the role in the workflow |
    | 22 | `stage_depth` | count | 0 | longest path from a root of the workflow |
    | 23 | `stage_done` | count | 0 | stages of the workflow that have finished |
    | 24 | `stage_attained` | time | 0 | service the workflow has received |
    | 25 | `stage_tools` | flag | 0 | tools are available to it |
    | 26 | `stage_system_share` | share | 0 | of the prompt that is the role's system prompt |
    | 27 | `stage_context_share` | share | 0 | of the prompt that continues the workflow's context |
    | 28 | `stage_popularity` | share | 0 | of stages that ask for its model |
    | 29 | `stage_pauses` | count | 0 | times it was paused and must recompute |
    | 30 | `stage_protected` | flag | 0 | Maestro's cooldown keeps it from being passed over |
    | 31 | `stage_output_q50` | tokens | 0 | predicted output, median (P) |
    | 32 | `stage_output_q90` | tokens | 0 | predicted output, 90th percentile (P) |
    | 33 | `stage_service` | time | 0 | nominal service time T_current (P) |
    | 34 | `stage_remaining_q50` | time | 0 | T_rem of the workflow, median (P) |
    | 35 | `stage_remaining_q90` | time | 0 | T_rem of the workflow, 90th percentile (P) |
    | 36 | `stage_remaining_calls` | count | 0 | stages that will follow (P) |
    | 37 | `stage_tool_probability` | share | 0 | probability that it calls a tool (P) |
    | 38 | `stage_maestro_key` | signed time | -1 | Maestro's key: T_rem - wait (P) |

    ## Rewards

    A weighted sum of terms (`RewardConfig`), each in `info["reward_terms"]`: minus the class-weighted number of
    workflows in the system, integrated over the step (`residence`, weight-seconds), minus 30 s for the weight of every
    workflow that finished after its deadline (`slo_missed`), minus 3 s for that of every interactive stage above its
    TTFT limit (`ttft_missed`). The residence terms of an episode add up to minus the sum over workflows of weight *
    (min(finish, end) - arrival); the first step also carries what came before its decision. Discount by time, not by
    decision: `discount(info["dt_s"], horizon_s)`.

    ## Starting State

    Episode k of an environment with seed s is `scenario.episode(split, s, k)`: `reset(seed=s)` begins episode 0, each
    `reset()` the next. The fleet is empty; the popular models are RUNNING unless the scenario says `cold`. The first
    observation is that of the agent's first decision.

    ## Episode End

    Truncated at the first decision at or after the scenario's `horizon_s`; arrivals never stop before it. With
    `evaluation=True` arrivals stop at the horizon and the system drains: terminated when it is empty, truncated at
    `horizon_s + drain_s`. Where an episode ends between two decisions, the last observation shows the fleet only and
    its mask allows action 0. `info["end_reason"]`: 0 goes on, 1 drained, 2 time limit, 3 event budget (more than
    200,000 events between two decisions).

    ## Info

    The same keys at every step: `dt_s` (simulated seconds since the decision before), `sim_time_s`, `tier` (0 global, 1
    cluster, 2 node, 3 none) and `place` (cluster or node) of the pending decision, `action_mask`, `invalid_action`,
    `reward_terms`, `workflows_arrived`, `workflows_finished`, `episode_index`, `end_reason`.

    ## Arguments

    | argument | default | meaning |
    | --- | --- | --- |
    | `scenario` | `"quick"` | name or path of a scenario, a `ScenarioConfig` or a `Scenario` |
    | `overrides` | `()` | `"a.b.c=value"` for a name or path, such as `"contention=high"` |
    | `companions` | `"maestro"` | policy of the tiers that the agent does not drive |
    | `split` | `"train"` | `train`, `validation` or `test` episodes |
    | `illegal` | `"replace"` | `replace`: the lowest legal action is done and `invalid_action` set; `raise`: an error |
    | `reward` | `RewardConfig()` | weights of the terms, or an object with the `Reward` protocol |
    | `window` | `32` | K, ready stages shown to the global tier, at least 3 |
    | `information` | `"P"` | `"N"` blanks what rests on predictions |
    | `evaluation` | `False` | drain after the horizon |
    | `log_residency` | `False` | keep a log of promotions and demotions |
    | `render_mode` | `None` | `"ansi"`: queues, batches, KV and weights of every node as text |

    ## Version History

    * v0: first version.
    """

    tier: ClassVar[str] = "cluster"
