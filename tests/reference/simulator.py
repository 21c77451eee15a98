"""The reference simulator: slow, clear, token by token, to differ from.

It is written from the physics (steps, KV memory, residency, network, order of things) and takes no
shortcut: every step of every engine is an event, every sum is taken anew from its parts. It asks a
policy at every decision and notes what the world looks like then.

Conventions of the order of things (docs/physics.md, "The decisions"):

- Of one instant: steps that end (by node, by slot), loads, then timed stage events by exact time and
  id (a delivery, a gap's end, an arrival at a node), then arrivals; then decisions until none is due
  (the stage to route, global, nodes by id); then steps begin; what those paused is decided first.
- Global falls due when a stage becomes ready, when a stage is admitted or a load ends anywhere, after a
  send, and when a wait has lasted long enough; a node on enqueue, completion, load end, failure to grow, after
  each of its actions, and likewise after a wait. A timer is not stopped by what happens before it.
- A place that could do nothing is asked again after the longest wait too.
- Where admission is on, a workflow of which nothing was sent may be turned away. Global is then asked, too, when
  nothing can be sent, if something else is going to happen.
- A stage that calls a tool with finite places waits for one when its answer arrives. At the end of an instant, before
  the global decision, free places go to who waits: in order of asking, or as the policy is asked where there are more
  calls than places.
- A stage that has its first token on a node that only prefills leaves it. It waits until a node of its cluster that
  decodes has a place, then the cluster tier is asked again, before all other decisions, and its KV travels there. It is
  admitted with all that it had computed.
- An action for which no room can be made counts as waiting.
- The run ends at the cap, or at the horizon where episodes are truncated, with steps under way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from maestro_gym.state import Episode, World
from tests.reference import legality
from tests.reference.batching import count_unfinished, end_step, plan_node
from tests.reference.choosing import Action, Asked
from tests.reference.comings import (
    come_back,
    handle_comings,
    handle_drained,
    handle_scaling,
    next_coming_s,
    scale_actions,
    start,
    stop,
)
from tests.reference.contexts import context_actions, decide, let_go, next_undecided
from tests.reference.inputs import INTERACTIVE, Stage, read_episode, read_world
from tests.reference.kv_memory import admit, admit_bytes
from tests.reference.links import down_times, is_down, post, see_answer
from tests.reference.machine import TIE_S, Engine, Host, Node, State
from tests.reference.reclaim import make_room
from tests.reference.regrouping import begin_off, handle_moment, handle_regrouping, question, regroup
from tests.reference.residency import TIERS, advance_load, end_engine, load_bytes, sleep_engine, start_load
from tests.reference.signals import (
    begin_scrapes,
    handle_scrapes,
    next_scrape_s,
    note_sent,
    router_to_ask,
    used_bytes,
)

BYTES_PER_TOKEN = 4.0
"""Of a prompt on the network."""


@dataclass(frozen=True)
class Start:
    """Where weights are when the episode begins, and which reclaim rule answers.

    Attributes:
        running: models RUNNING on each node.
        tiers: by host and model, index into remote, disk, cpu.
        num_slots: engine slots of a node.
        reclaim_law: vllm, lru or least-harm.
        drains: go on after the horizon until all is done, up to the cap.
        decides_contexts: the policy is asked what becomes of contexts while tools run; else they stay in the cache.
        orders_tools: the policy is asked whose call gets a place of a tool; else the first that asked.
        chooses_degree: the policy is asked how the GPUs of boards are grouped; else they stay as they are.
    """

    running: list[list[int]]
    tiers: list[list[int]]
    num_slots: int
    reclaim_law: str
    drains: bool
    orders_tools: bool = False
    decides_contexts: bool = False
    chooses_degree: bool = False


@dataclass
class Record:
    """What is written down at a decision: the clock, what is legal, which router decides, memory, what routers know."""

    time_s: float
    asked: Asked
    router: int
    memory: list[tuple[float, ...]]
    engines: list[tuple[object, ...]]
    known: list[tuple[object, ...]]


@dataclass
class Run:
    """A run of the reference: its final state and what was noted on the way."""

    state: State
    records: list[Record] = field(default_factory=list)
    done: str = ""
    seen: set[str] = field(default_factory=set)


def run_reference(world: World, episode: Episode, start: Start, choose: Callable[[Asked], Action]) -> Run:
    """Run an episode to its end.

    Args:
        world: the fleet.
        episode: what happens.
        start: initial residency and the reclaim rule.
        choose: the policy.
    """
    fleet = read_world(world)
    jobs, stages = read_episode(episode)
    nodes = []
    for number, spec in enumerate(fleet.nodes):
        node = Node(
            number, spec, fleet, [None] * start.num_slots, [-math.inf] * fleet.num_models, fleet.limits["rho_min"]
        )
        for model in start.running[number]:
            engine = Engine(model, spec.speeds[model], "awake", 0.0)
            if node.partitioned:
                fixed = engine.speed.weight_bytes + fleet.limits["margin_bytes"]
                engine.pool_bytes = load_bytes(node, model) - fixed
            node.slots[node.slots.index(None)] = engine
        nodes.append(node)
    hosts = [Host([TIERS[tier] for tier in tiers], [0.0] * fleet.num_models) for tiers in start.tiers]
    state = State(fleet, jobs, stages, nodes, hosts, start.reclaim_law)
    state.jobs_left = [len(job.stages) for job in jobs]
    state.jobs_done = [0] * len(jobs)
    state.finished_s = [math.inf] * len(jobs)
    state.tool_queues = [[] for _ in fleet.tool_places]
    state.tool_calls = [[] for _ in fleet.tool_places]
    state.orders_tools, state.decides_contexts = start.orders_tools, start.decides_contexts
    state.chooses_degree = start.chooses_degree
    state.rejected_s = [math.inf] * len(jobs)
    state.outages = [tuple(row) for row in episode.outages.tolist()]
    state.link_downs = down_times(state.outages)
    state.scale_s = fleet.limits["scale_period_s"] or math.inf
    state.metrics_s = fleet.limits["metrics_delay_s"] or math.inf
    state.scrapes = begin_scrapes(state)
    begin_off(state)
    run = Run(state)
    end_s = fleet.limits["drain_cap_s" if start.drains else "horizon_s"]
    while not run.done:
        _decide(run, choose)
        for node in nodes:
            if any(engine.at_boundary for engine in node.engines()):
                plan_node(state, node)
        if any(node.due for node in nodes) or (state.global_due and state.queue):
            continue
        time_s = _next_time_s(state)
        if start.drains and all(
            min(*ends_s) < math.inf for ends_s in zip(state.finished_s, state.rejected_s, strict=True)
        ):
            run.done = "drained"
        elif time_s > end_s:
            _pass_time(state, end_s)
            count_unfinished(state, [engine for node in nodes for engine in node.engines()])
            run.done = "time limit"
        else:
            _handle(run, time_s)
    return run


# --- time -------------------------------------------------------------------------------------


def _wait_for_memory_s(state: State, engine: Engine) -> float:
    """When the first stage of an engine without a step can begin."""
    if engine.step is not None or engine.at_boundary:
        return math.inf
    return min((sequence.start_s for sequence in engine.batch), default=math.inf)


def _next_time_s(state: State) -> float:
    times = [state.ask_again_s, *(node.ask_again_s for node in state.nodes), *(time_s for time_s, _ in state.timed)]
    for node in state.nodes:
        for engine in node.engines():
            times.append(engine.step.end_s if engine.step is not None else _wait_for_memory_s(state, engine))
            if engine.load is not None:
                times.append(engine.load.end_s)
            times += [prefix.held_until_s for prefix in engine.held()]
    if state.arrived < len(state.jobs):
        times.append(state.jobs[state.arrived].arrival_s)
    times += [next_coming_s(state), state.scale_s, next_scrape_s(state), state.regroup_s]
    return max(state.now_s, min(times))


def _pass_time(state: State, time_s: float) -> None:
    """Let time pass in which nothing changes, under the integrals."""
    elapsed_s = time_s - state.now_s
    nodes = state.nodes
    state.count("kv_reserved_byte_s", elapsed_s * sum(node.reserved_bytes for node in nodes))
    state.count("kv_virtual_byte_s", elapsed_s * sum(node.virtual_bytes for node in nodes))
    state.count("weights_byte_s", elapsed_s * sum(node.weights_bytes for node in nodes))
    if elapsed_s > TIE_S:
        for name, held in (("reserved", "reserved_bytes"), ("virtual", "virtual_bytes")):
            most = f"kv_{name}_peak_bytes"
            state.counters[most] = max(state.counters.get(most, 0.0), sum(getattr(node, held) for node in nodes))
    present = [
        job.weight
        for number, job in enumerate(state.jobs[: state.arrived])
        if min(state.finished_s[number], state.rejected_s[number]) == math.inf
    ]
    state.count("weighted_residence", elapsed_s * sum(present))
    state.now_s = time_s


def _handle(run: Run, time_s: float) -> None:
    """All that happens at one instant."""
    state = run.state
    _pass_time(state, time_s)
    until_s = time_s + TIE_S
    for node in state.nodes:
        for engine in node.engines():
            if engine.step is not None and engine.step.end_s <= until_s:
                run.seen |= _kinds(node, engine)
                end_step(state, node, engine)
            elif _wait_for_memory_s(state, engine) <= until_s:
                engine.at_boundary = True
            let_go(node, engine, until_s)
    for node in state.nodes:
        for engine in node.engines():
            if engine.load is not None and engine.load.end_s <= until_s:
                advance_load(state, node, engine)
    while state.timed and min(state.timed)[0] <= until_s:
        event = min(state.timed)
        state.timed.remove(event)
        _handle_stage(state, state.stages[event[1]])
    while state.arrived < len(state.jobs) and state.jobs[state.arrived].arrival_s <= until_s:
        job = state.jobs[state.arrived]
        state.arrived += 1
        state.count("arrived")
        for number in job.stages:
            if state.stages[number].parents_left == 0:
                _make_ready(state, state.stages[number])
    handle_comings(state, until_s)
    handle_regrouping(state)
    for node in state.nodes:
        if node.ask_again_s <= until_s:
            node.due, node.ask_again_s = True, math.inf
    if state.ask_again_s <= until_s:
        state.global_due, state.ask_again_s = True, math.inf
    handle_scaling(state, until_s)
    handle_scrapes(state, until_s)
    handle_moment(state, until_s)


def _kinds(node: Node, engine: Engine) -> set[str]:
    """What a step was an example of."""
    kinds = set()
    scheduled = [sequence for sequence in engine.batch if sequence.scheduled > 0]
    if any(s.prefilling and s.computed + s.scheduled < s.target for s in scheduled):
        kinds.add("chunked prefill")
    if engine.phase == "prefill" and any(not s.prefilling for s in scheduled):
        kinds.add("mixed step")
    if sum(other.phase != "idle" for other in node.engines()) > 1:
        kinds.add("contention")
    return kinds


def _make_ready(state: State, stage: Stage) -> None:
    stage.times["ready"] = state.now_s
    state.join_global(stage)


def _handle_stage(state: State, stage: Stage) -> None:
    """A timed event of a stage: delivery, end of its tool's gap, or arrival at its node."""
    if stage.phase == "delivery":
        _deliver(state, stage)
    elif stage.phase == "gap":
        stage.phase = "finished"
        if stage.tool >= 0:
            state.tool_calls[stage.tool].remove(stage)
        for child in (state.stages[number] for number in stage.children):
            child.parents_left -= 1
            if child.parents_left == 0:
                _make_ready(state, child)
    else:
        node = state.nodes[stage.node]
        node.inbound -= 1
        if node.life not in ("ready", "draining"):
            come_back(state, stage)
            return
        node.queue.append(stage)
        node.due = True
        stage.phase = "queued"
        stage.times["queued"] = state.now_s


