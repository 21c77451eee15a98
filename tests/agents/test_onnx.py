"""ONNX and safetensors: what is exported decides as what it was made of."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from stable_baselines3 import PPO
from typer.testing import CliRunner

from maestro_gym.agents.foreign.onnx_model import METADATA, open_session
from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.agents.onnx_export import check_onnx, export_onnx, exportable, observations_of
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import save_policy, save_safetensors
from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from tests.agents.conftest import OVERRIDES


def _run_folder(folder: Path, network: str) -> Path:
    """A policy of random weights as a training leaves it."""
    spec = TIER_SPECS["cluster"]
    sizes = len(spec.row_columns), len(spec.context_columns), 2
    encoder = encoder_fingerprint(TIER_SPECS["cluster"], predictions=True)
    card = PolicyCard("cluster", network, *sizes, (16, 16), encoder=encoder, companions="edf", scenario="toy")
    torch.manual_seed(0)
    weights = card.build()
    for parameter in weights.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    save_policy(folder, card, weights)
    return folder


@pytest.mark.parametrize("network", ["scorer", "mlp"])
def test_a_run_and_its_onnx_file_are_one_policy(network: str, scenario: Scenario, tmp_path: Path) -> None:
    folder = _run_folder(tmp_path / "run", network)
    exported = export_onnx(exportable(str(folder)), scenario, tmp_path / "mine.onnx")
    assert exported.observations > 100
    assert exported.largest_difference < 1e-5
    policies = [load_any_policy(str(place), scenario) for place in (folder, exported.path)]
    one, other = (run_episode(scenario, policy, "test", 0, samples=0) for policy in policies)
    assert (one.stages == other.stages).all()
    assert policies[1].global_rule.name == policies[0].global_rule.name


def test_a_scorers_file_takes_batches_and_fleets_of_any_size(scenario: Scenario, tmp_path: Path) -> None:
    source = exportable(str(_run_folder(tmp_path / "run", "scorer")))
    exported = export_onnx(source, scenario, tmp_path / "mine.onnx")
    generator = np.random.default_rng(0)
    spec = TIER_SPECS["cluster"]
    for batch, rows in ((1, 1), (7, 19)):
        candidates = generator.random((batch, rows, len(spec.row_columns)), np.float32)
        context = generator.random((batch, len(spec.context_columns)), np.float32)
        mask = generator.random((batch, rows)) < 0.5
        mask[:, 0] = True
        assert check_onnx(exported.path, source.module, candidates, context, mask) < 1e-5
        _, logits = open_session(exported.path).run(None, {"candidates": candidates, "context": context, "mask": mask})
        assert (np.isneginf(logits) == ~mask).all()


def test_a_file_that_decides_otherwise_is_refused(scenario: Scenario, tmp_path: Path) -> None:
    source = exportable(str(_run_folder(tmp_path / "run", "scorer")))
    exported = export_onnx(source, scenario, tmp_path / "mine.onnx")
    seen = observations_of(source, scenario, 50)
    for parameter in source.module.parameters():
        parameter.data *= 1.5
    with pytest.raises(MaestroError, match="otherwise than torch"):
        check_onnx(exported.path, source.module, *seen)


def test_a_file_of_another_observation_is_refused(scenario: Scenario, tmp_path: Path) -> None:
    source = exportable(str(_run_folder(tmp_path / "run", "scorer")))
    exported = export_onnx(source, scenario, tmp_path / "mine.onnx")
    graph = onnx.load(exported.path)
    entry = next(entry for entry in graph.metadata_props if entry.key == METADATA)
    assert json.loads(entry.value)["companions"] == "edf"
    entry.value = json.dumps(json.loads(entry.value) | {"encoder": "cluster-P-000000000000"})
    onnx.save(graph, exported.path)
    with pytest.raises(MaestroError, match="learned to read the observation"):
        load_any_policy(str(exported.path), scenario)


def test_an_onnx_file_of_foreign_making_needs_its_tier_alone(scenario: Scenario, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    given = [
        helper.make_tensor_value_info("candidates", TensorProto.FLOAT, ["N", "A", "F"]),
        helper.make_tensor_value_info("context", TensorProto.FLOAT, ["N", "G"]),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "A"])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [2])
    total = helper.make_node("ReduceSum", ["candidates", "axes"], ["logits"], keepdims=0)
    graph = helper.make_graph([total], "sum", given, [logits], [axes])
    path = tmp_path / "sum.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    with pytest.raises(MaestroError, match="Name the tier"):
        load_any_policy(str(path), scenario)
    result = run_episode(scenario, load_any_policy(f"{path}:cluster", scenario), "test", 0, samples=0)
    assert result.counters["finished"] > 10


def test_the_verb_exports_a_model_and_says_how_well(scenario: Scenario, tmp_path: Path) -> None:
    env = MaestroVecEnv("cluster", 1, seed=0, scenario=scenario)
    PPO("MultiInputPolicy", env, seed=0, device="cpu").save(tmp_path / "mine.zip")
    words = ["export", str(tmp_path / "mine.zip"), "--onnx", "-s", "toy", *OVERRIDES]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "--trust" in refused.stderr
    done = CliRunner().invoke(app, [*words, "--trust", "--json", str(tmp_path / "export.json")])
    assert done.exit_code == 0, done.output
    facts = json.loads((tmp_path / "export.json").read_text(encoding="utf-8"))
    assert facts["observations"] > 100
    assert facts["largest_difference"] < 1e-5
    assert load_any_policy(str(tmp_path / "mine.onnx"), scenario).cluster_rule.name == "mine"


def test_safetensors_stand_in_for_the_weights_of_a_run(tmp_path: Path, scenario: Scenario) -> None:
    folder = _run_folder(tmp_path / "run", "scorer")
    first = run_episode(scenario, load_any_policy(str(folder), scenario), "test", 0, samples=0)
    save_safetensors(folder)
    (folder / "policy.pt").unlink()
    second = run_episode(scenario, load_any_policy(str(folder), scenario), "test", 0, samples=0)
    assert (first.stages == second.stages).all()


@pytest.mark.parametrize("missing", ["onnxruntime", "safetensors"])
def test_a_missing_package_is_named_with_its_command(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _run_folder(tmp_path / "run", "scorer")
    monkeypatch.setitem(sys.modules, missing, None)
    needs = {
        "safetensors": lambda: save_safetensors(folder),
        "onnxruntime": lambda: open_session(folder / "policy.onnx"),
    }
    with pytest.raises(MaestroError, match=r"pip install 'maestro-gym\[export\]'"):
        needs[missing]()
