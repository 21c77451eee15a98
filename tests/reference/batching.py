"""Engine steps, one at a time: continuous batching, chunked prefill, co-location.

Conventions beside the formulas (docs/physics.md, "A step of an engine"):

- A batch is in order of admission; nobody waits outside it, for the node tier admits. Decodes and
  prompt chunks share the step's tokens in that order until the budget is spent.
- A step with any prompt chunk is in phase ``prefill``, with decodes only in ``decode``.
- All engines of a node that are between two steps are planned together, after all decisions of the
  instant: first they grow, then their phases are settled, then their steps begin.
- The slowdown is taken when a step is planned; what the step owes (page mapping, warm-up) comes
  before it and is not slowed.
"""

from __future__ import annotations

from tests.reference.contexts import note_boundary
from tests.reference.kv_memory import keep_context, leave, share_system_prompt
from tests.reference.links import post, send_first_token
from tests.reference.machine import TIE_S, Engine, Node, Sequence, State, Step
from tests.reference.reclaim import grow_batch


def slowdown(node: Node, engine: Engine) -> float:
    """Factor by which busy neighbours slow an engine."""
    limits = node.fleet.limits
    busy = [e.phase for e in node.engines() if e.phase != "idle"]
    if len(busy) <= 1:
        return 1.0
    if not limits["mps"]:
        shares = {"prefill": limits["share_prefill"], "decode": limits["share_decode"]}
        return max(1.0, sum(shares[phase] for phase in busy))
    if engine.phase == "prefill":
        # Equal SM shares of 1/k.
        return len(busy) ** limits["mps_prefill_exponent"]
    return max(1.0, limits["mps_share_decode"] * len(busy))


def next_phase(state: State, engine: Engine) -> str:
    """What an engine's next step will be."""
    ready = [sequence for sequence in engine.batch if sequence.has_memory(state.now_s)]
    if any(sequence.prefilling for sequence in ready):
        return "prefill"
    return "decode" if ready else "idle"


def plan_node(state: State, node: Node) -> None:
    """Begin a step of every engine that is between two."""
    for engine in node.engines():
        if engine.at_boundary:
            let_scheduled_step_go(state, engine)
            grow_batch(state, node, engine)
    planned = [engine for engine in node.engines() if engine.at_boundary]
    for engine in planned:
        engine.phase = next_phase(state, engine)
    for engine in planned:
        engine.at_boundary = False
        if engine.phase != "idle":
            begin_step(state, node, engine)


def let_scheduled_step_go(state: State, engine: Engine) -> None:
    """What was admitted while a step ran waits for the next one too, which was scheduled before."""
    here = [sequence for sequence in engine.batch if sequence.has_memory(state.now_s)]
    scheduled = [sequence for sequence in here if not sequence.joining]
    for sequence in here:
        if sequence.joining and scheduled:
            sequence.start_s = state.now_s + 2 * TIE_S
        sequence.joining = False


def begin_step(state: State, node: Node, engine: Engine) -> None:
    """Schedule tokens within the budget, and reckon the step's time."""
    budget = int(state.fleet.limits["max_num_batched_tokens"])
    chunks, contexts, samples = [], [], 0
    for sequence in engine.batch:
        sequence.scheduled = 0
        if budget == 0 or not sequence.has_memory(state.now_s):
            continue
        if sequence.prefilling:
            sequence.scheduled = min(budget, sequence.target - sequence.computed)
            chunks.append((sequence.scheduled, sequence.computed))
            samples += sequence.computed + sequence.scheduled == sequence.target
        else:
            sequence.scheduled = 1
            contexts.append(sequence.computed + 1)
            samples += 1
        budget -= sequence.scheduled
    nominal_s = engine.speed.step_s(chunks, contexts, samples)
    if engine.cold:
        engine.owed_s += state.fleet.limits["warmup_s"]
        engine.cold = False
    begin_s = state.now_s + engine.owed_s
    engine.owed_s = 0.0
    engine.step = Step(begin_s, begin_s + nominal_s * slowdown(node, engine), nominal_s, engine.phase)


def count_unfinished(state: State, engines: list[Engine]) -> None:
    """Count the part that is over of every step under way that will not end."""
    for engine in engines:
        step = engine.step
        if step is not None:
            part = max(0.0, state.now_s - step.begin_s) / (step.end_s - step.begin_s)
            state.count("busy_s", part * step.nominal_s)


def end_step(state: State, node: Node, engine: Engine) -> None:
    """Account for the tokens of a step that has ended."""
    assert engine.step is not None
    state.count("busy_s", engine.step.nominal_s)
    engine.step = None
    engine.at_boundary = True
    for sequence in list(engine.batch):
        tokens, sequence.scheduled = sequence.scheduled, 0
        if tokens == 0:
            continue
        stage, was_prefilling = sequence.stage, sequence.prefilling
        sequence.computed += tokens
        if sequence.prefilling:
            continue
        stage.generated += 1
        if was_prefilling:
            share_system_prompt(state, engine, sequence)
            if stage.generated == 1:
                send_first_token(state, stage, node.spec.cluster, stage.job.ingress, reply_s(state, node, sequence))
        if stage.generated >= stage.output:
            finish(state, node, engine, sequence)
        elif node.spec.duty == "prefill":
            hand_over(state, node, engine, sequence)


def hand_over(state: State, node: Node, engine: Engine, sequence: Sequence) -> None:
    """A stage leaves the node that prefilled it, with the KV of what it has computed, and waits for another."""
    stage = sequence.stage
    leave(state, engine, sequence)
    keep_context(state, node, engine, stage, sequence.computed)
    stage.brought, stage.phase = sequence.computed, "handoff"
    stage.times["prefill_admitted"], stage.times["handed_over"] = sequence.admitted_s, state.now_s
    state.handed_over.append(stage)
    node.due = True


def reply_s(state: State, node: Node, sequence: Sequence) -> float:
    """Latency from a node back to where the workflow came from."""
    return state.fleet.latency_s[node.spec.cluster][sequence.stage.job.ingress]


def finish(state: State, node: Node, engine: Engine, sequence: Sequence) -> None:
    """A stage has its last token: its memory is free, its blocks are kept while they may, its answer leaves."""
    stage, limits = sequence.stage, state.fleet.limits
    leave(state, engine, sequence)
    keep_context(state, node, engine, stage, sequence.computed)
    note_boundary(state, stage)
    expected = stage.prompt + stage.q50
    under = max(0.0, sequence.computed / expected - 1)
    rho = node.rho + limits["rho_step"] * (under - node.rho)
    node.rho = min(limits["rho_max"], max(limits["rho_min"], rho))
    stage.phase = "delivery"
    post(state, stage, node.spec.cluster, stage.job.ingress, reply_s(state, node, sequence))
    state.count("output_tokens", stage.generated)
    node.due = True
