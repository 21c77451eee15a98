"""What must hold of a simulation at any moment, recomputed from its parts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from maestro_gym.sim.calendar import SET
from maestro_gym.state import (
    CPU,
    DUTY_BOTH,
    DUTY_DECODE,
    DUTY_PREFILL,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    NODE_DRAINING,
    NODE_FAILED,
    NODE_OFF,
    NODE_READY,
    NODE_STARTING,
    STAGE_DELIVERY,
    STAGE_FINISHED,
    STAGE_FUTURE,
    STAGE_GAP,
    STAGE_HANDOFF,
    STAGE_QUEUED,
    STAGE_READY,
    STAGE_REJECTED,
    STAGE_RUNNING,
    STAGE_TOOL,
    STAGE_TRANSIT,
    State,
)

TIME_ROUNDING_S = 1e-6


def check_state(state: State, e: int = 0) -> None:
    """Assert conservation of stages, and that every account of memory is the sum of its parts."""
    view, _, core = state
    stages, nodes, engines = view.stages[e], view.nodes[e], view.engines[e]
    phases = stages["phase"]
    counters = core.counters[e]
    world = view.world
    # Stages: every list holds what the phases say, once.
    queue = view.global_queue[e, : view.clock[e]["global_len"]]
    # The stage whose cluster is about to choose a node is in no list: it was ready, or handed over.
    routed = [int(stage) for stage in (view.clock[e]["stage"],) if stage >= 0]
    held = [int(stage) for stage in queue] + routed
    assert np.all(phases[queue] == STAGE_READY)
    assert np.all(np.isin(phases[routed], (STAGE_READY, STAGE_HANDOFF)))
    for n in range(len(nodes)):
        waiting = view.node_queue[e, n, : nodes[n]["queue_len"]]
        assert np.all(phases[waiting] == STAGE_QUEUED)
        assert np.all(stages["node"][waiting] == n)
        held += [int(stage) for stage in waiting]
        assert nodes[n]["inbound"] == np.sum((phases == STAGE_TRANSIT) & (stages["node"] == n))
        for k in range(engines.shape[1]):
            batch = view.batch[e, n, k, : engines[n, k]["running"]]
            assert np.all(phases[batch] == STAGE_RUNNING)
            assert np.all(stages["model"][batch] == engines[n, k]["model"])
            held += [int(stage) for stage in batch]
        assert nodes[n]["running"] == engines[n]["running"].sum()
    # Handed over: on a node that only prefills, with all that it computed.
    duties = world.nodes["duty"]
    handed = core.handoffs[e, : core.env[e]["handoffs"]]
    assert np.all(phases[handed] == STAGE_HANDOFF)
    assert np.all(duties[stages["node"][handed]] == DUTY_PREFILL)
    assert np.all(stages["kv_tokens"][handed] >= stages["prompt_tokens"][handed])
    held += [int(stage) for stage in handed]
    of_node = np.bincount(stages["node"][handed], minlength=len(nodes))
    np.testing.assert_array_equal(core.nodes[e]["handoffs"], of_node)
    brings = stages["kv_tokens"] > 0
    assert np.all(np.isin(phases[brings], (STAGE_HANDOFF, STAGE_TRANSIT, STAGE_QUEUED)))
    assert np.all(np.isfinite(stages["handed_over_s"][brings]))
    at = stages["node"] >= 0
    assert np.all(duties[stages["node"][brings & at & (phases != STAGE_HANDOFF)]] != DUTY_PREFILL)
    if np.all(duties == DUTY_BOTH):
        assert counters["transfers"] == 0
    assert len(held) == len(set(held))
    assert len(held) == np.isin(phases, (STAGE_READY, STAGE_QUEUED, STAGE_RUNNING, STAGE_HANDOFF)).sum()
    # Nodes: one that does not serve holds nothing, one that is not ready is sent nothing.
    for n, node in enumerate(nodes):
        if node["node_state"] not in (NODE_READY, NODE_DRAINING):
            assert node["queue_len"] == node["running"] == 0
            # The nodes of a board that is regrouped start with what ran on it before.
            if node["node_state"] != NODE_STARTING or world.nodes[n]["board"] < 0:
                assert np.all(engines[n]["status"] == ENGINE_FREE)
                assert np.all(view.slot_of[e, n] == -1)
        is_roomy = bool(int(view.roomy[e, n // 32]) >> (n % 32) & 1)
        assert not is_roomy or node["node_state"] == NODE_READY
        assert (node["started_s"] < np.inf) == (node["node_state"] == NODE_STARTING)
        assert (core.nodes[e, n]["outages"] > 0) or node["node_state"] != NODE_FAILED
        assert (core.nodes[e, n]["outages"] == 0) or node["node_state"] in (NODE_FAILED, NODE_OFF, NODE_STARTING)
    # Links: down in both directions while an outage lasts; no first token is both seen and held up.
    assert np.array_equal(view.link_down[e], core.link_outages[e] > 0)
    assert np.array_equal(view.link_down[e], view.link_down[e].T)
    assert view.clock[e]["links_down"] == np.triu(view.link_down[e], 1).sum()
    assert not np.any(np.isfinite(core.sequences[e]["first_token_s"]) & np.isfinite(stages["first_token_s"]))
    assert view.clock[e]["nodes_on"] == np.sum(~np.isin(nodes["node_state"], (NODE_OFF, NODE_DRAINING)))
    assert core.env[e]["draining"] == np.sum(nodes["node_state"] == NODE_DRAINING)
    assert counters["restarts"] == stages["restarts"].sum()
    # The books by model.
    kinds = range(len(world.models))
    for model in kinds:
        mine = stages["model"] == model
        ready = mine & (phases == STAGE_READY)
        ready[routed] = False
        assert view.models[e, model]["ready"] == ready.sum()
        np.testing.assert_allclose(view.models[e, model]["ready_sum_s"], stages["ready_s"][ready].sum(), atol=1e-6)
        sent = mine & np.isin(phases, (STAGE_TRANSIT, STAGE_QUEUED))
        assert [view.waiting[e, n, model] for n in range(len(nodes))] == [
            np.sum(sent & (stages["node"] == n)) for n in range(len(nodes))
        ]
        takes_calls = duties != DUTY_DECODE
        assert view.models[e, model]["waiting"] == np.sum(sent & takes_calls[stages["node"]])
        warm = (engines["model"] == model) & np.isin(engines["status"], (ENGINE_AWAKE, ENGINE_LOADING))
        warm &= takes_calls[:, None]
        assert view.models[e, model]["warm_nodes"] == warm.sum()
    leaves = core.dirty.shape[1] // 2
    np.testing.assert_array_equal(
        core.dirty[e, leaves : leaves + len(nodes)] == SET, (core.engines[e]["dirty"] == 1).any(1)
    )
    # The books by tenant.
    owners = view.workflows[e]["tenant"][stages["workflow"]] % len(world.tenants)
    begun, answered = np.isfinite(stages["admitted_s"]), np.isfinite(stages["finished_s"])
    routing = np.zeros(len(stages), bool)
    routing[routed] = True
    for tenant, books in enumerate(view.tenants[e]):
        mine = (owners == tenant) & (stages["workflow"] >= 0)
        assert books["ready"] == np.sum(mine & (phases == STAGE_READY) & ~routing)
        assert books["prompt_tokens"] == stages["prompt_tokens"][mine & begun].sum()
        assert books["output_tokens"] == stages["generated_tokens"][mine & answered].sum()
        assert (books["admitted"], books["answered"]) == (np.sum(mine & begun), np.sum(mine & answered))
        assert 0 <= books["cached_tokens"] <= books["prompt_tokens"]
    # Tools: every call waits once, or holds one of its tool's places.
    for tool, record in enumerate(view.tools[e]):
        mine = stages["tool"] == tool
        at, waiting = int(record["first"]), []
        while at >= 0:
            waiting.append(at)
            at = int(view.tool_next[e, at])
        assert sorted(waiting) == np.flatnonzero(mine & (phases == STAGE_TOOL)).tolist()
        assert record["queued"] == len(waiting)
        assert record["last"] == (waiting[-1] if waiting else -1)
        assert record["busy"] == np.sum(mine & (phases == STAGE_GAP) & np.isfinite(stages["tool_started_s"]))
        assert record["busy"] <= world.tools[tool]["places"]
        assert not waiting or record["busy"] == world.tools[tool]["places"] or core.env[e]["tools_due"] == 1
    # Workflows: arrived = finished + rejected + in the system.
    arrived = np.isfinite(view.workflows[e]["arrival_s"])
    finished = np.isfinite(view.workflows[e]["finished_s"])
    assert counters["arrived"] == arrived.sum()
    rejected = np.isfinite(view.workflows[e]["rejected_s"])
    assert counters["finished"] == finished.sum()
    assert counters["rejected"] == rejected.sum()
    assert not np.any(rejected & (finished | ~arrived | np.isfinite(view.workflows[e]["begun_s"])))
    assert np.all(np.isin(stages["workflow"][phases == STAGE_REJECTED], np.flatnonzero(rejected)))
    assert np.all(phases[np.isin(stages["workflow"], np.flatnonzero(rejected))] == STAGE_REJECTED)
    in_system = arrived & ~finished & ~rejected
    np.testing.assert_allclose(counters["weight_in_system"], view.workflows[e]["weight"][in_system].sum(), atol=1e-9)
    assert np.all(np.isin(phases[stages["workflow"] >= 0], (STAGE_FUTURE,), invert=True))
    for w in np.flatnonzero(finished):
        first = state.hidden.workflows[e, w]["first_stage"]
        assert np.all(phases[first : first + state.hidden.workflows[e, w]["num_stages"]] == STAGE_FINISHED)
    # Times: what has happened to a stage or a workflow has happened in its order.
    served = stages[np.isin(phases, (STAGE_RUNNING, STAGE_DELIVERY, STAGE_TOOL, STAGE_GAP, STAGE_FINISHED))]
    for earlier, later in pairwise(("ready_s", "sent_s", "queued_s", "admitted_s")):
        assert np.all(served[earlier] <= served[later])
    done = stages[answered]
    assert np.all(np.maximum(done["admitted_s"], done["first_token_s"] - TIME_ROUNDING_S) <= done["finished_s"])
    assert np.all(done["first_token_s"] >= done["ready_s"])
    assert np.all(done["tool_started_s"] >= done["finished_s"])
    flows = view.workflows[e]
    assert np.all(flows["begun_s"] >= np.where(arrived, flows["arrival_s"], np.inf))
    assert np.all(flows["finished_s"][finished] >= flows["begun_s"][finished])
    assert np.all(flows["rejected_s"][rejected] >= flows["arrival_s"][rejected])
    for happened in (served["admitted_s"], done["finished_s"], flows["arrival_s"][arrived]):
        assert np.all(happened <= view.clock[e]["now_s"] + TIME_ROUNDING_S)
    # Memory of hosts: the page cache, and the pinned copies of sleepers.
    params = world.params[0]
    for host, spec in enumerate(world.hosts):
        here = np.flatnonzero(world.nodes["host"] == host)
        if not len(here):
            continue
        sizes = world.perf["weight_bytes"][world.nodes["hardware"][here[0]], world.models["arch"]]
        sizes = sizes * world.nodes["gpus"][here[0]]
        held = sizes[view.host_models[e, host]["tier"] == CPU].sum()
        held += sizes[engines["model"][here][engines["status"][here] == ENGINE_ASLEEP]].sum()
        assert held <= spec["dram_bytes"] * (1 + 1e-9)
    # Memory of nodes.
    for name in ("kv_reserved_bytes", "kv_cached_bytes", "kv_virtual_bytes", "kv_used_bytes", "weights_bytes"):
        assert np.all(nodes[name] >= 0.0)
    assert np.all(core.sequences[e]["private_tokens"] >= 0)
    assert np.all(nodes["kv_reserved_bytes"] + nodes["weights_bytes"] <= world.nodes["hbm_pool_bytes"] + 1.0)
    offloaded = np.zeros(len(world.hosts))
    for n, node in enumerate(nodes):
        perf = world.perf[world.nodes[n]["hardware"]]
        pool = world.nodes[n]["hbm_pool_bytes"]
        reserved = cached = virtual = weights = pools = 0.0
        for k, engine in enumerate(engines[n]):
            if engine["status"] == ENGINE_FREE:
                assert engine["model"] == -1
                assert engine["kv_reserved_bytes"] == engine["kv_cached_bytes"] == engine["kv_used_bytes"] == 0.0
                continue
            assert view.slot_of[e, n, engine["model"]] == k
            arch = perf[world.models[engine["model"]]["arch"]]
            unit = arch["kv_bytes_per_token"]
            if engine["status"] == ENGINE_ASLEEP:
                weights += params["sleep_bytes"]
            elif engine["status"] in (ENGINE_AWAKE, ENGINE_LOADING):
                weights += arch["weight_bytes"] + params["margin_bytes"]
            batch = view.batch[e, n, k, : engine["running"]]
            mine = core.sequences[e][batch]
            assert np.all(mine["computed_tokens"] <= mine["hit_tokens"] + mine["private_tokens"])
            groups = view.prefix_groups[e, n, k] >= 0
            entries = view.prefixes[e, n, k][groups]
            own = (entries["tokens"] - entries["base_tokens"]) * unit
            assert np.all((own > 0) ^ (entries["dram_tokens"] > 0))
            pinned = own[entries["refs"] > 0].sum()
            assert engine["kv_pinned_bytes"] == pinned
            assert engine["kv_cached_bytes"] == own[entries["refs"] == 0].sum()
            assert engine["kv_reserved_bytes"] == mine["private_tokens"].sum() * unit + pinned
            direct = np.bincount(mine["ref_entry"][mine["ref_entry"] >= 0], minlength=len(groups))
            held = view.prefixes[e, n, k]["held_until_s"] > -np.inf
            assert core.engines[e, n, k]["held_until_s"] == min(
                view.prefixes[e, n, k]["held_until_s"][held], default=np.inf
            )
            direct += held
            dram, host = view.prefixes[e, n, k]["dram_tokens"], world.nodes[n]["host"]
            assert np.all(held[dram > 0])
            offloaded[host] += dram.sum() * unit * world.nodes[n]["gpus"]
            through = np.zeros(len(groups), int)
            for i in np.flatnonzero(groups):
                base = view.prefixes[e, n, k, i]["base_entry"]
                if base >= 0:
                    through[base] += direct[i]
                    assert groups[base]
            np.testing.assert_array_equal(view.prefixes[e, n, k]["refs"][groups], (direct + through)[groups])
            if params["partitioned"]:
                assert engine["kv_reserved_bytes"] + engine["kv_cached_bytes"] <= max(0.0, engine["kv_pool_bytes"])
            reserved += engine["kv_reserved_bytes"]
            cached += engine["kv_cached_bytes"]
            virtual += mine["virtual_bytes"].sum()
            pools += engine["kv_pool_bytes"]
        assert node["weights_bytes"] == weights
        assert node["kv_reserved_bytes"] == reserved
        assert node["kv_cached_bytes"] == cached
        assert node["kv_virtual_bytes"] == virtual
        assert node["kv_virtual_bytes"] <= params["kv_virtual_cap"] * pool
        np.testing.assert_allclose(node["kv_pool_bytes"], pools if params["partitioned"] else pool - weights, atol=1.0)
        assert reserved + cached <= node["kv_pool_bytes"] + 1.0
        assert weights + node["kv_pool_bytes"] <= pool + 1.0
    np.testing.assert_allclose(core.host_kv_bytes[e], offloaded, atol=1.0)
    for name in ("kv_reserved_bytes", "kv_virtual_bytes", "weights_bytes"):
        assert core.env[e][name] == nodes[name].sum()