def _deliver(state: State, stage: Stage) -> None:
    job, number = stage.job, stage.job_id
    stage.times["finished"] = state.now_s
    see_answer(state, stage)
    state.count("stages_finished")
    state.count(f"output_tokens of tenant {job.tenant}", stage.generated)
    state.count(f"answered of tenant {job.tenant}")
    state.jobs_done[number] += 1
    if job.cls == INTERACTIVE:
        met = stage.times["first_token"] - stage.times["ready"] <= job.ttft_limit_s
        state.count("ttft_met_weight" if met else "ttft_missed_weight", job.weight)
    state.jobs_left[number] -= 1
    if state.jobs_left[number] == 0:
        state.finished_s[number] = state.now_s
        state.count("finished")
        state.count("slo_met_weight" if state.now_s <= job.deadline_s else "slo_missed_weight", job.weight)
    if not stage.children:
        stage.phase = "finished"
        return
    tools = state.fleet.tool_of_role
    if stage.calls_tool and stage.role < len(tools) and tools[stage.role] >= 0:
        stage.tool, stage.phase = tools[stage.role], "tool"
        state.tool_queues[stage.tool].append(stage)
    else:
        _run_tool(state, stage)


def _run_tool(state: State, stage: Stage) -> None:
    stage.phase = "gap"
    state.timed.append((state.now_s + stage.gap_s, stage.id))


