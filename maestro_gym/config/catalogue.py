"""The catalogue by any name: from what people and measurements call models and GPUs to their configurations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from maestro_gym.config.files import config_names, find_config, read_yaml
from maestro_gym.config.hardware import ArchitectureConfig, GpuConfig, HostConfig
from maestro_gym.config.limits import STOCK_ENGINE, LimitsConfig
from maestro_gym.config.messages import validated
from maestro_gym.core.errors import MaestroError

M = TypeVar("M", bound=BaseModel)

_TUNED = re.compile(r"-(hf|chat|instruct|it|base|inst|fp16|bf16|v\d+(\.\d+)*)$")
"""What a fine-tuned model adds to a name without changing its shape."""


class Machine(NamedTuple):
    """What a prediction depends on beside the model that runs."""

    gpu: GpuConfig
    host: HostConfig
    limits: LimitsConfig


class Catalogue:
    """Models and GPUs by the names that measurements give them.

    Names are compared without case, publisher, separators and the suffixes of fine-tuning; files also list aliases.
    """

    def __init__(
        self, models: Mapping[str, ArchitectureConfig], gpus: Mapping[str, GpuConfig], host: HostConfig
    ) -> None:
        """Index the names.

        Args:
            models: By catalogue name.
            gpus: By catalogue name; an entry whose name equals another's alias wins over it, and one that supersedes
                another has its aliases.
            host: Machine in which the GPUs sit.
        """
        self.gpus, self.host = dict(gpus), host
        self.model_names = tuple(models)
        self._models: dict[str, ArchitectureConfig] = {}
        for aliases_first in (True, False):
            for name, model in models.items():
                for word in model.aliases if aliases_first else [name]:
                    self._models[plain_model(word)] = model
        self._newer = {gpu.supersedes: name for name, gpu in gpus.items() if gpu.supersedes is not None}
        self._gpus = {_plain(alias): self.newest(name) for name, gpu in gpus.items() for alias in gpu.aliases}
        self._gpus.update({_plain(name): name for name in gpus})

    def model(self, name: str) -> ArchitectureConfig | None:
        """Find a model's architecture, or None."""
        return self._models.get(plain_model(name))

    def gpu(self, name: str) -> str | None:
        """Find a GPU's name in the catalogue, or None."""
        return self._gpus.get(_plain(name))

    def newest(self, gpu: str) -> str:
        """The GPU of the catalogue that supersedes one, or itself."""
        return self._newer.get(gpu, gpu)

    def machine(self, gpu: str) -> Machine:
        """The machine with a GPU of the catalogue."""
        return Machine(self.gpus[gpu], self.host, LimitsConfig(**STOCK_ENGINE))


def load_catalogue(models: Sequence[Path] = (), gpus: Sequence[str] = (), host: str = "gpu8-1152") -> Catalogue:
    """Read the catalogue that comes with the package, and what the user adds.

    Args:
        models: YAML files, each a mapping from model name to the keys of ``configs/models/*.yaml``.
        gpus: ``NAME=FILE.yaml`` or ``NAME=CATALOGUE_NAME``: what a name in the measurements stands for.
        host: Name in ``configs/hardware/hosts`` or a file.

    Returns:
        The catalogue.

    Raises:
        MaestroError: A file is missing or wrong.
    """
    known = {name: _read(ArchitectureConfig, find_config("models", name, "models")) for name in config_names("models")}
    for path in models:
        if not path.is_file():
            raise MaestroError(f"--models {path}: there is no such file; give a YAML file of models by name.")
        for name, keys in read_yaml(path).items():
            if not isinstance(keys, dict):
                raise MaestroError(f"--models {path}: `{name}` holds no keys; write layers, hidden, heads and so on.")
            known[str(name)] = validated(ArchitectureConfig, keys, lambda _, place=f"{path}: {name}": place)
    cards = {
        name: _read(GpuConfig, find_config("hardware/gpus", name, "gpus")) for name in config_names("hardware/gpus")
    }
    for word in gpus:
        name, equals, target = word.partition("=")
        if not equals or not name or not target:
            raise MaestroError(f"--gpu {word}: write NAME=FILE.yaml or NAME=CATALOGUE_NAME.")
        found = _read(GpuConfig, find_config("hardware/gpus", target, f"--gpu {word}"))
        # The file takes the catalogue's place for a name that both have, whatever else the measurements call it.
        old = cards.get(name)
        cards[name] = found.model_copy(
            update={"aliases": old.aliases if old else [], "supersedes": old.supersedes if old else None}
        )
        for other, card in cards.items():
            if card.supersedes == name:
                cards[other] = card.model_copy(update={"supersedes": None})
    return Catalogue(known, cards, _read(HostConfig, find_config("hardware/hosts", host, "--host")))


def plain_model(name: str) -> str:
    """Reduce a model's name to what tells its shape.

    Args:
        name: Such as ``meta-llama/Llama-2-7b-chat-hf``.

    Returns:
        Such as ``llama27b``.
    """
    text = name.rsplit("/", 1)[-1].lower().replace("_", "-")
    while (shorter := _TUNED.sub("", text)) != text:
        text = shorter
    return re.sub(r"[^a-z0-9.]", "", text).replace("metallama", "llama")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _read(model: type[M], path: Path) -> M:
    return validated(model, read_yaml(path), lambda _: str(path))
