"""What shows in the hashes of a scenario, and what does not."""

import shutil
from pathlib import Path

import pytest

from maestro_gym.config import config_dir, load_scenario
from maestro_gym.evaluation.suite.fingerprint import changed_parts, scenario_parts


def _changed(*overrides: str, scenario: str = "quick") -> list[str]:
    return changed_parts(scenario_parts(load_scenario("quick")), scenario_parts(load_scenario(scenario, overrides)))


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("limits.max_num_seqs=100", ["limits"]),
        ("gpus.A100-80GB.hbm_bytes_per_s=1e12", ["gpus"]),
        ("workload.load=0.9", ["workload"]),
        ("workload.arrivals.process=clients", ["arrivals servegen_m_small", "workload"]),
        ("fleet=sixteen", ["fleet"]),
        ("seeds=[7]", []),
        ("description=other words", []),
        # Of quick's models only Qwen3-30B-A3B has experts: 128 of width 768.
        ("gpus.A100-80GB.step.experts.fused.tuned=[{experts: 128, ffn: 768}]", ["gpus"]),
        ("gpus.A100-80GB.step.experts.fused.tuned=[{experts: 64, ffn: 768}]", []),
        ("gpus.A100-80GB.step.experts.fused.uneven_slowdown=2", []),
        ("gpus.A100-80GB.step.experts.fused.spill_tokens=100", ["gpus"]),
        ("train.seed=3", []),
    ],
)
def test_a_change_shows_in_its_own_part(override: str, parts: list[str]) -> None:
    assert _changed(override) == parts


def test_the_content_of_a_family_counts_and_not_its_comments(tmp_path: Path) -> None:
    text = (config_dir() / "workloads" / "maestro.yaml").read_text(encoding="utf-8")
    own = tmp_path / "maestro.yaml"
    hashes = []
    for content in (text, "# words\n" + text, text.replace("deadline_s: 60", "deadline_s: 61", 1)):
        own.write_text(content, encoding="utf-8")
        hashes.append(scenario_parts(load_scenario("quick", [f"workload.family={own}"]))["family maestro"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_where_a_trace_lies_does_not_count_but_its_bytes_do(tmp_path: Path) -> None:
    own = tmp_path / "sample.csv"
    shutil.copy(config_dir() / "traces" / "sample.csv", own)
    shipped = scenario_parts(load_scenario("quick", ["workload.trace=sample"]))
    assert scenario_parts(load_scenario("quick", [f"workload.trace={own}"])) == shipped
    own.write_text(own.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert changed_parts(shipped, scenario_parts(load_scenario("quick", [f"workload.trace={own}"]))) == [
        "trace sample.csv"
    ]
