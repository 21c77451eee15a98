"""Settings of a training run: what is learned, by which network, from how many samples."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_LEARNER_SEED, MOST_STEPS, Width

MOST_SAMPLES = 2**26
"""Most decisions of a rollout."""


class TrainConfig(StrictModel):
    """MaskablePPO over the native batch."""

    tier: Literal["global", "cluster", "node", "joint"] = Field(
        default="cluster", description="tier that the agent drives"
    )
    companions: str = Field(default="maestro", description="policy of the other tiers")
    algorithm: Literal["maskable_ppo"] = Field(default="maskable_ppo", description="learning algorithm")
    network: Literal["scorer", "mlp"] = Field(
        default="scorer", description="scorer: one shared network for every candidate; mlp: flat slots, for comparison"
    )
    hidden_sizes: list[Width] = Field(
        default=[64, 64], min_length=1, max_length=16, description="widths of the hidden layers"
    )
    total_steps: int = Field(
        default=1_000_000, gt=0, le=MOST_STEPS, description="decisions to learn from, all environments together"
    )
    imitation_steps: int = Field(
        default=0,
        ge=0,
        le=MOST_STEPS,
        description="of these, the first that imitate the companions' own rule of the tier; then PPO",
    )
    num_envs: int = Field(default=256, gt=0, le=65536, description="environments of the batch")
    rollout_steps: int = Field(
        default=64, gt=0, le=2**20, description="decisions of each environment between two updates"
    )
    batch_size: int = Field(default=2048, gt=0, le=2**28, description="samples of a minibatch")
    epochs: int = Field(default=4, gt=0, le=1000, description="passes over a rollout")
    learning_rate: float = Field(default=3e-4, gt=0, le=10, description="Adam step size, at the start")
    learning_rate_schedule: Literal["constant", "linear"] = Field(default="linear", description="linear falls to zero")
    horizon_s: float | None = Field(
        default=None,
        gt=0,
        le=LONGEST_S,
        description="training episodes are cut off here [s]; None: the scenario's horizon",
    )
    information: Literal["P", "N"] = Field(
        default="P", description="P: the agent reads predictions, N: past and present only"
    )
    window: int = Field(default=32, gt=0, le=4096, description="ready stages that an agent of the global tier is shown")
    discount_horizon_s: float = Field(
        default=120.0, ge=1e-3, le=LONGEST_S, description="1/beta of the discount exp(-beta*dt) [s]"
    )
    gae_lambda: float = Field(default=0.95, ge=0, le=1, description="of generalised advantage estimation, a decision")
    clip_range: float = Field(default=0.2, gt=0, le=10, description="of the probability ratio")
    entropy_coefficient: float = Field(default=0.01, ge=0, le=1000, description="weight of the entropy bonus")
    value_coefficient: float = Field(default=0.5, ge=0, le=1000, description="weight of the value loss")
    max_grad_norm: float = Field(default=0.5, gt=0, le=1e6, description="gradients are clipped to this norm")
    target_kl: float | None = Field(
        default=None, gt=0, le=1000, description="stop an update early beyond this divergence"
    )
    reward_scaling: bool = Field(default=True, description="divide rewards by the running size of a return")
    slo_weight: float = Field(
        default=1.0, ge=0, le=1e6, description="weight of the SLO terms beside the residence term"
    )
    eval_every_steps: int = Field(default=200_000, gt=0, le=MOST_STEPS, description="decisions between two evaluations")
    eval_episodes: int = Field(default=4, gt=0, le=10_000, description="validation episodes of an evaluation")
    average_updates: float = Field(
        default=1.0,
        ge=1,
        le=1e6,
        description="updates over which the weights that are evaluated and kept are a running mean; 1: the weights",
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="policy that the run folder offers: best reward on validation episodes, or the last"
    )
    checkpoint_every_steps: int = Field(
        default=200_000, gt=0, le=MOST_STEPS, description="decisions between two checkpoints"
    )
    checkpoint_every_s: float = Field(
        default=120.0, gt=0, le=LONGEST_S, description="time between two checkpoints, where decisions take longer [s]"
    )
    seed: int = Field(default=0, ge=0, le=MOST_LEARNER_SEED, description="of network, sampling and episodes")
    torch_threads: int = Field(default=2, gt=0, le=1024, description="threads of the learner")
    wandb: Literal["off", "offline", "online"] = Field(default="off", description="Weights & Biases logging")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.num_envs * self.rollout_steps > MOST_SAMPLES:
            raise ValueError(
                f"a rollout of num_envs * rollout_steps = {self.num_envs * self.rollout_steps:,} decisions exceeds "
                f"{MOST_SAMPLES:,}"
            )
        if self.batch_size > self.num_envs * self.rollout_steps:
            raise ValueError(
                f"batch_size ({self.batch_size}) exceeds the rollout (num_envs * rollout_steps = "
                f"{self.num_envs * self.rollout_steps})"
            )
        return self
