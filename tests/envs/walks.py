"""Small environments and random legal walks through them."""

from collections.abc import Callable

import gymnasium
import numpy as np

from maestro_gym.core.boxed import box
from maestro_gym.registration import TIERS, env_id
from maestro_gym.scheduling.policy import Rule
from maestro_gym.state import View
from maestro_gym.state.types import HIDDEN, VIEW, blank_hidden

__all__ = ["SMALL", "TIERS", "ask", "make", "make_vec", "random_legal", "walk"]

# Half a minute of the quick fleet, overloaded: all tiers have something to decide.
SMALL = ("horizon_s=12", "contention=high", "limits.node_queue_limit=8")


def make(tier: str, **options: object) -> gymnasium.Env:
    options = {"overrides": SMALL, **options}
    return gymnasium.make(f"maestro_gym:{env_id(tier)}", **options).unwrapped


def make_vec(tier: str, num_envs: int, **options: object) -> gymnasium.vector.VectorEnv:
    options = {"overrides": SMALL, **options}
    return gymnasium.make_vec(f"maestro_gym:{env_id(tier)}", num_envs=num_envs, **options)


def random_legal(mask: np.ndarray, seed: int, step: int) -> int:
    """A legal action that depends on nothing but its arguments."""
    legal = np.flatnonzero(mask)
    return int(legal[np.random.default_rng((seed, step)).integers(len(legal))])


def ask(rule: Rule, view: View) -> int:
    """What a rule answers in an environment of its own."""
    return int(rule.function(box(view, VIEW), box(blank_hidden(), HIDDEN), 0))


def walk(
    env: gymnasium.Env, seed: int, steps: int | None = None, choose: Callable[[], int] | None = None
) -> list[tuple]:
    """Steps of one episode, random legal ones unless one chooses, as (observation, reward, ended, info)."""
    observation, info = env.reset(seed=seed)
    rows = [(observation, 0.0, False, info)]
    while not rows[-1][2] and (steps is None or len(rows) <= steps):
        action = choose() if choose else random_legal(info["action_mask"], seed, len(rows))
        observation, reward, terminated, truncated, info = env.step(action)
        rows.append((observation, reward, terminated or truncated, info))
    return rows
