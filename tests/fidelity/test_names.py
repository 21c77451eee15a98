"""Names in measurements find their architecture and hardware."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from maestro_gym.config import find_config, read_yaml
from maestro_gym.config.catalogue import Catalogue, load_catalogue
from maestro_gym.core.errors import MaestroError


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", "Llama-2-7B"),
        ("llama2-70b", "Llama-2-70B"),
        ("Meta-Llama-3-8B", "Llama-3.1-8B"),
        ("mistralai/Mixtral-8x7B-v0.1", "Mixtral-8x7B"),
        ("Qwen3-Coder-30B-A3B-Instruct", "Qwen3-30B-A3B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "Qwen2.5-32B"),
        ("google/gemma-3-27b-it", "Gemma-3-27B"),
    ],
)
def test_a_model_is_known_by_the_names_it_goes_by(name: str, known: str, catalogue: Catalogue) -> None:
    assert catalogue.model(name) is not None
    assert catalogue.model(name) == catalogue.model(known)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("a100_dgx", "A100-SXM4-80GB"),
        ("A100-80GB", "A100-80GB"),
        ("H100", "H100-80GB"),
        ("b999", None),
    ],
)
def test_a_gpu_is_known_by_the_names_it_goes_by(name: str, known: str | None, catalogue: Catalogue) -> None:
    assert catalogue.gpu(name) == known


def test_different_sizes_are_different_models(catalogue: Catalogue) -> None:
    assert catalogue.model("Qwen2.5-7B") != catalogue.model("Qwen2.5-72B")
    assert catalogue.model("Llama-9-7B") is None


def test_mistakes_in_what_the_user_adds_are_told(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="no such file"):
        load_catalogue(models=[tmp_path / "none.yaml"])
    file = tmp_path / "models.yaml"
    file.write_text("Mine: {layers: 3, hiden: 5}")
    with pytest.raises(MaestroError, match="hidden"):
        load_catalogue(models=[file])
    with pytest.raises(MaestroError, match="NAME=FILE"):
        load_catalogue(gpus=["a100"])


def test_a_gpu_with_constants_of_one_kind_of_expert_kernels_is_told_which_it_lacks(tmp_path: Path) -> None:
    gpu = read_yaml(find_config("hardware/gpus", "A100-80GB", "test"))
    del gpu["step"]["experts"]["grouped"]
    file = tmp_path / "half.yaml"
    file.write_text(yaml.safe_dump(gpu))
    with pytest.raises(MaestroError, match=r"half\.yaml: the key `step\.experts\.grouped` is missing; add it"):
        load_catalogue(gpus=[f"mine={file}"])


def test_a_file_for_a_superseded_name_has_the_measurements_again() -> None:
    file = find_config("hardware/gpus", "A100-80GB", "test")
    assert load_catalogue(gpus=[f"A100-80GB={file}"]).gpu("nvidia-a100-sxm4-80gb") == "A100-80GB"
    assert load_catalogue(gpus=[f"A100-SXM4-80GB={file}"]).gpu("nvidia-a100-sxm4-80gb") == "A100-SXM4-80GB"
