"""Constants come back from measurements that were made with them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml

from maestro_gym.config import GpuConfig, MoeKernel, read_yaml
from maestro_gym.config.catalogue import Catalogue, load_catalogue
from maestro_gym.config.step_coefficients import DecodeAttention, ExpertCoefficients, ExpertKernels
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.calibrate_gpu import calibrate, write_gpu
from maestro_gym.fidelity.error_report import fitted_rows
from tests.fidelity.small_profiles import GPU, layer_frame, write_decode, write_experts, write_vidur


def slower(catalogue: Catalogue, tmp_path: Path) -> Catalogue:
    """A catalogue whose A100 has other constants than the profile was written with."""
    step = catalogue.gpus[GPU].step
    changed = {
        "linear_flops_efficiency": 0.6 * step.linear_flops_efficiency,
        "elementwise_const_s": 3 * step.elementwise_const_s,
    }
    file = tmp_path / "start.yaml"
    gpu = catalogue.gpus[GPU].model_copy(update={"step": step.model_copy(update=changed)})
    write_gpu(gpu, file, "a test")
    return load_catalogue(gpus=[f"{GPU}={file}"])


def test_a_fit_finds_the_constants_a_profile_was_made_with(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path / "profiles", layer_frame(catalogue))
    fitted = calibrate(tmp_path / "profiles", slower(catalogue, tmp_path), GPU)
    true = catalogue.gpus[GPU].step
    assert fitted.step.linear_flops_efficiency == pytest.approx(true.linear_flops_efficiency, rel=0.05)
    assert fitted.step.elementwise_const_s == pytest.approx(true.elementwise_const_s, rel=0.1)
    record = fitted.calibration
    assert record is not None
    linear = next(item for item in record.fits if item.source == "vidur: linear layers")
    assert linear.median_error < 0.02
    assert "gpu.step.linear_flops_efficiency" in linear.free


def test_each_kind_of_expert_kernel_is_fitted_to_its_own_measurements(tmp_path: Path, catalogue: Catalogue) -> None:
    write_experts(tmp_path, catalogue)
    true = catalogue.gpus[GPU]
    off = {"const_s": 60e-6, "bandwidth_efficiency": 0.7, "flops_efficiency": 0.5, "roofline_exponent": 1.2}
    experts = ExpertKernels(fused=ExpertCoefficients(**off), grouped=ExpertCoefficients(**off))
    gpu = true.model_copy(update={"step": true.step.model_copy(update={"experts": experts})})
    write_gpu(gpu, tmp_path / "start.yaml", "a test")
    fitted = calibrate(tmp_path, load_catalogue(gpus=[f"{GPU}={tmp_path / 'start.yaml'}"]), GPU)
    for kernel in get_args(MoeKernel):
        found, wanted = fitted.step.experts.of(kernel), true.step.experts.of(kernel)
        assert found.const_s == pytest.approx(wanted.const_s, rel=0.05)
        assert found.bandwidth_efficiency == pytest.approx(wanted.bandwidth_efficiency, rel=0.05)
        assert found.flops_efficiency == pytest.approx(wanted.flops_efficiency, rel=0.05)
    free = {row["source"]: row["free"] for row in fitted_rows(fitted)}
    assert free["frontier: MoE experts"].startswith("experts.grouped.const_s")
    assert free["aiconfigurator: MoE layer"].startswith("experts.fused.const_s")


def test_what_is_written_loads_again_to_the_same_gpu(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path / "profiles", layer_frame(catalogue))
    fitted = calibrate(tmp_path / "profiles", catalogue, GPU)
    file = tmp_path / "mine.yaml"
    write_gpu(fitted, file, "maestro-gym calibrate")
    assert GpuConfig.model_validate(read_yaml(file)) == fitted
    assert yaml.safe_load(file.read_text())["calibration"]["date"]


def test_another_gpu_takes_over_what_was_not_measured_on_it(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path, layer_frame(catalogue))
    h100 = calibrate(tmp_path, catalogue, "h100", like=GPU)
    own, like = catalogue.gpus["H100-80GB"], catalogue.gpus[GPU]
    assert h100.hbm_bytes_per_s == own.hbm_bytes_per_s
    assert h100.step.linear_flops_efficiency == like.step.linear_flops_efficiency
    assert h100.step.allreduce_bus_bytes_per_s == own.step.allreduce_bus_bytes_per_s


def test_nothing_to_fit_to_is_a_mistake(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path, layer_frame(catalogue))
    with pytest.raises(MaestroError, match="no measurement of H100-80GB"):
        calibrate(tmp_path, catalogue, "h100")
    with pytest.raises(MaestroError, match="not in the catalogue"):
        calibrate(tmp_path, catalogue, "b999")
    with pytest.raises(MaestroError, match="A100-SXM4-80GB supersedes it"):
        calibrate(tmp_path, catalogue, "A100-80GB")


def test_some_constants_are_fitted_while_the_others_stay(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path / "profiles", layer_frame(catalogue))
    start = slower(catalogue, tmp_path)
    fitted = calibrate(tmp_path / "profiles", start, GPU, only=["step.elementwise_const_s"])
    true, begun = catalogue.gpus[GPU].step, start.gpus[GPU].step
    assert fitted.step.elementwise_const_s == pytest.approx(true.elementwise_const_s, rel=0.01)
    assert fitted.step.linear_flops_efficiency == pytest.approx(begun.linear_flops_efficiency, rel=1e-3)
    # What says how well the others were met stays too.
    before, after = start.gpus[GPU].calibration, fitted.calibration
    assert before is not None
    assert after is not None
    assert {item.source for item in before.fits} == {item.source for item in after.fits}
    with pytest.raises(MaestroError, match=r"--only step.sequence_s: no measurement here tells it; known are step"):
        calibrate(tmp_path / "profiles", start, GPU, only=["step.sequence_s"])


def test_the_law_of_decoding_is_fitted_where_a_gpu_has_one(tmp_path: Path, catalogue: Catalogue) -> None:
    true = DecodeAttention(
        batch_heads=[1.0, 32.0, 1024.0], const_s=[8e-6, 1e-5, 3e-5], bandwidth_efficiency=[0.1, 0.6, 0.9]
    )
    begun = true.model_copy(update={"const_s": [1e-5] * 3, "bandwidth_efficiency": [0.5] * 3})
    files = {}
    for name, law in (("true", true), ("begun", begun)):
        gpu = catalogue.gpus[GPU]
        step = gpu.step.model_copy(update={"attention_decode": law})
        files[name] = tmp_path / f"{name}.yaml"
        write_gpu(gpu.model_copy(update={"step": step}), files[name], "a test")
    machine = load_catalogue(gpus=[f"{GPU}={files['true']}"])
    write_decode(tmp_path / "profiles", machine)
    found = calibrate(tmp_path / "profiles", load_catalogue(gpus=[f"{GPU}={files['begun']}"]), GPU)
    law = found.step.attention_decode
    assert law is not None
    assert law.batch_heads == true.batch_heads
    assert law.const_s == pytest.approx(true.const_s, rel=0.02)
    assert law.bandwidth_efficiency == pytest.approx(true.bandwidth_efficiency, rel=0.02)
    # The three constants in whose place it stands are told by nothing.
    assert found.step.attention_decode_const_s == catalogue.gpus[GPU].step.attention_decode_const_s
    assert found.calibration is not None
    assert found.calibration.fits[0].free == ["gpu.step.attention_decode"]
