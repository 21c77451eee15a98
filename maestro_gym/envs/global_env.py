"""The environment ``Maestro/Global-v0``; its class docstring is its page in the docs."""

from __future__ import annotations

from typing import ClassVar

from maestro_gym.envs.single import MaestroEnv


class GlobalEnv(MaestroEnv):
    """Which stage is sent next, and to which cluster.

    ## Description

    An agent orders the ready stages of all workflows and chooses a cluster for each. Because every stage of a
    workflow passes here, this is also where workflows are preempted, at the boundary between two stages. The cluster
    and node tiers follow `companions`. The agent sees a window of K ready stages that some node can take now: heads of
    the queue by Maestro's key, by deadline and by age, in turn and without duplicates. Several decisions may fall due
    at one instant, so a step may take no simulated time.

    ## Action Space

    `Discrete(1 + K * C)` with K = `window` and C clusters:

    | action | meaning |
    | --- | --- |
    | 0 | wait |
    | 1 + k * C + c | send the stage at place k of the window to cluster c |

    Legal are clusters of which some node has room and can serve the stage. Waiting is illegal when nothing else could
    happen. The model and pair columns describe the cluster's best node: least `T_ready` + queue wait.

    Illegal actions: see `illegal`. Masks: `action_masks()`, `info["action_mask"]`, `ActionMaskObservation`.

    ## Observation Space

    `Dict` of two bounded float32 `Box`es; the greatest value is 1. Row a of `candidates` describes action a and is all
    zero when it is illegal. (P) marks what rests on a prediction: 0 with `information="N"`. Scales: flag 0 or 1; share
    of a whole; count log1p(x) / log1p(1e4); tokens log1p(x / 16) / log1p(1e4); time log1p(x / 0.1 s) / log1p(1e5), with
    its sign where it is signed; latency log1p(x / 1 ms) / log1p(1e5).

    `candidates`: float32, shape (A, 53)

    | # | name | scale | min | meaning |
    | --- | --- | --- | --- | --- |
    | 0 | `legal` | flag | 0 | the action exists and is legal; the row is all zero otherwise |
    | 1 | `is_wait` | flag | 0 | the action waits |
    | 2 | `is_send` | flag | 0 | sends a stage to a cluster |
    | 3 | `is_route` | flag | 0 | sends the stage to a node |
    | 4 | `is_admit` | flag | 0 | admits a queued stage |
    | 5 | `is_promote` | flag | 0 | makes a model RUNNING |
    | 6 | `is_demote` | flag | 0 | moves a model one residency tier down |
    | 7 | `stage_interactive` | flag | 0 | of an interactive workflow |
    | 8 | `stage_prompt` | tokens | 0 | prompt length |
    | 9 | `stage_max_output` | tokens | 0 | the client's output limit |
    | 10 | `stage_wait` | time | 0 | since the stage became ready |
    | 11 | `stage_slack` | signed time | -1 | left to the workflow's deadline |
    | 12 | `stage_ttft_slack` | signed time | -1 | left to the TTFT limit |
    | 13 | `stage_weight` | w / (1 + w) | 0 | the workflow's weight in the reward |
    | 14 | `stage_invocation` | count | 0 | earlier calls of the role in the workflow |
    | 15 | `stage_depth` | count | 0 | longest path from a root of the workflow |
    | 16 | `stage_done` | count | 0 | stages of the workflow that have finished |
    | 17 | `stage_attained` | time | 0 | service the workflow has received |
    | 18 | `stage_tools` | flag | 0 | tools are available to it |
    | 19 | `stage_system_share` | share | 0 | of the prompt that is the role's system prompt |
    | 20 | `stage_context_share` | share | 0 | of the prompt that continues the workflow's context |
    | 21 | `stage_popularity` | share | 0 | of stages that ask for its model |
    | 22 | `stage_pauses` | count | 0 | times it was paused and must recompute |
    | 23 | `stage_protected` | flag | 0 | Maestro's cooldown keeps it from being passed over |
    | 24 | `stage_output_q50` | tokens | 0 | predicted output, median (P) |
    | 25 | `stage_output_q90` | tokens | 0 | predicted output, 90th percentile (P) |
    | 26 | `stage_service` | time | 0 | nominal service time T_current (P) |
    | 27 | `stage_remaining_q50` | time | 0 | T_rem of the workflow, median (P) |
    | 28 | `stage_remaining_q90` | time | 0 | T_rem of the workflow, 90th percentile (P) |
    | 29 | `stage_remaining_calls` | count | 0 | stages that will follow (P) |
    | 30 | `stage_tool_probability` | share | 0 | probability that it calls a tool (P) |
    | 31 | `stage_maestro_key` | signed time | -1 | Maestro's key: T_rem - wait (P) |
    | 32 | `cluster_queue` | count | 0 | waiting and inbound stages a node |
    | 33 | `cluster_running` | count | 0 | admitted stages a node |
    | 34 | `cluster_open` | share | 0 | of its nodes that may take the stage |
    | 35 | `cluster_warm` | share | 0 | of its nodes on which the model is RUNNING |
    | 36 | `cluster_kv_free` | share | 0 | mean KV of its nodes that can still be reserved |
    | 37 | `cluster_start` | time | 0 | least T_ready + queue wait of its nodes (P) |
    | 38 | `model_awake` | flag | 0 | RUNNING |
    | 39 | `model_loading` | flag | 0 | loading |
    | 40 | `model_asleep` | flag | 0 | SLEEPING |
    | 41 | `model_cpu` | flag | 0 | weights in the host's DRAM, no engine |
    | 42 | `model_disk` | flag | 0 | weights on NVMe |
    | 43 | `model_remote` | flag | 0 | weights not on the host |
    | 44 | `model_ready` | time | 0 | T_ready: until it can serve there |
    | 45 | `model_batch` | share | 0 | of max_num_seqs that its engine runs |
    | 46 | `model_queued` | count | 0 | stages sent to the node that wait for it |
    | 47 | `model_weights` | share | 0 | of usable HBM that its weights take |
    | 48 | `pair_latency` | latency | 0 | one way, from the workflow's ingress |
    | 49 | `pair_prefix_hit` | share | 0 | of the prompt that the node holds in its prefix cache |
    | 50 | `pair_last_node` | flag | 0 | the workflow's last finished stage ran there |
    | 51 | `pair_reservation` | share | 0 | of usable HBM that an adaptive reservation takes (P) |
    | 52 | `pair_harm` | time | 0 | C_deg: estimated delay to others of making room (P) |

    `context`: float32, shape (14,)

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

    tier: ClassVar[str] = "global"
