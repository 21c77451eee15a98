"""How the file of a foreign model is named: ``model.zip``, ``model.zip:cluster``, ``model.pt:node:N+fcfs``.

One that was trained where a scenario has more to decide says so: ``model.zip:global:tools``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from maestro_gym.agents.foreign.agent import INFORMATION
from maestro_gym.config import hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.additions import ADDITIONS
from maestro_gym.envs.observation.layout import TIER_SPECS

SUFFIXES = (".zip", ".pt", ".onnx")
"""Of Stable-Baselines3 and sb3-contrib, of TorchScript, of ONNX."""

_FORM = re.compile(r"(?P<path>.*\.(?:zip|pt|onnx))(?::(?P<words>[^+]*))?(?:\+(?P<companions>.*))?")


@dataclass(frozen=True)
class ModelSpec:
    """A model's file and what its name says of it.

    Attributes:
        path: The file.
        tier: Whose decisions it takes, None where the name does not say.
        information: ``P`` or ``N``, None where the name does not say.
        companions: Policy of the other tiers, None where the name does not say.
        additions: What it is shown beyond its tier's observation, names of ``observation.additions.ADDITIONS``.
    """

    path: Path
    tier: str | None = None
    information: str | None = None
    companions: str | None = None
    additions: tuple[str, ...] = ()


def is_model_spec(spec: str) -> bool:
    """Whether a policy's name points to the file of a model."""
    return _FORM.fullmatch(spec) is not None


def read_model_spec(spec: str) -> ModelSpec:
    """Take the name of a model's file apart.

    Args:
        spec: ``FILE[:TIER][:INFORMATION][:ADDITION...][+COMPANIONS]``, the suffix of the file one of ``SUFFIXES``.

    Raises:
        MaestroError: A word is neither a tier nor an information class nor an addition, or there is no such file.
    """
    form = _FORM.fullmatch(spec)
    if form is None:
        raise MaestroError(f"policy {spec!r}: a model's file ends in {', '.join(SUFFIXES)}.")
    path = Path(form["path"])
    if not os.path.isfile(path):
        raise MaestroError(f"policy {spec!r}: there is no file {path}. Give the path of a model that was saved.")
    tier = information = None
    additions = []
    for word in (form["words"] or "").split(":"):
        if word in TIER_SPECS:
            tier = word
        elif word in INFORMATION:
            information = word
        elif word in ADDITIONS:
            additions.append(word)
        elif word:
            raise MaestroError(
                f"policy {spec!r}: {word!r} is no tier. {hint(word, TIER_SPECS)} Write {path}:cluster, or "
                f"{path}:cluster:N for a model that was shown no predictions."
            )
    return ModelSpec(path, tier, information, form["companions"], tuple(additions))
