"""A trained policy on disk: its weights, and what is needed to use them. Loading runs no code."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from maestro_gym.agents.networks import NETWORKS, CandidateScorer, SlotMlp, build_network
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import whole_file, write_whole

WEIGHTS_FILE = "policy.pt"
SAFE_WEIGHTS_FILE = "policy.safetensors"
CARD_FILE = "policy.json"
FORMAT = 1


@dataclass(frozen=True)
class PolicyCard:
    """What is known of a trained policy besides its weights.

    Attributes:
        tier: Tier that it drives: global, cluster, node or joint.
        network: One of ``networks.NETWORKS``.
        num_features: F, columns of a candidate.
        num_context: G, length of the context.
        num_candidates: A in training; only an ``mlp`` is bound to it.
        hidden_sizes: Widths of the hidden layers.
        encoder: Fingerprint of the observation that it learned to read.
        predictions: Whether that observation holds predictions (information class P, otherwise N).
        window: Stages that an agent of the global tier is shown.
        companions: Policy of the other tiers in training.
        scenario: Name of the scenario it was trained on.
        contention: Its contention.
        seed: Training seed.
        steps: Decisions it learned from.
        reward_divisor: What rewards were divided by at the end.
        discount_horizon_s: 1 / beta, in seconds.
        validation: Means of the validation episodes, by metric.
        versions: Of the project and of what it ran on.
        format: Version of this file's layout.
    """

    tier: str
    network: str
    num_features: int
    num_context: int
    num_candidates: int
    hidden_sizes: tuple[int, ...]
    encoder: str = ""
    predictions: bool = True
    window: int = 32
    companions: str = "maestro"
    scenario: str = ""
    contention: str = ""
    seed: int = 0
    steps: int = 0
    reward_divisor: float = 1.0
    discount_horizon_s: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def build(self) -> CandidateScorer | SlotMlp:
        """A network of this shape with fresh weights."""
        return build_network(self.network, self.num_candidates, self.num_features, self.num_context, self.hidden_sizes)


def save_policy(folder: Path, card: PolicyCard, network: torch.nn.Module) -> None:
    """Write weights and card; a reader never sees half a file.

    Args:
        folder: The run folder.
        card: What is known of the policy.
        network: A ``CandidateScorer`` or ``SlotMlp``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    content = io.BytesIO()  # to a full disk torch would answer with an error of its own kind
    torch.save(weights, content)
    write_whole(folder / WEIGHTS_FILE, content.getvalue())
    write_whole(folder / CARD_FILE, json.dumps(asdict(card), indent=2) + "\n")


def read_card(folder: Path) -> PolicyCard:
    """Read what is known of a trained policy.

    Args:
        folder: A run folder.

    Raises:
        MaestroError: The folder holds no policy, or the card is damaged or of another version.
    """
    path = folder / CARD_FILE
    if not folder.is_dir():
        raise MaestroError(f"There is no run folder {folder}. Give a folder that `maestro-gym train` has written.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MaestroError(
            f"{folder} holds no policy: {CARD_FILE} is missing. Give a folder that `maestro-gym train` has finished."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MaestroError(f"{path} cannot be read as a policy's card ({error}). Train again, or restore it.") from None
    return _card_of(content, path)


def _card_of(content: Any, path: Path) -> PolicyCard:  # noqa: ANN401 - whatever the file holds
    damaged = f"{path} is not the card of a policy"
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise MaestroError(f"{damaged} of format {FORMAT} (it says {found!r}). Train again with this version.")
    try:
        fields: dict[str, Any] = content | {"hidden_sizes": tuple(content["hidden_sizes"])}
        card = PolicyCard(**fields)
    except (KeyError, TypeError):
        raise MaestroError(f"{damaged}: a field is missing or unknown. Train again, or restore the file.") from None
    sizes = (card.num_features, card.num_context, card.num_candidates, *card.hidden_sizes)
    if card.network not in NETWORKS or not all(isinstance(size, int) and 0 < size <= 1 << 16 for size in sizes):
        raise MaestroError(f"{damaged}: network or a size is out of range. Train again, or restore the file.")
    return card


def load_network(folder: Path) -> tuple[PolicyCard, CandidateScorer | SlotMlp]:
    """Read a trained policy; a policy file is data and can run no code.

    Args:
        folder: A run folder.

    Returns:
        Its card, and the network with the trained weights in evaluation mode.

    Raises:
        MaestroError: A file is missing or damaged, or weights and card do not belong together.
    """
    card = read_card(folder)
    # What training writes wins: a safetensors file beside it is a copy for other programs.
    path = next((p for p in (folder / WEIGHTS_FILE, folder / SAFE_WEIGHTS_FILE) if p.is_file()), None)
    if path is None:
        raise MaestroError(f"{folder} holds no weights: {WEIGHTS_FILE} is missing. Train again, or restore the file.")
    network = card.build()
    try:
        weights = _read_weights(path)
        network.load_state_dict(weights)
    except MaestroError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise MaestroError(
            f"{path} is damaged or does not belong to {CARD_FILE} beside it ({reason}). Train again, or restore "
            "the file."
        ) from None
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise MaestroError(f"{path} holds weights that are not finite: the training diverged. Lower the learning rate.")
    return card, network.eval()


def save_safetensors(folder: Path) -> Path:
    """Copy the weights of a run folder into a safetensors file, which other programs read without torch.

    Args:
        folder: A run folder.

    Returns:
        The file, ``policy.safetensors`` in the folder; `load_network` takes it where ``policy.pt`` is missing.

    Raises:
        MaestroError: There is no safetensors package, or the folder holds no policy.
    """
    _, network = load_network(folder)
    path = folder / SAFE_WEIGHTS_FILE
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    with whole_file(path) as part:
        _safetensors(path).save_file(weights, part)
    return path


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    if path.name == SAFE_WEIGHTS_FILE:
        return _safetensors(path).load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> Any:  # noqa: ANN401 - a module that may be missing
    try:
        from safetensors import torch as files
    except ImportError:
        raise MaestroError(
            f"{path} needs safetensors, which is not installed: pip install 'maestro-gym[export]'."
        ) from None
    return files
