"""A trained policy on disk: its weights, and what is needed to use them. Loading runs no code."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.agents.policy_card import FORMAT, PolicyCard
from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.seal import FIELD, check_sealed, has_seal, sealed
from maestro_gym.core.whole_file import whole_file, write_whole

WEIGHTS_FILE = "policy.pt"
SAFE_WEIGHTS_FILE = "policy.safetensors"
CARD_FILE = "policy.json"


def save_policy(folder: Path, card: PolicyCard, network: torch.nn.Module) -> None:
    """Write weights and card, which holds their checksums; a reader never sees half a file.

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
    _write_card(folder, replace(card, sha256={}), folder / WEIGHTS_FILE)


def _write_card(folder: Path, card: PolicyCard, weights: Path) -> None:
    content = sealed(asdict(card), CARD_FILE, [weights])
    write_whole(folder / CARD_FILE, json.dumps(content, indent=2) + "\n")


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
        content = parse_json(read_bounded(path))
    except FileNotFoundError:
        raise MaestroError(
            f"{folder} holds no policy: {CARD_FILE} is missing. Give a folder that `maestro-gym train` has finished."
        ) from None
    except (OSError, ValueError) as error:
        raise MaestroError(f"{path} cannot be read as a policy's card ({error}). Train again, or restore it.") from None
    return _card_of(content, path)


def _card_of(content: Any, path: Path) -> PolicyCard:  # noqa: ANN401 - whatever the file holds
    damaged = f"{path} is not the card of a policy"
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise MaestroError(f"{damaged} of format {FORMAT} (it says {found!r}). Train again with this version.")
    try:
        card = PolicyCard(**content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise MaestroError(f"{damaged}: `{place}`: {first['msg']}. Train again, or restore the file.") from None
    try:
        has_seal(content, path)
    except ValueError as error:
        raise MaestroError(f"{damaged} as it was written: {error}. Train again, or restore the file.") from None
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
        if card.sha256:
            check_sealed({FIELD: card.sha256}, path)
        network.load_state_dict(_read_weights(path))
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
    card, network = load_network(folder)
    path = folder / SAFE_WEIGHTS_FILE
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    with whole_file(path) as part:
        _safetensors(path).save_file(weights, part)
    _write_card(folder, card, path)
    return path


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    if path.name == SAFE_WEIGHTS_FILE:
        return _safetensors(path).load(path.read_bytes())
    return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> Any:  # noqa: ANN401 - a module that may be missing
    try:
        from safetensors import torch as files
    except ImportError:
        raise MaestroError(
            f"{path} needs safetensors, which is not installed: pip install 'maestro-gym[export]'."
        ) from None
    return files
