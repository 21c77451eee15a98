"""Counter-free random draws: every draw is a hash of (key, purpose, entity).

No generator is advanced anywhere, so no decision can shift a later draw and every policy meets
the same arrivals, lengths and gaps. All arithmetic stays below 2**63 (words of 32 bits times
multipliers below 2**31), so the same source gives the same bits interpreted, compiled and on a
GPU, without overflow warnings.

The mixing function is the 32-bit ``[16 21f0aaad 15 735a2d97 15]`` of the hash-prospector search
(https://github.com/skeeto/hash-prospector, bias 0.107), run over two lanes.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit

# Purposes keep draws of different meaning independent. Numbers are part of the seed's meaning:
# never reuse one, never renumber. 1..63 workloads, 64..95 predictors, 96..127 simulator,
# 128..191 rules and agents, 192.. evaluation.
EPISODE = 1
ARRIVAL = 2
APPLICATION = 3
TENANT = 4
DEPLOYMENT = 5
BRANCH = 6
LOOP = 7
FAN_OUT = 8
QUERY_TOKENS = 9
INPUT_TOKENS = 10
OUTPUT_TOKENS = 11
TOOL_INTENT = 12
TOOL_RESULT_TOKENS = 13
TOOL_GAP = 14
TRACE_WINDOW = 15
TRACE_DEPLOYMENT = 16
CALLS = 17
JOB_EFFECT = 18
RESET = 19
CONTINUATION = 20
CONTINUATION_LAG = 21
MIXTURE = 22
ARRIVAL_STATE = 23
ARRIVAL_PHASE = 24
ARRIVAL_CLIENT = 25
PREFIX_GROUP = 26
PREFIX_TOKENS = 27
PREDICTION_NOISE = 64
PREDICTION_TOOL = 65
PREDICTION_FUTURE = 66
NODE_OUTAGE = 96
HOST_OUTAGE = 97
LINK_OUTAGE = 98
RULE = 128
ADMISSION = 129
BOOTSTRAP = 192

_WORD = 0xFFFFFFFF


@njit
def _scramble(word: int) -> int:
    """Bijective mixing of one 32-bit word."""
    word ^= word >> 16
    word = (word * 0x21F0AAAD) & _WORD
    word ^= word >> 15
    word = (word * 0x735A2D97) & _WORD
    return word ^ (word >> 15)


@njit
def _lane(start: int, key: int, purpose: int, entity: int) -> int:
    """Absorb the five words of a draw into one 32-bit lane."""
    word = _scramble((start + (key & _WORD)) & _WORD)
    word = _scramble((word + 0x3C6EF372 + ((key >> 32) & _WORD)) & _WORD)
    word = _scramble((word + 0x5851F42D + (purpose & _WORD)) & _WORD)
    word = _scramble((word + 0x2545F491 + (entity & _WORD)) & _WORD)
    return _scramble((word + 0x1B873593 + ((entity >> 32) & _WORD)) & _WORD)


@njit
def mix(key: int, purpose: int, entity: int) -> int:
    """Hash a draw to an integer.

    Args:
        key: The episode's key, or a policy's, any 64-bit signed integer.
        purpose: One of this module's constants, or a number of your own above 256.
        entity: Id of what the draw is for.

    Returns:
        A value in [0, 2**62).
    """
    high = _lane(0x9E3779B9, key, purpose, entity)
    low = _lane(0x7F4A7C15, key, purpose, entity)
    return ((high & 0x3FFFFFFF) << 32) | low


@njit
def uniform(key: int, purpose: int, entity: int) -> float:
    """Draw from [0, 1), 53 bits. Arguments as for ``mix``."""
    return (mix(key, purpose, entity) >> 9) * (1.0 / 9007199254740992.0)


@njit
def normal(key: int, purpose: int, entity: int) -> float:
    """Draw from the standard normal law (Box-Muller, tails to 6.5 sigma). Arguments as for ``mix``."""
    bits = mix(key, purpose, entity)
    radius = ((bits >> 31) + 0.5) * (1.0 / 2147483648.0)
    angle = (bits & 0x7FFFFFFF) * (2.0 * math.pi / 2147483648.0)
    return math.sqrt(-2.0 * math.log(radius)) * math.cos(angle)


@njit
def exponential(key: int, purpose: int, entity: int) -> float:
    """Draw from the exponential law of mean 1. Arguments as for ``mix``."""
    return -math.log(1.0 - uniform(key, purpose, entity))


@njit
def gamma(key: int, purpose: int, entity: int, shape: float) -> float:
    """Draw from the gamma law of mean ``shape`` and scale 1 (Marsaglia and Tsang 2000).

    Rejection is bounded: of 32 tries, each accepted with probability above 0.95, the last counts.

    Args:
        key: As for ``mix``.
        purpose: As for ``mix``.
        entity: As for ``mix``; below 2**56.
        shape: The law's shape, above 0.

    Returns:
        A positive value.
    """
    boosted = shape if shape >= 1.0 else shape + 1.0
    d = boosted - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    value = d
    for attempt in range(32):
        x = normal(key, purpose, entity * 128 + attempt)
        root = 1.0 + c * x
        if root > 0.0:
            cube = root * root * root
            u = 1.0 - uniform(key, purpose, entity * 128 + 32 + attempt)
            if math.log(u) < 0.5 * x * x + d - d * cube + d * math.log(cube):
                value = d * cube
                break
    if shape < 1.0:
        u = 1.0 - uniform(key, purpose, entity * 128 + 127)
        value *= u ** (1.0 / shape)
    return value
