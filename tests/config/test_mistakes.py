"""A mistake in a configuration is one paragraph that names place and fix."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml

from maestro_gym.config import dump_config, load_scenario
from maestro_gym.core.errors import MaestroError

MISTAKES = {
    "unknown key": ("limits.max_num_seq=3", ["limits.max_num_seq", "`max_num_seqs`"]),
    "unknown section": ("predicter.kind=oracle", ["predicter", "`predictor`"]),
    "text for a number": ("limits.max_num_seqs=many", ["limits.max_num_seqs", "'many'", "integer"]),
    "number out of range": ("horizon_s=-1", ["horizon_s", "greater than 0"]),
    "not a number": ("horizon_s=.nan", ["horizon_s"]),
    "unknown choice": ("workload.arrivals.process=poison", ["workload.arrivals.process", "'poisson'"]),
    "unknown contention": ("contention=hihg", ["contention", "'high'"]),
    "bad union": ("limits.node_queue_limit=lots", ["limits.node_queue_limit", "'lots'"]),
    "unknown model": ("models.0.architecture=Llama3.1-8B", ["models.0.architecture", "`Llama-3.1-8B`", "catalogue"]),
    "unknown fleet": ("fleet=papr", ["fleet", "`papr`", "`paper`"]),
    "unknown GPU": ("fleet.clusters.0.hosts.0.gpu=A100-80", ["fleet", "`east`", "`A100-80GB`"]),
    "unmapped deployment": ("workload.model_map={gpt-4: qwen}", ["workload.model_map", "`gpt-4`", "`qwen`"]),
    "past the end of a list": ("models.99.popularity=1", ["models.99.popularity", "0 to 18"]),
    "path through a value": ("models.0.name.x=3", ["models.0.name", "no keys"]),
    "no equals sign": ("horizon_s", ["horizon_s", "equals sign"]),
    "bad YAML": ("seeds=[1, 2", ["seeds=[1, 2", "YAML"]),
    "impossible batch": ("limits.max_num_batched_tokens=64", ["limits", "max_num_seqs"]),
    "unknown expert kernel": ("limits.moe_kernel=fussed", ["limits.moe_kernel", "'fused'", "'grouped'"]),
    "rho the wrong way round": ("limits.rho_min=0.5", ["limits", "rho_min", "rho_max"]),
    "cv of a Poisson process": ("workload.arrivals.cv=2", ["workload.arrivals", "gamma"]),
    "context beyond the architecture": ("models.0.max_model_len=1000000", ["models.0.max_model_len", "131072"]),
    "matrix of the wrong size": ("fleet.latency_s=[[0]]", ["latency_s", "2 x 2"]),
    "heads that tp does not divide": (
        "fleet.clusters.0.hosts.0={host: gpu4-1152, nodes: 1, gpu: A100-80GB, tp: 3}",
        ["models.0", "tp 3", "attention heads"],
    ),
    "more GPUs than the host has": ("fleet.clusters.0.hosts.0.tp=2", ["`east`", "8 GPUs", "`gpu4-1152` has 4"]),
    "minibatch beyond the rollout": ("train.rollout_steps=1", ["train", "batch_size"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_bad_override_names_place_and_fix(mistake: str) -> None:
    override, words = MISTAKES[mistake]
    with pytest.raises(MaestroError) as caught:
        load_scenario("quick", [override])
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_an_impossible_fleet_names_the_model_and_the_missing_memory() -> None:
    with pytest.raises(MaestroError, match=r"no node of the fleet can host `qwen3-30b-coder`.*61\.1 GB"):
        load_scenario("quick", [f"fleet.clusters.{index}.hosts.0.gpu=A100-40GB" for index in (0, 1)])


def test_an_unknown_scenario_names_the_nearest() -> None:
    with pytest.raises(MaestroError, match="`quick`"):
        load_scenario("quik")


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: quick\nhorison_s: 3\n")
    with pytest.raises(MaestroError, match=r"mine\.yaml: unknown key `horison_s`.*`horizon_s`"):
        load_scenario(str(path))


def test_a_mistake_in_a_named_fleet_names_the_fleets_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: quick\nfleet: ./small.yaml\n")
    (tmp_path / "small.yaml").write_text("clusters: [{name: a, host: []}]\n")
    with pytest.raises(MaestroError, match=r"small\.yaml: .*clusters\.0\.host"):
        load_scenario(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"limits: [1\nname: x", "line 2"),
        (b"- a\n- b", "mapping"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"fleet: quick\n", "`models` is missing"),
        (b"extends: mine.yaml\n", "circle"),
        (b"models: 3\nfleet: quick\nworkload: {family: maestro}\n", "models"),
        (b"extends: quick\nworkload: {trace: a.csv}\n", "give `family`, `mixture`, `trace` or `requests`"),
        (b"extends: quick\ncontention: high\nworkload: {load: 0.3}\n", "contention: high"),
        (b"extends: quick\nseeds: [1, 1]\n", "seeds"),
    ],
)
def test_a_broken_file_is_told_in_one_paragraph(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(MaestroError) as caught:
        load_scenario(str(path))
    assert words in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_yaml_never_builds_objects(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(MaestroError, match="not valid YAML"):
        load_scenario(str(path))


def test_deployments_with_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(dump_config(load_scenario("quick")).replace("llama-8b-router", "llama-8b-chat"))
    with pytest.raises(MaestroError, match="two deployments"):
        load_scenario(str(path))


def places(tree: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List the paths of a tree down to its third level."""
    found = [path] if path else []
    if len(path) < 3:
        items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
        for key, value in items:
            found += places(value, (*path, f'"{key}"' if "." in str(key) else str(key)))
    return found


@pytest.mark.parametrize("junk", ["abc", "[]", "{a: 1}", "-1", ".inf"])
def test_no_junk_at_any_place_leads_to_a_stack_trace(junk: str) -> None:
    for path in places(yaml.safe_load(dump_config(load_scenario("toy")))):
        with contextlib.suppress(MaestroError):
            load_scenario("toy", [f"{'.'.join(path)}={junk}"])
