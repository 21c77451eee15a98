"""The environments ``Maestro/Live-*``: the four tiers on real servers; a class docstring is their page in the docs."""

from __future__ import annotations

from typing import Any, ClassVar

from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.single import MaestroEnv, env_options
from maestro_gym.real_backend.envs.live_batch import LiveBatch, LiveEnvOptions


class LiveEnv(MaestroEnv):
    """Decisions of one tier on a fleet of real vLLM servers.

    ## Description

    The environment of the same name without `Live-`, its episodes run by the live control loop: same spaces, masks,
    rewards and info, so that a policy trained in the simulator acts here, and learns on. Time is real: `sim_time_s` and
    `dt_s` are seconds of the wall clock since the episode began. While the agent thinks no decision is made; servers
    and tools go on, and what they did is in the next observation. Think less long than the fleet's `client.stall_s`.

    The fleet must be up (`maestro-gym fleet up`). Only one environment may use it at a time.

    ## Observation Space

    As simulated, with the same scales. What the controller itself keeps track of is exact, KV in use is scraped and up
    to `client.scrape_s` old, and (P) and waits are estimates from the scenario's calibration: docs/live.md, "Where view
    fields come from".

    ## Starting State

    Episode k of seed s is `scenario.episode(split, s, k)`. It begins with the engines awake that the fleet file names;
    servers keep their memory of earlier episodes, but no prompt of one is sent in another.

    ## Episode End

    As simulated: truncated at the first decision at or after `horizon_s`, and what is still running is aborted on the
    servers; or, with `evaluation=True`, when the last workflow is finished. `close()` and `reset()` end an episode at
    any time. A server that fails does not end it: its stages are sent elsewhere.

    ## Info

    The same keys as simulated. The event log of every episode is in `folder`.

    ## Arguments

    | argument | default | meaning |
    | --- | --- | --- |
    | `fleet` | `"local_cpu"` | name in `configs/live`, path of a fleet file, or a `LiveFleetConfig` |
    | `scenario` | `None` | of this fleet, such as `simulated.yaml` of a validation; None makes one of the fleet file |
    | `folder` | `None` | gets an event log an episode; None makes one below `runs/live` |
    | `trust` | `False` | whether servers that an episode itself starts may be something else than plain vLLM |
    | others | | as simulated |

    ## Version History

    * v0: first version.
    """

    metadata: dict[str, Any] = MaestroEnv.metadata

    def _make_batch(self, options: dict[str, Any]) -> AgentBatch:
        return LiveBatch(self.tier, env_options(options, LiveEnvOptions, owner=type(self)))


class LiveNodeEnv(LiveEnv):
    """``Maestro/Live-Node-v0``, see `LiveEnv`."""

    tier: ClassVar[str] = "node"


class LiveClusterEnv(LiveEnv):
    """``Maestro/Live-Cluster-v0``, see `LiveEnv`."""

    tier: ClassVar[str] = "cluster"


class LiveGlobalEnv(LiveEnv):
    """``Maestro/Live-Global-v0``, see `LiveEnv`."""

    tier: ClassVar[str] = "global"


class LiveJointEnv(LiveEnv):
    """``Maestro/Live-Joint-v0``, see `LiveEnv`."""

    tier: ClassVar[str] = "joint"
