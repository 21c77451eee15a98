"""A TorchScript module as an agent: ``forward(candidates, context)`` or ``forward(candidates, context, mask)``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from maestro_gym.agents.foreign.agent import Agent, AgentCard, best_legal
from maestro_gym.agents.foreign.model_spec import ModelSpec
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.trust import demand_trust


def load_torch_script(spec: ModelSpec, *, trust: bool) -> tuple[Agent, AgentCard]:
    """Load a module; it is a program, and it runs.

    Args:
        spec: The file, and what its name says of it; the tier it must say.
        trust: Whether the user trusts it.

    Returns:
        The agent and what is known of it.

    Raises:
        MaestroError: The file is not trusted, its tier is not named, or it is no TorchScript.
    """
    path = spec.path
    if spec.tier is None:
        raise MaestroError(f"{path}: TorchScript says nothing of its tier. Name it, as in {path}:cluster.")
    demand_trust(path, "a TorchScript file", trust=trust)
    try:
        module = torch.jit.load(path, map_location="cpu").eval()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise MaestroError(
            f"{path} is no TorchScript ({reason}). Write it with torch.jit.save(torch.jit.script(module), FILE); the "
            "weights of a training run are named by its folder."
        ) from None
    card = AgentCard(
        name=path.stem,
        tier=spec.tier,
        information=spec.information or "P",
        companions=spec.companions or "maestro",
        description="TorchScript",
        file=str(path),
        additions=spec.additions,
    )
    return _Scripted(module), card


class _Scripted:
    def __init__(self, module: Any) -> None:  # noqa: ANN401 - torch gives scripts no type of their own
        self._module = module
        self._takes_mask = len(module.forward.schema.arguments) > 3  # self is one of them

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        """The legal action of the highest logit."""
        given = [torch.as_tensor(part).unsqueeze(0) for part in (observation["candidates"], observation["context"])]
        if self._takes_mask:
            given.append(torch.as_tensor(mask).unsqueeze(0))
        with torch.no_grad():
            return best_legal(self._module(*given).reshape(-1).numpy(), mask)
