"""A trained policy as an ONNX file, with the masks inside, checked against torch on the observations of episodes."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maestro_gym.agents.foreign.agent import AgentCard
from maestro_gym.agents.foreign.model_spec import ModelSpec, is_model_spec, read_model_spec
from maestro_gym.agents.foreign.onnx_model import METADATA, open_session
from maestro_gym.agents.foreign.sb3_model import open_sb3, scores_of
from maestro_gym.agents.observed_rule import encoder_fingerprint, spec_of_encoder
from maestro_gym.agents.policy_file import load_network
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import Layout
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.run_info import versions

TOLERANCE = 1e-3
"""Largest difference of a logit that is taken for rounding, relative to the largest logit of its observation."""

OBSERVATIONS = 1000
"""Observations at which an export is checked, unless its episodes have fewer decisions."""

_MOST_EPISODES = 8
_OPSET = 18
_INPUTS, _OUTPUTS = ["candidates", "context", "mask"], ["action", "logits"]


class Deciding(torch.nn.Module):
    """A policy with its mask: the legal action of the highest logit, and the logits, -inf where illegal."""

    def __init__(self, holder: torch.nn.Module, logits: Callable[..., torch.Tensor]) -> None:
        """Put the mask behind a network.

        Args:
            holder: What holds the weights.
            logits: ``(candidates, context) -> logits``, float32, shapes (N, A, F), (N, G) and (N, A).
        """
        super().__init__()
        self.holder = holder
        self._logits = logits

    def forward(
        self, candidates: torch.Tensor, context: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Action, int64, shape (N,), and logits, float32, shape (N, A)."""
        logits = torch.where(mask, self._logits(candidates, context), -torch.inf)
        return logits.argmax(dim=1), logits


@dataclass(frozen=True)
class Exportable:
    """A policy that can become a graph.

    Attributes:
        module: The policy in torch.
        card: What is known of it.
        any_fleet: Whether it takes any number of candidates.
        scenario: What it was trained on, empty where nobody knows.
    """

    module: Deciding
    card: AgentCard
    any_fleet: bool
    scenario: str = ""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    Attributes:
        path: The file.
        observations: How many it was checked at.
        largest_difference: Of a legal logit, relative to the largest of its observation.
    """

    path: Path
    observations: int
    largest_difference: float


def exportable(source: str, *, trust: bool = False) -> Exportable:
    """Open what shall be exported.

    Args:
        source: The folder of a training run, or a model of Stable-Baselines3 as ``model.zip[:TIER][:INFORMATION]``.
        trust: Whether the user trusts a model's file.

    Raises:
        MaestroError: It is neither, damaged, not trusted, or remembers (RecurrentPPO), which a graph cannot.
    """
    if is_model_spec(source):
        return _of_model(read_model_spec(source), trust=trust)
    folder = Path(source)
    known, network = load_network(folder)
    try:
        spec = spec_of_encoder(known.encoder, known.tier, predictions=known.predictions)
    except MaestroError as error:
        raise MaestroError(f"{folder}: {error}.") from None
    card = AgentCard(
        name=folder.resolve().name,
        tier=known.tier,
        information="P" if known.predictions else "N",
        companions=known.companions,
        window=known.window,
        description=f"learned {known.tier} policy ({known.network}), {known.steps:,} decisions on {known.scenario}",
        file=source,
        num_actions=known.num_candidates if known.network == "mlp" else None,
        additions=spec.additions,
    )
    module = Deciding(network, lambda a, g: network.forward_actor({"candidates": a, "context": g}))
    return Exportable(module, card, known.network != "mlp", known.scenario)


def _of_model(spec: ModelSpec, *, trust: bool) -> Exportable:
    if spec.path.suffix != ".zip":
        raise MaestroError(f"{spec.path}: run folders and models of Stable-Baselines3 (.zip) can be exported.")
    model, algorithm, is_flat, card = open_sb3(spec, trust=trust)
    if algorithm == "RecurrentPPO":
        raise MaestroError(f"{spec.path}: RecurrentPPO remembers, and a graph does not. Run the .zip as it is.")
    scores = scores_of(algorithm, model.policy)

    def flat(candidates: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return scores(torch.cat((candidates.flatten(1), context), dim=1))

    def whole(candidates: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return scores({"candidates": candidates, "context": context})

    return Exportable(Deciding(model.policy, flat if is_flat else whole), card, any_fleet=False)


def export_onnx(policy: Exportable, scenario: Scenario, path: Path) -> Exported:
    """Write the graph and check it on a scenario's episodes.

    Args:
        policy: From `exportable`.
        scenario: Whose observations it is checked at.
        path: The file to write; it is removed again when the check fails.

    Returns:
        What was written, and how far it is from torch.

    Raises:
        MaestroError: A package is missing, the graph cannot be made, or it decides otherwise than torch.
    """
    onnx = _onnx()
    layout = policy.card.layout(scenario.world)
    seen = observations_of(policy, scenario)
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = _graph(policy, layout)
    entry = graph.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(metadata_of(policy, layout, scenario))
    onnx.save(graph, path)
    try:
        return Exported(path, len(seen[0]), check_onnx(path, policy.module, *seen))
    except MaestroError:
        path.unlink()
        raise


def metadata_of(policy: Exportable, layout: Layout, scenario: Scenario) -> dict[str, Any]:
    """What a file says of itself: all that `foreign.onnx_model` needs to run it, and where it comes from."""
    card = policy.card
    return {
        "tier": card.tier,
        "encoder": encoder_fingerprint(layout.spec, predictions=card.information == "P"),
        "information": card.information,
        "window": int(layout.record[0]["window"]),
        "companions": card.companions,
        "scenario": policy.scenario or scenario.config.name,
        "description": card.description,
        "versions": versions(),
    }


def check_onnx(path: Path, module: Deciding, candidates: np.ndarray, context: np.ndarray, mask: np.ndarray) -> float:
    """Compare a file with torch.

    Args:
        path: The file.
        module: The same policy in torch.
        candidates: Float32, shape (N, A, F).
        context: Float32, shape (N, G).
        mask: Bool, shape (N, A).

    Returns:
        The largest difference of a legal logit, relative to the largest of its observation (at least 1).

    Raises:
        MaestroError: A decision differs, or a logit by more than `TOLERANCE`.
    """
    with torch.no_grad():
        action, logits = (part.numpy() for part in module(*map(torch.as_tensor, (candidates, context, mask))))
    given = dict(zip(_INPUTS, (candidates, context, mask), strict=True))
    other_action, other = open_session(path).run(_OUTPUTS, given)
    scale = np.maximum(np.abs(np.where(mask, logits, 0.0)).max(axis=1), 1.0)
    gaps = np.abs(np.where(mask, logits, 0.0) - np.where(mask, other, 0.0)) / scale[:, None]
    different, largest = int((action != other_action).sum()), float(gaps.max())
    if different or largest > TOLERANCE:
        raise MaestroError(
            f"{path}: the ONNX file decides {different} of {len(action)} observations otherwise than torch, and its "
            f"logits are up to {largest:.2g} apart (allowed are {TOLERANCE:g}). The file is not usable; please report "
            "this with the model."
        )
    return largest


def observations_of(
    policy: Exportable, scenario: Scenario, count: int = OBSERVATIONS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations of a policy's own decisions in episodes of the validation split.

    Args:
        policy: From `exportable`.
        scenario: What runs.
        count: How many are wanted; eight episodes at most are run.

    Returns:
        Candidates, float32, shape (N, A, F); context, float32, shape (N, G); mask, bool, shape (N, A).

    Raises:
        MaestroError: The policy does not fit the scenario, or nothing is asked of it there.
    """
    from maestro_gym.agents.foreign.as_policy import agent_policy
    from maestro_gym.episodes.run import run_episode

    recorder = _Recorder(policy.module)
    asked = agent_policy(recorder, policy.card, scenario)
    for seed in range(_MOST_EPISODES):
        if len(recorder.seen) >= count:
            break
        run_episode(scenario, asked, "validation", seed, samples=0)
    if not recorder.seen:
        raise MaestroError(
            f"Scenario {scenario.config.name!r} asks nothing of the {policy.card.tier} tier, so the export cannot be "
            "checked there. Name another with --scenario."
        )
    candidates, context, mask = (np.stack(part) for part in zip(*recorder.seen[:count], strict=True))
    return candidates, context, mask


