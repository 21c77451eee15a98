"""An ONNX file as an agent: inputs ``candidates``, ``context`` and perhaps ``mask``, output ``action`` or ``logits``.

A file that `agents.onnx_export` wrote says what it needs in its metadata. Running one runs no code of its author's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.agents.foreign.agent import INFORMATION, Agent, AgentCard, best_legal
from maestro_gym.agents.foreign.model_spec import ModelSpec
from maestro_gym.agents.observed_rule import spec_of_encoder
from maestro_gym.core.bounded_text import parse_json
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import TIER_SPECS

METADATA = "maestro_gym"
"""Key of the metadata of a file: a JSON object, see `onnx_export.metadata_of`."""

_INPUTS = ("candidates", "context", "mask")


def load_onnx(spec: ModelSpec, *, trust: bool = False) -> tuple[Agent, AgentCard]:
    """Open a file with onnxruntime.

    Args:
        spec: The file, and what its name says of it; the tier it must say where its metadata do not.
        trust: Not needed: a graph is data.

    Returns:
        The agent and what is known of it.

    Raises:
        MaestroError: There is no onnxruntime, or the file is damaged, of another observation, or has other inputs
            or outputs.
    """
    path, session = spec.path, open_session(spec.path)
    inputs = {given.name: given for given in session.get_inputs()}
    outputs = [given.name for given in session.get_outputs()]
    unknown = set(inputs) - set(_INPUTS)
    if unknown or not {"candidates", "context"} <= set(inputs) or not {"action", "logits"} & set(outputs):
        raise MaestroError(
            f"{path} takes {', '.join(inputs)} and gives {', '.join(outputs)}; a policy takes candidates (N, A, F), "
            "context (N, G) and perhaps mask (N, A), and gives action (N) or logits (N, A)."
        )
    rows = inputs["candidates"].shape[1]
    card = _card_of(path, session.get_modelmeta().custom_metadata_map, spec)
    if isinstance(rows, int):
        card = replace(card, num_actions=rows)
    return _Session(session, masked="mask" in inputs, acts="action" in outputs), card


def open_session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    """An inference session of one thread.

    Args:
        path: The file.

    Raises:
        MaestroError: There is no onnxruntime, or it cannot read the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MaestroError(
            f"{path} needs onnxruntime, which is not installed: pip install 'maestro-gym[export]'."
        ) from None
    options = onnxruntime.SessionOptions()
    # One decision is too little work for threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise MaestroError(f"{path} is no ONNX file that onnxruntime can read ({reason}). Export it again.") from None


def _card_of(path: Path, metadata: dict[str, str], spec: ModelSpec) -> AgentCard:
    try:
        known = parse_json(metadata.get(METADATA, "{}"))
    except ValueError:
        raise MaestroError(f"{path}: the metadata {METADATA!r} are no JSON. Export it again.") from None
    words = ("tier", "information", "companions", "description", "encoder")
    if not isinstance(known, dict) or not all(isinstance(known.get(word, ""), str) for word in words):
        raise MaestroError(f"{path}: the metadata {METADATA!r} say no {', '.join(words)} in words. Export it again.")
    tier = spec.tier or known.get("tier")
    if tier is None:
        raise MaestroError(f"{path} does not say whose decisions it takes. Name the tier, as in {path}:cluster.")
    information = spec.information or known.get("information", "P")
    additions = spec.additions
    if "encoder" in known and tier in TIER_SPECS and information in INFORMATION:
        try:
            additions = spec_of_encoder(known["encoder"], tier, predictions=information == "P").additions
        except MaestroError as error:
            raise MaestroError(f"{path}: {error}, and export it again.") from None
    return AgentCard(
        name=path.stem,
        tier=tier,
        information=information,
        companions=spec.companions or known.get("companions", "maestro"),
        window=known.get("window"),
        description=f"ONNX, {known.get('description', 'of unknown origin')}",
        file=str(path),
        additions=additions,
    )


class _Session:
    def __init__(self, session: Any, *, masked: bool, acts: bool) -> None:  # noqa: ANN401 - onnxruntime's
        self._session, self._masked = session, masked
        self._output = ["action" if acts else "logits"]
        self._acts = acts

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        """The graph's own action, or the legal one of its highest logit."""
        given = {"candidates": observation["candidates"][None], "context": observation["context"][None]}
        if self._masked:
            given["mask"] = mask[None]
        (answer,) = self._session.run(self._output, given)
        return int(answer.reshape(-1)[0]) if self._acts else best_legal(answer.reshape(-1), mask)
