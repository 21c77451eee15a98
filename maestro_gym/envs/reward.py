"""Rewards: objects that turn what was counted over a step into a value and its terms."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np

from maestro_gym.core.errors import ArgumentTypeError, ArgumentValueError
from maestro_gym.envs.batch.buffers import REWARD_COUNTERS
from maestro_gym.episodes.scenario import Scenario


@runtime_checkable
class Reward(Protocol):
    """A reward. It must pickle, and look at nothing but its arguments.

    Attributes:
        term_names: Names of the terms, in order.
    """

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms, in order."""
        ...

    def __call__(self, deltas: np.ndarray, dt_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Value a step of every environment of a batch.

        Args:
            deltas: Array of float64, shape (E, len(REWARD_COUNTERS)): increase of each counter of
                `REWARD_COUNTERS` over the step.
            dt_s: Array of float64, shape (E,): simulated length of the step.

        Returns:
            Rewards, float64 (E,), and their terms, float64 (E, len(term_names)).
        """
        ...


@dataclass(frozen=True)
class RewardConfig:
    """The default reward, a weighted sum of counters.

    Residence is the integral over time of the weight of the workflows in the system, so its sum
    over an episode is ``-sum_w weight * (min(finish, end) - arrival)``. The other weights are in
    the same unit: an SLO miss of a workflow of weight 1 costs as much as ``slo_missed`` seconds of
    its presence. The first step of an episode also carries what happened before its decision.

    Attributes:
        residence: Per weight-second in the system, subtracted.
        slo_met: Per weight of a workflow that finished by its deadline, added [s].
        slo_missed: Per weight of one that finished later, subtracted [s].
        ttft_met: Per weight of an interactive stage under its TTFT limit, added [s].
        ttft_missed: Per weight of one above it, subtracted [s].
        cold_start: Per engine start from CPU, DISK or REMOTE, subtracted [s].
        invalid_action: Per illegal action, subtracted [s].
    """

    residence: float = 1.0
    slo_met: float = 0.0
    slo_missed: float = 30.0
    ttft_met: float = 0.0
    ttft_missed: float = 3.0
    cold_start: float = 0.0
    invalid_action: float = 0.0

    @classmethod
    def with_slo_weight(cls, slo_weight: float) -> RewardConfig:
        """The default reward with its SLO terms scaled by one factor."""
        return cls(slo_missed=cls.slo_missed * slo_weight, ttft_missed=cls.ttft_missed * slo_weight)


_COUNTER_OF_TERM = {
    "residence": ("weighted_residence", -1.0),
    "slo_met": ("slo_met_weight", 1.0),
    "slo_missed": ("slo_missed_weight", -1.0),
    "ttft_met": ("ttft_met_weight", 1.0),
    "ttft_missed": ("ttft_missed_weight", -1.0),
    "cold_start": ("cold_starts", -1.0),
    "invalid_action": ("invalid_actions", -1.0),
}


class LinearReward:
    """The reward of a `RewardConfig`: one term a field."""

    def __init__(self, config: RewardConfig | None = None) -> None:
        """Make the reward.

        Args:
            config: Weights of the terms; None takes the defaults.
        """
        self.config = config or RewardConfig()
        names = [field.name for field in fields(self.config)]
        self._names = tuple(names)
        self._columns = np.array([REWARD_COUNTERS.index(_COUNTER_OF_TERM[name][0]) for name in names])
        self._weights = np.array([_COUNTER_OF_TERM[name][1] * getattr(self.config, name) for name in names])

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms, in order."""
        return self._names

    def __call__(self, deltas: np.ndarray, dt_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Value a step of every environment of a batch; see `Reward`."""
        # Adding zero turns the -0.0 of a term that did not occur into 0.0.
        terms = deltas[:, self._columns] * self._weights + 0.0
        # A cumulative sum adds in the same order whatever the batch size; np.sum need not.
        return np.cumsum(terms, axis=1)[:, -1], terms


NORMALISED = "normalised"
WEIGHTED = "weighted"

_PAST_WORKFLOWS = 512
"""Workflows of the training split from which `reward_unit_s` is measured."""


def reward_unit_s(scenario: Scenario) -> float:
    """What -1 of the normalised reward means, in weight-seconds.

    It is the share that falls to one stage when a workflow stays in the system exactly until its deadline: the mean of
    weight * (deadline - arrival) over workflows, divided by the mean number of stages of a workflow. Where every
    workflow takes all the time that it has, the rewards of an episode add up to minus the number of stages.

    Args:
        scenario: Its workflows of the training split are taken.
    """
    past = scenario.workload.history(_PAST_WORKFLOWS, scenario.world.service)
    workflows = past.workflows
    allowed_s = workflows["weight"] * (workflows["deadline_s"] - workflows["arrival_s"])
    return float(allowed_s.mean()) * len(workflows) / len(past.stages)


def reward_of(given: str | RewardConfig | Reward, scenario: Scenario) -> Reward:
    """The reward that an environment was asked for.

    Args:
        given: ``weighted`` is `RewardConfig` with its defaults [weight-seconds], ``normalised`` the same divided by
            `reward_unit_s`; or weights, or a reward.
        scenario: What the environment runs.

    Raises:
        ArgumentValueError: There is no reward of that name.
        ArgumentTypeError: It is no reward.
    """
    if isinstance(given, RewardConfig):
        return LinearReward(given)
    if not isinstance(given, str):
        if not isinstance(given, Reward):
            raise ArgumentTypeError(
                f"reward={given!r} is no reward; pass {WEIGHTED!r}, {NORMALISED!r}, a RewardConfig, or an object with "
                "term_names and __call__(deltas, dt_s)."
            )
        return given
    if given == WEIGHTED:
        return LinearReward()
    if given == NORMALISED:
        unit_s = reward_unit_s(scenario)
        return LinearReward(RewardConfig(**{name: value / unit_s for name, value in asdict(RewardConfig()).items()}))
    raise ArgumentValueError(f"reward={given!r} is none of {WEIGHTED!r}, {NORMALISED!r}; pass one of them, or weights.")


def discount(dt_s: float | np.ndarray, horizon_s: float) -> float | np.ndarray:
    """Continuous-time discount of a step, exp(-beta * dt) with beta = 1 / horizon.

    Args:
        dt_s: Simulated length of the step.
        horizon_s: 1 / beta.

    Returns:
        The factor for what comes after the step, of the shape of ``dt_s``.
    """
    if isinstance(dt_s, np.ndarray):
        return np.exp(-dt_s / horizon_s)
    return math.exp(-dt_s / horizon_s)