class _Recorder:
    """Decides as a policy does, and keeps what it saw."""

    def __init__(self, module: Deciding) -> None:
        self._module = module
        self.seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        seen = observation["candidates"], observation["context"], mask
        self.seen.append(seen)
        with torch.no_grad():
            action, _ = self._module(*(torch.as_tensor(part).unsqueeze(0) for part in seen))
        return int(action[0])


def _graph(policy: Exportable, layout: Layout) -> Any:  # noqa: ANN401 - onnx ships no types
    rows, spec = layout.num_actions, layout.spec
    # Two of everything: torch takes a size of one for a constant.
    given = (
        torch.zeros(2, rows, len(spec.row_columns)),
        torch.zeros(2, len(spec.context_columns)),
        torch.ones(2, rows, dtype=torch.bool),
    )
    batch, fleet = torch.export.Dim("N"), torch.export.Dim("A", min=2)
    of_row = {0: batch, 1: fleet} if policy.any_fleet else {0: batch}
    shapes = {"candidates": of_row, "context": {0: batch}, "mask": of_row}
    with _silence():
        try:
            program = torch.onnx.export(
                policy.module.eval(),
                given,
                input_names=_INPUTS,
                output_names=_OUTPUTS,
                dynamic_shapes=shapes,
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise MaestroError(
                f"{policy.card.file}: torch cannot make a graph of the policy ({reason}). A network whose code depends "
                "on its numbers cannot be exported; run the .zip as it is."
            ) from error
    assert program is not None
    return program.model_proto


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Torch's exporter tells of its steps and of deprecations inside itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _onnx() -> Any:  # noqa: ANN401 - onnx ships no types
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise MaestroError(
            f"An export to ONNX needs {error.name}, which is not installed: pip install 'maestro-gym[export]'."
        ) from None
    return onnx if onnxruntime and onnxscript else None
