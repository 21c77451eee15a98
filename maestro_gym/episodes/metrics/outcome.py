"""What one episode came to, in the arrays that the metrics share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from maestro_gym.episodes.metrics.blocking import blocked_s
from maestro_gym.state import NODE_OFF, STAGE_FINISHED, STAGE_HANDOFF, STAGE_READY, STAGE_RUNNING, STAGE_TOOL

if TYPE_CHECKING:
    from maestro_gym.episodes.result import EpisodeResult
    from maestro_gym.state import World

_WORKFLOW_ARRAYS = (
    "workflow_cls",
    "tenant",
    "tenant_weight",
    "arrival_s",
    "deadline_s",
    "workflow_finished_s",
    "rejected_s",
    "nominal_s",
    "predicted_s",
)
_STAGE_ARRAYS = (
    "stage_cls",
    "ttft_limit_s",
    "ready",
    "finished",
    "ready_s",
    "first_admitted_s",
    "first_token_s",
    "stage_finished_s",
    "generated_tokens",
    "blocked_s",
    "stay_s",
    "kv_bytes_per_token",
    "context_tokens",
    "context_limit_tokens",
    "output_error_tokens",
    "tool",
    "tool_asked_s",
    "tool_started_s",
    "tool_ended_s",
    "handed_over_s",
    "decode_admitted_s",
)


@dataclass(frozen=True)
class Outcome:
    """An episode's result, reduced to what metrics are made of; W workflows and S stages.

    The population is the episode's, the same for every policy: a policy that leaves hard workflows
    unfinished does not lose them from its averages, they count as waiting until ``cap_s``.

    Attributes:
        end_s: When the run ended: drained, at the cap, or out of events.
        cap_s: End of the drain, from which unfinished times are censored; never before ``end_s``.
        horizon_s: Length of the arrival window.
        workflow_cls: int, shape (W,), INTERACTIVE or BATCH.
        tenant: int, shape (W,).
        tenant_weight: float, shape (W,), of the workflow's tenant.
        arrival_s: float, shape (W,).
        deadline_s: float, shape (W,), absolute.
        workflow_finished_s: float, shape (W,), inf = unfinished.
        rejected_s: float, shape (W,), inf = never turned away; such a workflow stays unfinished.
        nominal_s: float, shape (W,): service and gaps on the workflow's longest path, alone on an idle fleet.
        predicted_s: float, shape (W,): what was predicted of the same when the workflow arrived, at its first stage.
        stage_workflow: int, shape (S,), place of the stage's workflow among the W.
        stage_cls: int, shape (S,), class of the stage's workflow.
        ttft_limit_s: float, shape (S,), limit of the stage's application.
        ready: bool, shape (S,): the stage became ready before the end.
        finished: bool, shape (S,).
        ready_s: float, shape (S,), inf where not ready.
        first_admitted_s: float, shape (S,): first admission; for a stage that was paused an upper bound,
            the earlier of its first token and its last admission. inf = never admitted.
        first_token_s: float, shape (S,), inf = none.
        stage_finished_s: float, shape (S,), inf = unfinished.
        generated_tokens: int, shape (S,), output tokens so far.
        blocked_s: float, shape (S,): see :func:`maestro_gym.episodes.metrics.blocking.blocked_s`.
        stay_s: float, shape (S,): time from the last admission to the last token, or to the end of the run; 0 for
            stages that hold no place.
        kv_bytes_per_token: float, shape (S,): of the stage's model on each GPU of its node; 0 where it has none.
        context_tokens: int, shape (S,): prompt and output tokens so far.
        context_limit_tokens: int, shape (S,): longest context of the stage's model.
        output_error_tokens: float, shape (S,): predicted median less true length of the answer.
        tool: int, shape (S,): type of the tool with finite places that the stage called, -1 where it called none.
        tool_asked_s: float, shape (S,): when it asked for a place, inf = never.
        tool_started_s: float, shape (S,): when it got one, inf = never.
        tool_ended_s: float, shape (S,): when the tool answers, inf = it never began.
        handed_over_s: float, shape (S,): when a node that only prefills had its first token and let it go, inf = none.
        decode_admitted_s: float, shape (S,): its last admission after that, inf = none.
        tool_places: int, shape (types,): places of every type; empty where tools have no bounds.
        counters: The episode's COUNTERS record, by name.
        hbm_bytes: Usable HBM of the fleet, all nodes; of those that share GPUs by the time that they were on.
        num_nodes: Nodes of the fleet, counted likewise.
        node_state_s: float, shape (N, NUM_NODE_STATES): time that each node spent in NODE_*.
        node_busy_s: float, shape (N,): its engines' time in steps without the slowdown by neighbours, summed.
        node_usd_per_h: float, shape (N,): price of each node [USD/h]; nan where it is not known.
        node_max_w: float, shape (N,): power limit of each node [W]; nan where it is not known.
        node_gpus: int, shape (N,): GPUs of each node.
    """

    end_s: float
    cap_s: float
    horizon_s: float
    workflow_cls: np.ndarray
    tenant: np.ndarray
    tenant_weight: np.ndarray
    arrival_s: np.ndarray
    deadline_s: np.ndarray
    workflow_finished_s: np.ndarray
    rejected_s: np.ndarray
    nominal_s: np.ndarray
    predicted_s: np.ndarray
    stage_workflow: np.ndarray
    stage_cls: np.ndarray
    ttft_limit_s: np.ndarray
    ready: np.ndarray
    finished: np.ndarray
    ready_s: np.ndarray
    first_admitted_s: np.ndarray
    first_token_s: np.ndarray
    stage_finished_s: np.ndarray
    generated_tokens: np.ndarray
    blocked_s: np.ndarray
    stay_s: np.ndarray
    kv_bytes_per_token: np.ndarray
    context_tokens: np.ndarray
    context_limit_tokens: np.ndarray
    output_error_tokens: np.ndarray
    tool: np.ndarray
    tool_asked_s: np.ndarray
    tool_started_s: np.ndarray
    tool_ended_s: np.ndarray
    handed_over_s: np.ndarray
    decode_admitted_s: np.ndarray
    tool_places: np.ndarray
    hbm_bytes: float
    num_nodes: float
    node_state_s: np.ndarray
    node_busy_s: np.ndarray
    node_usd_per_h: np.ndarray
    node_max_w: np.ndarray
    node_gpus: np.ndarray
    counters: dict[str, float] = field(default_factory=dict)

    @property
    def completion_s(self) -> np.ndarray:
        """Time from arrival to the end of the last stage; float, shape (W,), censored at ``cap_s``."""
        return np.minimum(self.workflow_finished_s, self.cap_s) - self.arrival_s

    @property
    def deadline_met(self) -> np.ndarray:
        """Bool, shape (W,): finished by the deadline."""
        return self.workflow_finished_s <= self.deadline_s

    @property
    def ttft_s(self) -> np.ndarray:
        """First token minus readiness of the stages that became ready; float, shape (ready,), censored at ``cap_s``."""
        return (np.minimum(self.first_token_s, self.cap_s) - self.ready_s)[self.ready]

    def of_class(self, cls: int) -> Outcome:
        """The same outcome with the workflows and stages of one class alone.

        Args:
            cls: INTERACTIVE or BATCH.
        """
        return self.of_workflows(self.workflow_cls == cls)

    def of_workflows(self, chosen: np.ndarray) -> Outcome:
        """The same outcome with some workflows and their stages alone.

        Args:
            chosen: bool, shape (W,).
        """
        of_stage = chosen[self.stage_workflow]
        parts = {name: getattr(self, name)[chosen] for name in _WORKFLOW_ARRAYS}
        parts |= {name: getattr(self, name)[of_stage] for name in _STAGE_ARRAYS}
        places = np.cumsum(chosen) - 1
        return replace(self, stage_workflow=places[self.stage_workflow[of_stage]], **parts)

    def until(self, end_s: float) -> Outcome:
        """What was known at an earlier time, of the workflows whose deadline had passed by then.

        Whether these met their deadline is known, and which workflows they are depends on no policy. Counters stay
        those of the whole run.

        Args:
            end_s: The time, at most ``end_s``.
        """

        def by_then(times: np.ndarray) -> np.ndarray:
            return np.where(times <= end_s, times, np.inf)

        ready = self.ready & (self.ready_s <= end_s)
        stage_finished_s = by_then(self.stage_finished_s)
        earlier = replace(
            self,
            end_s=end_s,
            cap_s=end_s,
            workflow_finished_s=by_then(self.workflow_finished_s),
            rejected_s=by_then(self.rejected_s),
            ready=ready,
            ready_s=by_then(self.ready_s),
            first_admitted_s=by_then(self.first_admitted_s),
            first_token_s=by_then(self.first_token_s),
            stage_finished_s=stage_finished_s,
            tool_asked_s=by_then(self.tool_asked_s),
            tool_started_s=by_then(self.tool_started_s),
            tool_ended_s=by_then(self.tool_ended_s),
            handed_over_s=by_then(self.handed_over_s),
            decode_admitted_s=by_then(self.decode_admitted_s),
            finished=self.finished & np.isfinite(stage_finished_s),
        )
        return earlier.of_workflows(self.deadline_s <= end_s)


def outcome_of(result: EpisodeResult, *, blocking: bool = True) -> Outcome:
    """Reduce an episode's result, simulated or live, to an outcome.

    Args:
        result: Whatever has the fields of ``EpisodeResult``.
        blocking: Whether head-of-line blocking is worked out, which takes as long as all the rest; zero otherwise.
    """
    episode, params = result.episode, result.world.params[0]
    workflows, stages = episode.workflows, episode.stages
    owner = stages["workflow"]
    seen = result.stages[: len(stages)]
    end_s, cap_s = float(result.end_s), float(params["drain_cap_s"])
    cap_s = max(end_s, cap_s) if np.isfinite(cap_s) else end_s
    ready = (seen["phase"] >= STAGE_READY) & np.isfinite(seen["ready_s"])
    ready_s = np.where(ready, seen["ready_s"], np.inf)
    first_token_s = np.where(ready, seen["first_token_s"], np.inf)
    last_admitted_s = np.where(ready, seen["admitted_s"], np.inf)
    handed_over_s = np.where(ready, seen["handed_over_s"], np.inf)
    handed = np.isfinite(handed_over_s)
    first_admitted_s = np.where(handed, seen["prefill_admitted_s"], np.minimum(last_admitted_s, first_token_s))
    decode_admitted_s = np.where(handed & (last_admitted_s >= handed_over_s), last_admitted_s, np.inf)
    service = result.world.service[stages["model"]]
    service_s = (
        service["prefill_base_s"]
        + service["prefill_s_per_token"] * stages["prompt_tokens"]
        + service["decode_s_per_token"] * episode.hidden["output_tokens"]
    )
    waited = ready & np.isfinite(seen["queued_s"]) & (seen["node"] >= 0)
    nominal_s = np.zeros(len(workflows))
    np.maximum.at(nominal_s, owner, episode.hidden["remaining_s"])
    predicted_s = np.zeros(len(workflows))
    if len(stages):
        predicted_s = episode.predictions["remaining_s_q50"][workflows["first_stage"]]
    generated_tokens = np.where(ready, seen["generated_tokens"], 0)
    asked = (seen["phase"] == STAGE_TOOL) | (seen["tool_started_s"] < np.inf) & (seen["tool"] >= 0)
    asked &= len(result.world.tools) > 0
    tool_started_s = np.where(asked, seen["tool_started_s"], np.inf)
    counters = result.counters
    there = _share_there(result.world, result.node_state_s)
    return Outcome(
        end_s=end_s,
        cap_s=cap_s,
        horizon_s=float(params["horizon_s"]),
        workflow_cls=workflows["cls"],
        tenant=workflows["tenant"],
        tenant_weight=result.world.tenants["weight"][workflows["tenant"] % len(result.world.tenants)],
        arrival_s=workflows["arrival_s"],
        deadline_s=workflows["deadline_s"],
        workflow_finished_s=result.workflows["finished_s"][: len(workflows)],
        rejected_s=result.workflows["rejected_s"][: len(workflows)],
        nominal_s=nominal_s,
        predicted_s=predicted_s,
        stage_workflow=owner,
        stage_cls=workflows["cls"][owner],
        ttft_limit_s=workflows["ttft_limit_s"][owner],
        ready=ready,
        finished=seen["phase"] == STAGE_FINISHED,
        ready_s=ready_s,
        first_admitted_s=first_admitted_s,
        first_token_s=first_token_s,
        stage_finished_s=np.where(ready, seen["finished_s"], np.inf),
        generated_tokens=generated_tokens,
        blocked_s=blocked_s(
            node=np.where(waited, seen["node"], -1),
            queued_s=seen["queued_s"],
            admitted_s=np.minimum(np.where(handed, decode_admitted_s, first_admitted_s), cap_s),
            model=stages["model"],
            service_s=service_s,
        )
        if blocking
        else np.zeros(len(stages)),
        stay_s=_stay_s(seen, end_s),
        kv_bytes_per_token=_kv_bytes_per_token(result.world, seen["node"], stages["model"]),
        context_tokens=stages["prompt_tokens"] + generated_tokens,
        context_limit_tokens=result.world.models["max_model_len"][stages["model"]],
        output_error_tokens=episode.predictions["output_q50_tokens"] - episode.hidden["output_tokens"],
        tool=np.where(asked, seen["tool"], -1),
        tool_asked_s=np.where(asked, seen["finished_s"], np.inf),
        tool_started_s=tool_started_s,
        tool_ended_s=tool_started_s + episode.hidden["tool_gap_s"],
        handed_over_s=handed_over_s,
        decode_admitted_s=decode_admitted_s,
        tool_places=result.world.tools["places"],
        hbm_bytes=float((result.world.nodes["hbm_pool_bytes"] * there).sum()),
        num_nodes=float(there.sum()),
        node_state_s=result.node_state_s,
        node_busy_s=result.node_busy_s,
        node_usd_per_h=result.world.nodes["usd_per_h"],
        node_max_w=result.world.nodes["max_w"],
        node_gpus=result.world.nodes["gpus"],
        counters={name: float(counters[name]) for name in counters.dtype.names or ()},
    )


def _share_there(world: World, node_state_s: np.ndarray) -> np.ndarray:
    """Share of the run in which each node was there: all of it, but for nodes of a board, whose GPUs are others'."""
    of_run_s = np.maximum(node_state_s.sum(axis=1), 1e-9)
    return np.where(world.nodes["board"] < 0, 1.0, 1.0 - node_state_s[:, NODE_OFF] / of_run_s)


def _stay_s(seen: np.ndarray, end_s: float) -> np.ndarray:
    """Time that each stage held its last place in a batch; a stage that was paused and waits holds none."""
    held = (seen["phase"] >= STAGE_RUNNING) & (seen["phase"] != STAGE_HANDOFF) & np.isfinite(seen["admitted_s"])
    stay_s = np.minimum(np.where(held, seen["finished_s"], 0.0), end_s) - np.where(held, seen["admitted_s"], 0.0)
    return np.where(held, np.maximum(stay_s, 0.0), 0.0)


def _kv_bytes_per_token(world: World, node: np.ndarray, model: np.ndarray) -> np.ndarray:
    """KV bytes of a token of each stage on each GPU of its node, 0 for stages without one."""
    placed = node >= 0
    hardware = world.nodes["hardware"][np.where(placed, node, 0)]
    return np.where(placed, world.perf["kv_bytes_per_token"][hardware, world.models["arch"][model]], 0.0)
