"""docs/physics.md holds: its constants are the code's, its check values come out, its files and pointers exist."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from maestro_gym.config import FleetConfig, LimitsConfig, PredictorConfig, ScenarioConfig, WorkloadConfig, load_scenario
from maestro_gym.config.hardware import ResidencyCosts
from maestro_gym.config.step_coefficients import StepCoefficients
from maestro_gym.config.workload import ArrivalsConfig
from maestro_gym.core import hashing
from maestro_gym.episodes.capacity import node_rate_rps
from maestro_gym.episodes.world import service_of
from maestro_gym.performance.step_tables import step_tables, step_time_s
from maestro_gym.scheduling.load_times import copy_time_s, read_time_s, start_time_s
from maestro_gym.workloads import episode_key

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "physics.md").read_text(encoding="utf-8")
HARDWARE = ROOT / "configs" / "hardware"
GPU = yaml.safe_load((HARDWARE / "gpus" / "A100-80GB.yaml").read_text(encoding="utf-8"))
SECTIONS = {
    "limits": LimitsConfig,
    "fleet": FleetConfig,
    "scenario": ScenarioConfig,
    "workload": WorkloadConfig,
    "arrivals": ArrivalsConfig,
    "predictor": PredictorConfig,
}
WORDS = {"on": True, "of the GPU": None, "fresh": None, "never": None}


def _tables() -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header and rows of every table of the page."""
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        header, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()]
        yield header, rows


def _table(first: str) -> tuple[list[str], list[list[str]]]:
    return next((header, rows) for header, rows in _tables() if header[0] == first)


CONSTANTS = [row for header, rows in _tables() if header[0] == "constant" for row in rows]


def _value(text: str) -> Any:  # noqa: ANN401 - a number, a tuple of them, a mode
    if text in WORDS:
        return WORDS[text]
    if ", " in text:
        return tuple(_value(part) for part in text.split(", "))
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return text


def _dotted(content: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - whatever a hardware file holds there
    for key in name.split("."):
        content = content[key]
    return content


def _literal(path: Path, name: str) -> Any:  # noqa: ANN401 - as `_value`
    """A constant of a module, read off its source: importing some of them would compile the engine."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} holds no {name}")


def _held(cell: str) -> Any:  # noqa: ANN401 - as `_value`
    """What the code or a hardware file holds for the first cell of a row of constants."""
    name, _, path = cell.replace("`", "").partition(" of ")
    if path:
        attribute, _, key = name.partition(".")
        value = _literal(ROOT / path, attribute)
        return value[key] if key else value
    section, _, key = name.partition(".")
    return SECTIONS[section].model_fields[key].default if section in SECTIONS else _dotted(GPU, name)


@pytest.mark.parametrize("row", CONSTANTS, ids=lambda row: row[0].split("`")[1])
def test_a_constant_is_what_the_code_holds(row: list[str]) -> None:
    cell, value, unit, source = row
    assert _value(value) == _held(cell)
    assert unit
    assert source


def test_no_limit_and_no_coefficient_is_missing() -> None:
    named = {row[0].split("`")[1] for row in CONSTANTS}
    assert {f"limits.{name}" for name in LimitsConfig.model_fields} <= named
    assert {f"residency.{name}" for name in ResidencyCosts.model_fields} <= named
    kinds = {"experts.fused", "experts.grouped", "tiles.large", "tiles.medium", "tiles.small"}
    kernels = {f"step.{kind}.{name}" for kind in kinds for name in _dotted(GPU["step"], kind)}
    # Shapes are not copied, and of grouped products the laws of vLLM's own kernel are off.
    fused = {"tuned_flops_speedup", "uneven_slowdown", "spill_tokens", "spill_exponent"}
    kernels -= {f"step.experts.grouped.{name}" for name in fused} | {f"step.{kind}.tuned" for kind in kinds}
    # The tables of all-reduces and of decoding are not copied.
    whole = {"experts", "tiles", "allreduce", "attention_decode"}
    assert {f"step.{name}" for name in StepCoefficients.model_fields if name not in whole} | kernels <= named


@pytest.mark.parametrize(("first", "folder"), [("GPU", "gpus"), ("host", "hosts")])
def test_the_hardware_is_that_of_the_files(first: str, folder: str) -> None:
    header, rows = _table(first)
    files = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (HARDWARE / folder).glob("*.yaml")}
    assert {row[0] for row in rows} == set(files)
    for name, *values in rows:
        keys = [key.strip("`") for key in header[1:]]
        assert [_value(value) for value in values] == [_dotted(files[name], key) for key in keys], name


@pytest.mark.parametrize("column", [1, 2])
def test_the_check_values_come_out(column: int) -> None:
    header, rows = _table("quantity")
    config = load_scenario("quick")
    architecture, gpu = config.architectures[header[column]], config.gpus["A100-80GB"]
    deployment = next(model for model in config.models if model.architecture == header[column])
    limits, costs, host = config.limits, gpu.residency, config.hosts["gpu4-1152"]
    tables = step_tables(
        architecture, gpu, 1, limits.max_num_batched_tokens, limits.max_num_seqs, kernel := limits.moe_kernel
    )
    assert kernel == "fused"
    weights, room = architecture.weight_bytes, config.kv_room_tokens(deployment, config.host_groups[0])
    base_s, prefill_s, decode_s = service_of(tables)
    start_s = start_time_s(
        costs.cpu_base_s, costs.cpu_s_per_gb / 1e9, weights, costs.cpu_s_per_layer, architecture.layers
    )
    disk_s = start_s + read_time_s(weights, host.nvme_bytes_per_s)
    computed = [
        weights,
        architecture.kv_bytes_per_token,
        room,
        step_time_s(tables, [(2048, 0)], [], sampling_prefills=1),
        step_time_s(tables, [], [2048] * 16),
        step_time_s(tables, [(512, 1024)], [1000] * 8),
        base_s + 1000 * prefill_s + 200 * decode_s,
        node_rate_rps(tables, room, 1000.0, 200.0),
        copy_time_s(costs.wake_base_s, weights, gpu.pcie_bytes_per_s),
        start_s,
        disk_s,
        disk_s + read_time_s(weights, host.nic_bytes_per_s),
    ]
    assert [_value(row[column]) for row in rows] == pytest.approx(computed, rel=1e-5)


def test_the_draws_come_out() -> None:
    key = episode_key("test", 10, 0)
    computed = [
        key,
        hashing.mix(0, hashing.EPISODE, 0),
        hashing.uniform(key, hashing.ARRIVAL, 0),
        hashing.exponential(key, hashing.ARRIVAL, 0),
        hashing.normal(key, hashing.OUTPUT_TOKENS, 0),
    ]
    told = [row[1] for row in _table("draw")[1]]
    assert [int(text) for text in told[:2]] == computed[:2]
    assert [float(text) for text in told[2:]] == pytest.approx(computed[2:], rel=1e-12)


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:maestro_gym|configs|tests)/[\w./-]+)`", PAGE))
    named |= {f"docs/{link}" for link in re.findall(r"\]\(([\w-]+\.md)", PAGE)}
    assert len(named) > 20
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def test_pointers_to_the_page_name_its_sections() -> None:
    """A pointer is written ``docs/physics.md, "Section"``."""
    headings = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
    listing = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listing.stdout.splitlines() if name != "tests/test_physics_page.py"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files if path.is_file()}
    pointers = {(name, to) for name, text in texts.items() for to in re.findall(r'docs/physics\.md, "(.+?)"', text)}
    assert pointers
    assert not [pointer for pointer in sorted(pointers) if pointer[1] not in headings]