def _give_place(state: State, stage: Stage) -> None:
    """A call of a tool begins."""
    state.tool_queues[stage.tool].remove(stage)
    state.tool_calls[stage.tool].append(stage)
    stage.times["tool_started"] = state.now_s
    _run_tool(state, stage)


def _contested_tool(state: State) -> int | None:
    """Begin calls as far as nobody has to choose; the tool where somebody has to."""
    for tool, places in enumerate(state.fleet.tool_places):
        while (queue := state.tool_queues[tool]) and len(state.tool_calls[tool]) < places:
            if state.orders_tools and len(queue) > places - len(state.tool_calls[tool]):
                return tool
            _give_place(state, queue[0])
    return None


# --- decisions --------------------------------------------------------------------------------


def _decide(run: Run, choose: Callable[[Asked], Action]) -> None:
    """Ask for every decision that is due at this instant."""
    state = run.state
    while (question := _next_question(state)) is not None:
        tier, place, actions = question
        legal = list(actions)
        if tier in ("global", "node") and legality.may_wait(state):
            legal.append(legality.WAIT)
        asked = Asked(len(run.records), tier, place, tuple(sorted(legal)))
        run.records.append(Record(state.now_s, asked, router_to_ask(state, tier, place), *observe(state)))
        _act(state, asked, choose(asked))


