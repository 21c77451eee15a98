"""A model of Stable-Baselines3 or sb3-contrib as an agent: the ``.zip`` that ``model.save`` writes.

Every algorithm is asked alike: the legal action of the highest logit, or of the highest value where it learns values.
An algorithm that knows masks would do the same; one that does not never answers with an illegal action here.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maestro_gym.agents.foreign.agent import Agent, AgentCard, best_legal
from maestro_gym.agents.foreign.model_spec import ModelSpec
from maestro_gym.agents.foreign.spaces import flattened, trained_with
from maestro_gym.core.bounded_text import parse_json
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.trust import demand_trust

_MODULES = {
    "PPO": "stable_baselines3",
    "A2C": "stable_baselines3",
    "DQN": "stable_baselines3",
    "MaskablePPO": "sb3_contrib",
    "QRDQN": "sb3_contrib",
    "RecurrentPPO": "sb3_contrib",
}
"""Algorithms that can be loaded, and where they are."""


def load_sb3(spec: ModelSpec, *, trust: bool) -> tuple[Agent, AgentCard]:
    """Load a model; its file can run code.

    Args:
        spec: The file, and what its name says of it.
        trust: Whether the user trusts it.

    Returns:
        The agent and what is known of it.

    Raises:
        MaestroError: The file is not trusted, not a model, of another algorithm, or of another observation.
    """
    model, algorithm, flat, card = open_sb3(spec, trust=trust)
    kind = _Recurrent if algorithm == "RecurrentPPO" else _Scored
    return kind(model, scores_of(algorithm, model.policy), flat=flat), card


def open_sb3(spec: ModelSpec, *, trust: bool) -> tuple[Any, str, bool, AgentCard]:
    """Load a model as Stable-Baselines3 has it; errors as of `load_sb3`.

    Returns:
        The model, the name of its algorithm, whether it takes an observation as one vector, and what is known of it.
    """
    path = spec.path
    algorithm = algorithm_of(path)
    advice = f"`maestro-gym export {path} --onnx --trust` makes an ONNX file of it, which runs no code."
    demand_trust(path, "a model of Stable-Baselines3", trust=trust, advice=advice)
    loader: Any = getattr(importlib.import_module(_MODULES[algorithm]), algorithm)
    try:
        model = loader.load(path, device="cpu")
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MaestroError(
            f"{path} cannot be loaded as {algorithm} ({reason}). Save the model again with the versions installed here."
        ) from error
    model.policy.set_training_mode(False)
    trained = trained_with(model.observation_space, model.action_space, spec)
    card = AgentCard(
        name=path.stem,
        tier=trained.tier,
        information=spec.information or "P",
        companions=spec.companions or "maestro",
        description=f"{algorithm} of Stable-Baselines3, {model.num_timesteps:,} steps",
        file=str(path),
        num_actions=trained.num_actions,
        additions=spec.additions,
    )
    return model, algorithm, trained.flat, card


def algorithm_of(path: Path) -> str:
    """The algorithm that wrote a model, by the names of its settings; nothing of the file is run.

    Args:
        path: The file.

    Raises:
        MaestroError: It is no model of Stable-Baselines3, or its algorithm is none that can be loaded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            saved = parse_json(archive.read("data"))
        if not isinstance(saved, dict):
            raise ValueError("its settings are no mapping")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise MaestroError(
            f"{path} is no model of Stable-Baselines3 ({type(error).__name__}): write it with model.save(...)."
        ) from None
    # Whatever the policy is: a class of one's own is known by the buffer that it learned from.
    modules = " ".join(
        str(saved[key].get("__module__")) if isinstance(saved.get(key), dict) else ""
        for key in ("rollout_buffer_class", "policy_class")
    )
    if "exploration_rate" in saved:
        return "QRDQN" if "n_quantiles" in saved else "DQN"
    if "clip_range" in saved:
        return "RecurrentPPO" if "recurrent" in modules else "MaskablePPO" if "maskable" in modules else "PPO"
    if "gae_lambda" in saved and "cg_max_steps" not in saved:
        return "A2C"
    raise MaestroError(
        f"{path} is of an algorithm that is not known here; known are {', '.join(_MODULES)}. Put the model into an "
        "agent of your own: a class with act(observation, mask), as FILE.py:Agent."
    )


def scores_of(algorithm: str, policy: Any) -> Callable[..., Any]:  # noqa: ANN401 - one of many classes
    """What an algorithm ranks actions by: logits, or values.

    Args:
        algorithm: Its name.
        policy: The model's policy.

    Returns:
        ``(observation) -> scores``, float32, shape (B, A), of a batch of observations as tensors; for RecurrentPPO
        ``(observation, states, starts) -> (scores, states)``.
    """
    if algorithm == "DQN":
        return policy.q_net
    if algorithm == "QRDQN":
        return lambda observation: policy.quantile_net(observation).mean(dim=1)
    if algorithm == "RecurrentPPO":
        return lambda *given: _logits_and_state(policy.get_distribution(*given))
    return lambda observation: policy.action_net(
        policy.mlp_extractor.forward_actor(_actors_part(policy.extract_features(observation)))
    )


def _actors_part(features: Any) -> Any:  # noqa: ANN401 - a tensor, a dict of them, or a pair
    """Features of the actor: a policy whose actor and critic share no extractor gives a pair."""
    return features[0] if isinstance(features, tuple) else features


def _logits_and_state(answer: Any) -> tuple[torch.Tensor, Any]:  # noqa: ANN401 - Stable-Baselines3's objects
    distribution, states = answer
    return distribution.distribution.logits, states


class _Scored:
    """A model that ranks the actions of each observation by itself."""

    def __init__(self, model: Any, scores: Callable[..., Any], *, flat: bool) -> None:  # noqa: ANN401
        self._policy, self._scores, self._flat = model.policy, scores, flat

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        """The legal action that the model ranks first."""
        given = flattened(observation) if self._flat else observation
        with torch.no_grad():
            tensors, _ = self._policy.obs_to_tensor(given)
            return best_legal(self._ranked(tensors)[0].numpy(), mask)

    def _ranked(self, tensors: Any) -> torch.Tensor:  # noqa: ANN401 - a tensor or a dict of them
        return self._scores(tensors)


class _Recurrent(_Scored):
    """A model with a memory, which is empty when an episode begins."""

    def reset(self) -> None:
        """Forget."""
        lstm = self._policy.lstm_actor
        empty = torch.zeros(lstm.num_layers, 1, lstm.hidden_size)
        self._states = (empty, empty.clone())

    def _ranked(self, tensors: Any) -> torch.Tensor:  # noqa: ANN401 - a tensor or a dict of them
        scores, self._states = self._scores(tensors, self._states, torch.zeros(1))
        return scores
