"""A trained policy learns on, in environments that cannot be rewound: real servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from maestro_gym.agents.callbacks import EpisodeTerms
from maestro_gym.agents.logs import STEP_COLUMN, CsvLog, open_logger
from maestro_gym.agents.policy_file import CARD_FILE, PolicyCard, load_network, read_card, save_policy
from maestro_gym.agents.run_folder import note_run
from maestro_gym.agents.trainer import build_model
from maestro_gym.config import TrainConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.sb3 import BatchVecEnv


class _Rollouts(BaseCallback):
    """Tells of every rollout."""

    def __init__(self, told: Callable[[dict[str, float]], None]) -> None:
        super().__init__()
        self._told = told

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        values = self.model.logger.name_to_value
        row = {name.partition("/")[2]: float(values[name]) for name in values if name.startswith("rollout/")}
        self._told({STEP_COLUMN: float(self.num_timesteps)} | row)


def fine_tune(
    start: Path,
    env: BatchVecEnv,
    out: Path,
    *,
    steps: int,
    rollout_steps: int = 128,
    learning_rate: float = 1e-4,
    seed: int = 0,
    tell: Callable[[dict[str, float]], None] = lambda _: None,
) -> PolicyCard:
    """Go on learning from a policy's weights with PPO, and save the policy after every update.

    A step of PPO leaves the policy near the one that acted: a policy that runs on servers should move slowly, so the
    learning rate is a fifth of a training's and a rollout is passed over four times.

    Args:
        start: Run folder of the policy.
        env: What it learns in; must show the tier and columns that the policy reads.
        out: Run folder to write; must hold no policy yet.
        steps: Decisions to learn from, rounded up to whole rollouts.
        rollout_steps: Decisions of each environment between two updates.
        learning_rate: Adam step size.
        seed: Of the sampling of actions.
        tell: Gets a row about every rollout.

    Returns:
        The card of the new policy.

    Raises:
        MaestroError: The policy is missing or does not fit the environment, or ``out`` holds one already.
    """
    card, network = load_network(start)
    check_fit(card, env, start)
    if (out / CARD_FILE).exists():
        raise MaestroError(f"{out} already holds a policy; name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    train = TrainConfig(
        tier=card.tier,  # pyright: ignore[reportArgumentType] - a card holds what a training wrote
        network=card.network,  # pyright: ignore[reportArgumentType]
        hidden_sizes=list(card.hidden_sizes),
        companions=card.companions,
        num_envs=env.num_envs,
        total_steps=steps,
        rollout_steps=rollout_steps,
        batch_size=min(64, env.num_envs * rollout_steps),
        learning_rate=learning_rate,
        learning_rate_schedule="constant",
        entropy_coefficient=0.0,
        discount_horizon_s=card.discount_horizon_s,
        seed=seed,
        torch_threads=1,
    )
    model = build_model(train, env)
    policy: Any = model.policy
    policy.mlp_extractor.load_state_dict(network.state_dict())
    # The critic speaks of returns in the scale of its training.
    model.reward_scale.restore({"paid": card.reward_divisor, "elapsed_s": card.discount_horizon_s})
    rows = CsvLog(out / "rollouts.csv")
    model.set_logger(open_logger(out, 0, "off", {"fine_tuned_from": str(start), **train.model_dump()}))

    def told(row: dict[str, float]) -> None:
        rows.append(row)
        tell(row)

    def save() -> None:
        # Scores of the simulator are those of other weights.
        learned = card.steps + model.num_timesteps
        tuned = replace(card, steps=learned, reward_divisor=model.reward_scale.divisor, validation={})
        save_policy(out, tuned, policy.mlp_extractor)

    note_run(out, {"fine_tuned_from": str(start), "seed": seed, "state": "running"})
    try:
        model.learn_until(steps, steps, [_Rollouts(told), EpisodeTerms(CsvLog(out / "episodes.csv"))], save)
    finally:
        model.logger.close()
    note_run(out, {"fine_tuned_from": str(start), "seed": seed, "state": "finished", "steps": int(model.num_timesteps)})
    return read_card(out)


def check_fit(card: PolicyCard, env: BatchVecEnv, start: Path) -> None:
    """Refuse a policy that cannot read what an environment shows.

    Args:
        card: Of the policy.
        env: The environment.
        start: Named in the error.

    Raises:
        MaestroError: They do not fit.
    """
    space: Any = env.observation_space
    (rows, columns), (context,) = space["candidates"].shape, space["context"].shape
    wrong = (columns, context) != (card.num_features, card.num_context)
    if wrong or (card.network == "mlp" and rows != card.num_candidates):
        raise MaestroError(
            f"{start}: the policy reads {card.num_candidates} candidates of {card.num_features} columns and "
            f"{card.num_context} of context; this environment shows {rows} of {columns} and {context}. "
            "Train one on this fleet's scenario (a scorer takes any number of candidates)."
        )