def _next_question(state: State) -> tuple[str, int, list[Action]] | None:
    state.regrouping = False
    if state.to_route is not None:
        return "cluster", state.to_route.cluster, legality.cluster_actions(state, state.to_route)
    for stage in state.handed_over:
        if actions := legality.cluster_actions(state, stage):
            state.handed_over.remove(stage)
            state.to_route = stage
            return "cluster", stage.cluster, actions
    if (tool := _contested_tool(state)) is not None:
        return "tool", tool, [("call", stage.id, 0) for stage in state.tool_queues[tool]]
    if (stage := next_undecided(state)) is not None:
        return "context", stage.id, context_actions()
    if scalings := scale_actions(state):
        return "global", 0, legality.global_actions(state) + legality.rejections(state) + scalings
    state.scaling = False
    if asked := question(state):
        state.regrouping = True
        return "node", asked[0].id, asked[1]
    if state.global_due and state.queue:
        actions = legality.global_actions(state)
        rejections = legality.rejections(state)
        if actions or (rejections and legality.may_wait(state)):
            return "global", 0, actions + rejections
        state.global_due = False
    for node in state.nodes:
        if node.due and node.queue:
            if legality.can_serve_queue(state, node):
                return "node", node.id, legality.node_actions(state, node)
            node.ask_again_s = state.now_s + state.fleet.limits["wait_max_s"]
        node.due = False
    return None


def _act(state: State, asked: Asked, action: Action) -> None:
    kind, first, second = action
    if kind == "send":
        _send(state, state.stages[first], second)
    elif kind == "reject":
        _reject(state, state.stages[first].job_id)
    elif kind == "call":
        _give_place(state, state.stages[first])
    elif kind in ("start", "stop"):
        (start if kind == "start" else stop)(state, state.nodes[first])
    elif kind in ("leave", "drop", "offload", "hold"):
        decide(state, kind, first / 1000)
    elif kind == "route":
        _route(state, state.nodes[first])
    elif kind == "regroup":
        regroup(state, first)
    elif state.regrouping:
        state.boards_due.pop(0)
    elif asked.tier == "global":
        state.global_due = state.scaling = False
        state.ask_again_s = state.now_s + state.fleet.limits["wait_max_s"]
    else:
        node = state.nodes[asked.place]
        node.due = _act_on_node(state, node, kind, first, second)
        if not node.due:
            node.ask_again_s = state.now_s + state.fleet.limits["wait_max_s"]


def _send(state: State, stage: Stage, cluster: int) -> None:
    for earlier in state.queue[: state.queue.index(stage)]:
        # A workflow that had begun is preempted at its boundary when another's stage goes first.
        if earlier.job is not stage.job and state.jobs_done[earlier.job_id] > 0 and not earlier.passed_over:
            earlier.passed_over = True
            state.count("boundary_preemptions")
    state.queue.remove(stage)
    stage.times["sent"] = state.now_s
    stage.cluster = cluster
    state.to_route = stage
    state.ask_again_s = math.inf


