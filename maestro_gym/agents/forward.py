"""The actor's forward pass, compiled: the same numbers as torch up to rounding, without torch.

Weights travel as one flat float32 array and a table of layers, so that any widths run through one
compiled function.
"""

from __future__ import annotations

import numpy as np
import torch

from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.core.compile import njit

SCORER, MLP = 0, 1


def pack(network: CandidateScorer | SlotMlp) -> tuple[int, np.ndarray, np.ndarray]:
    """Lay out the actor of a network for `best_candidate`.

    Args:
        network: With trained weights.

    Returns:
        ``SCORER`` or ``MLP``; weights, float32, flat, each layer as (inputs, outputs) followed by its biases;
        layers, int64, shape (L, 2): inputs and outputs. A scorer's layers are: context, the context's share
        of the first layer, the candidate's share of it, hidden ones, logit.
    """
    if isinstance(network, CandidateScorer):
        kind = SCORER
        actor = network.actor
        layers = [*actor.context, actor.context_in, actor.candidate_in, *actor.hidden, network.logit]
    else:
        kind = MLP
        layers = [*network.hidden, network.logit]
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    parts: list[np.ndarray] = []
    for layer in linear:
        bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_features)
        parts += [layer.weight.detach().numpy().T.ravel(), bias.detach().numpy()]
    table = np.array([(layer.in_features, layer.out_features) for layer in linear], dtype=np.int64)
    return kind, np.concatenate(parts).astype(np.float32), table


@njit
def _linear(weights: np.ndarray, start: int, inputs: int, outputs: int, given: np.ndarray, result: np.ndarray) -> int:
    """One layer, result += W given + b; returns where the next layer's weights start."""
    biases = start + inputs * outputs
    for o in range(outputs):
        result[o] += weights[biases + o]
    # Outputs innermost: they are independent, so that the compiler may use vectors without reordering a sum.
    for i in range(inputs):
        row, x = start + i * outputs, given[i]
        for o in range(outputs):
            result[o] += weights[row + o] * x
    return start + (inputs + 1) * outputs


@njit
def _relu(values: np.ndarray, size: int) -> None:
    for i in range(size):
        values[i] = max(values[i], np.float32(0.0))


@njit
def _through(weights: np.ndarray, layers: np.ndarray, first: int, start: int, scratch: np.ndarray, row: int) -> int:
    """Take a row of the scratch through the layers from ``first`` on, ReLU between them.

    Returns:
        Row of the result, ``row`` or the one after it.
    """
    given, result = row, row + 1
    last = layers.shape[0] - 1
    for layer in range(first, last + 1):
        inputs, outputs = layers[layer, 0], layers[layer, 1]
        for o in range(outputs):
            scratch[result, o] = np.float32(0.0)
        start = _linear(weights, start, inputs, outputs, scratch[given], scratch[result])
        if layer < last:
            _relu(scratch[result], outputs)
        given, result = result, given
    return given


@njit
def score_candidates(
    weights: np.ndarray,
    layers: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    legal: np.ndarray,
    scratch: np.ndarray,
    logits: np.ndarray,
) -> None:
    """The logits of a scorer; arguments as of `best_candidate`.

    Args:
        weights: Of a ``SCORER``.
        layers: Of a ``SCORER``.
        candidates: The rows to score.
        context: What they share.
        legal: Which of them are there.
        scratch: Written.
        logits: float32, shape (A,), written where a candidate is legal.
    """
    scratch[0, :] = np.float32(0.0)
    scratch[1, :] = np.float32(0.0)
    start = _linear(weights, 0, layers[0, 0], layers[0, 1], context, scratch[0])
    _relu(scratch[0], layers[0, 1])
    start = _linear(weights, start, layers[1, 0], layers[1, 1], scratch[0], scratch[1])
    beyond = start + (layers[2, 0] + 1) * layers[2, 1]
    for a in range(candidates.shape[0]):
        if not legal[a]:
            continue
        for i in range(layers[2, 1]):
            scratch[2, i] = scratch[1, i]
        _linear(weights, start, layers[2, 0], layers[2, 1], candidates[a], scratch[2])
        _relu(scratch[2], layers[2, 1])
        logits[a] = scratch[_through(weights, layers, 3, beyond, scratch, 2), 0]


@njit
def _highest(logits: np.ndarray, legal: np.ndarray) -> int:
    best = -1
    for a in range(legal.shape[0]):
        if legal[a] and np.isnan(logits[a]):
            return -1  # no order holds among such: whatever were chosen, it would be by accident
        if legal[a] and (best < 0 or logits[a] > logits[best]):
            best = a
    return best


@njit
def _best_slot(
    weights: np.ndarray,
    layers: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    legal: np.ndarray,
    scratch: np.ndarray,
) -> int:
    filled = 0
    for a in range(candidates.shape[0]):
        for f in range(candidates.shape[1]):
            scratch[0, filled] = candidates[a, f]
            filled += 1
    for g in range(context.shape[0]):
        scratch[0, filled + g] = context[g]
    return _highest(scratch[_through(weights, layers, 0, 0, scratch, 0)], legal)


def scratch_width(layers: np.ndarray) -> int:
    """Columns of the scratch that `best_candidate` needs."""
    return int(layers.max())


@njit
def best_candidate(
    kind: int,
    weights: np.ndarray,
    layers: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    legal: np.ndarray,
    scratch: np.ndarray,
    logits: np.ndarray,
) -> int:
    """The legal candidate with the highest logit, the first among equals.

    Args:
        kind: ``SCORER`` or ``MLP``.
        weights: float32, flat, from `pack`.
        layers: int64, shape (L, 2), from `pack`.
        candidates: float32, shape (A, F).
        context: float32, shape (G,).
        legal: bool, shape (A,).
        scratch: float32, shape (4, `scratch_width`), written.
        logits: float32, shape (A,), written.

    Returns:
        Row of ``candidates``, -1 when none is legal or a legal one has a logit that is no number.
    """
    if kind == SCORER:
        score_candidates(weights, layers, candidates, context, legal, scratch, logits)
        return _highest(logits, legal)
    return _best_slot(weights, layers, candidates, context, legal, scratch)
