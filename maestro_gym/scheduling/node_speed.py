"""How fast a node of its kind serves a model: prefill and decode from the profile of the step, not at nominal speed.

The nominal speeds of ``World.service`` are one number a model for the whole fleet; on a fleet of several kinds of GPU a
rule that compares nodes needs these. The step is that of docs/physics.md, "A step of an engine", for an engine alone on
its node: what co-located engines take from it is for the rule to add. They read the view alone.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import slot_running
from maestro_gym.state import View


@njit
def context_tokens(view: View, e: int, node: int, slot: int) -> float:
    """Prompts of the stages that an engine runs: the KV tokens that a decode step reads at least."""
    total = 0.0
    for i in range(slot_running(view, e, node, slot)):
        total += float(view.stages[e, view.batch[e, node, slot, i]].prompt_tokens)
    return total


@njit
def decode_step_s(view: View, node: int, model: int, sequences: int, kv_tokens: float) -> float:
    """Seconds of one decode step of a batch.

    Args:
        view: What a scheduler sees.
        node: Whose kind of GPU.
        model: The model of the engine.
        sequences: That decode, at least one; more than an engine runs count as a full batch.
        kv_tokens: KV tokens that they read together.
    """
    world = view.world
    hardware, arch = world.nodes[node].hardware, world.models[model].arch
    batch = min(max(1, sequences), world.step_s.shape[2] - 1, world.sample_s.shape[2] - 1)
    decode = world.decode[hardware, arch, batch]
    seconds = world.step_s[hardware, arch, batch] + world.sample_s[hardware, arch, batch]
    seconds += decode.const_s + decode.s_per_token * kv_tokens
    return float(seconds)


@njit
def prefill_s(view: View, node: int, model: int, tokens: float) -> float:
    """Seconds of the prefill of a prompt, in chunks of the token budget, to its first token.

    Args:
        view: What a scheduler sees.
        node: Whose kind of GPU.
        model: The model of the engine.
        tokens: Of the prompt that are not cached.
    """
    world = view.world
    hardware, arch = world.nodes[node].hardware, world.models[model].arch
    budget = world.step_s.shape[2] - 1
    whole = int(tokens) // budget
    rest = int(tokens) - whole * budget
    perf = world.perf[hardware, arch]
    seconds = whole * (world.step_s[hardware, arch, budget] + perf.att_prefill_const_s)
    if rest > 0:
        seconds += world.step_s[hardware, arch, rest] + perf.att_prefill_const_s
    return float(seconds + world.sample_s[hardware, arch, 1] + perf.att_prefill_s_per_pair * 0.5 * tokens * tokens)