def _reject(state: State, number: int) -> None:
    """A workflow is turned away; its residence counts until its deadline."""
    job = state.jobs[number]
    state.rejected_s[number] = state.now_s
    for stage in [stage for stage in state.queue if stage.job_id == number]:
        state.queue.remove(stage)
        stage.phase = "rejected"
    state.count("rejected")
    state.count("slo_missed_weight", job.weight)
    state.count("weighted_residence", job.weight * max(0.0, job.deadline_s - state.now_s))


def _route(state: State, node: Node) -> None:
    stage = state.to_route
    assert stage is not None
    state.to_route = None
    ingress, cluster = stage.job.ingress, node.spec.cluster
    if stage.brought:
        source = state.nodes[stage.node].spec
        moved_bytes = stage.brought * source.speeds[stage.model].kv_bytes_per_token * source.gpus
        link = source.cluster, cluster
        travel_s = state.fleet.latency_s[link[0]][link[1]] + moved_bytes / state.fleet.bytes_per_s[link[0]][link[1]]
        state.count("transfers")
        state.count("transfer_bytes", moved_bytes)
        state.count("transfer_s", travel_s)
        handle_drained(state)
    else:
        travel_s = state.fleet.latency_s[ingress][cluster] + state.fleet.limits["api_s"]
        travel_s += BYTES_PER_TOKEN * stage.prompt / state.fleet.bytes_per_s[ingress][cluster]
    stage.node, stage.phase = node.id, "transit"
    node.inbound += 1
    note_sent(state, node, stage)
    post(state, stage, cluster if stage.brought else ingress, cluster, travel_s)


def _act_on_node(state: State, node: Node, kind: str, first: int, second: int) -> bool:
    """Do a node's action; False for a wait, and for what no room could be made for."""
    if kind == "wait":
        return False
    if kind == "admit":
        return _admit(state, node, node.queue[first], second)
    engine = node.engine_of(first)
    if kind == "promote":
        delay_s = make_room(state, node, engine, load_bytes(node, first), "load")
        if delay_s is None:
            return False
        start_load(state, node, first, delay_s)
    elif engine is not None and engine.status == "awake":
        sleep_engine(state, node, engine)
    elif engine is not None:
        end_engine(state, node, engine)
    return True


def _admit(state: State, node: Node, stage: Stage, level: int) -> bool:
    engine = node.engine_of(stage.model)
    assert engine is not None
    delay_s = make_room(state, node, engine, admit_bytes(state, node, stage, level), "admission")
    if delay_s is None:
        return False
    node.queue.remove(stage)
    brought = stage.brought
    sequence = admit(state, node, stage, level, delay_s)
    stage.phase = "running"
    if "admitted" not in stage.times:
        state.count(f"prompt_tokens of tenant {stage.job.tenant}", stage.prompt)
        state.count(f"cached_tokens of tenant {stage.job.tenant}", sequence.begun)
        state.count(f"admitted of tenant {stage.job.tenant}")
    stage.times["admitted"] = engine.used_s = state.now_s
    state.hosts[node.spec.host].used_s[stage.model] = state.now_s
    if not brought:
        state.count("prompt_tokens", sequence.target)
        state.count("cached_tokens", sequence.begun)
    if engine.step is None:
        engine.at_boundary = True
    state.global_due = True
    return True


# --- what is compared -------------------------------------------------------------------------


def observe(state: State) -> tuple[list[tuple[float, ...]], list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The memory of every node, and of every engine, by node and model; what routers know of every node by scrapes."""
    nodes, engines = [], []
    ages = state.fleet.limits["metrics_delay_s"] > 0
    for node in state.nodes:
        nodes.append(
            (
                node.pool_bytes,
                node.weights_bytes,
                node.reserved_bytes,
                node.cached_bytes,
                node.virtual_bytes,
                node.rho,
                len(node.queue),
                node.inbound,
                node.life,
                node.outages,
                float(node.seen_bytes if ages else sum(used_bytes(engine) for engine in node.engines())),
            )
        )
        for engine in sorted(node.engines(), key=lambda engine: engine.model):
            used = engine.seen_bytes if ages else used_bytes(engine)
            batch = tuple(sequence.stage.id for sequence in engine.batch)
            memory = (engine.reserved_bytes, engine.pinned_bytes, engine.cached_bytes, used, engine.pool_bytes)
            engines.append((node.id, engine.model, engine.status, batch, *memory))
    clusters = range(len(state.fleet.latency_s))
    nodes += [(one, other, is_down(state, one, other)) for one in clusters for other in clusters]
    known = [
        (scrape.router, node, scrape.kind, *row) for scrape in state.scrapes for node, row in enumerate(scrape.known)
    ]
    return nodes, engines, known
