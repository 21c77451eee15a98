"""The controller's image and manifests: they name what exists, agree with each other, and resume what was begun."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from maestro_gym.cli.app import app
from maestro_gym.config.live import LiveFleetConfig

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "controller" / "Containerfile").read_text(encoding="utf-8")


def _documents(name: str) -> dict[str, Any]:
    text = (DEPLOY / "kubernetes" / name).read_text(encoding="utf-8")
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def _container() -> dict[str, Any]:
    return _documents("controller.yaml")["Job"]["spec"]["template"]["spec"]["containers"][0]


def _compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.controller.yaml").read_text(encoding="utf-8"))["services"]


def test_the_image_copies_what_there_is_and_what_the_wheel_needs() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE)]
    for path in (path for paths in copied for path in paths):
        assert (ROOT / path).exists(), path
        assert any(path == kept or path.startswith(f"{kept}/") for kept in re.findall(r"^!(\S+)$", ignored, re.M)), path
    flat = {path for paths in copied for path in paths}
    assert {"pyproject.toml", "README.md", "LICENSE", "maestro_gym", "configs", "benchmarks/suite"} <= flat
    assert 'pip install ".[live]"' in CONTAINERFILE


def test_the_image_runs_as_the_user_of_the_manifest() -> None:
    (uid,) = set(re.findall(r"(?:--uid |USER )(\d+)", CONTAINERFILE))
    spec = _documents("controller.yaml")["Job"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsUser"] == int(uid)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert _container()["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_fleet_of_the_manifest_is_the_node_beside_it(tmp_path: Path) -> None:
    fleet = LiveFleetConfig.model_validate(
        yaml.safe_load(_documents("controller.yaml")["ConfigMap"]["data"]["fleet.yaml"])
    )
    node = _documents("node.yaml")
    service, pod = node["Service"], node["Deployment"]["spec"]["template"]["spec"]
    port = service["spec"]["ports"][0]["port"]
    for engine in fleet.nodes[0].engines:
        assert engine.url == f"https://{service['metadata']['name']}:{port}/{engine.model}"
    words = {c["name"]: " ".join(c.get("args", [])) for c in pod["containers"] if c["name"] != "proxy"}
    assert set(words) == {engine.model for engine in fleet.nodes[0].engines}
    for text in words.values():
        assert f"--max-num-seqs {fleet.limits['max_num_seqs']}" in text
        assert f"--gpu-memory-utilization {0.9 / fleet.limits['partitions']:.2f}" in text
    # The doors: the node lets the controller in, by its label, and the controller lets Prometheus in.
    label = _documents("controller.yaml")["Job"]["spec"]["template"]["metadata"]["labels"]
    allowed = node["NetworkPolicy"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert label == allowed
    ports = _documents("controller.yaml")["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    assert [entry["port"] for entry in ports] == [_container()["ports"][0]["containerPort"]]


def test_keys_come_from_secrets() -> None:
    fleet = yaml.safe_load(_documents("controller.yaml")["ConfigMap"]["data"]["fleet.yaml"])
    env = {entry["name"]: entry for entry in _container()["env"]}
    for name in (fleet["api_key_env"], fleet["control_key_env"]):
        assert "secretKeyRef" in env[name]["valueFrom"]
        assert _compose()["controller"]["environment"][name] == f"${{{name}:?}}"


@pytest.mark.parametrize("place", ["kubernetes", "compose"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_controller_that_is_started_again_goes_on(place: str, begun: bool, tmp_path: Path) -> None:
    """The shell line of the manifest itself, with a program in the place of maestro-gym that says what it was given."""
    if place == "kubernetes":
        script, entry = _container()["args"][0], _container()["command"]
    else:
        script, entry = (
            _compose()["controller"]["command"][0].replace("$$", "$"),
            _compose()["controller"]["entrypoint"],
        )
    (tmp_path / "maestro-gym").write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    (tmp_path / "maestro-gym").chmod(0o755)
    if begun:
        (tmp_path / "now").mkdir()
        (tmp_path / "now" / "events.jsonl").write_text("{}\n", encoding="utf-8")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN": "now"}
    words = [*entry, script.replace("/runs/", f"{tmp_path}/")]
    said = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    given = shlex.split(said)
    assert given[0] == "live"
    live = typer.main.get_command(app).commands["live"]  # type: ignore[attr-defined]
    options = live.make_context("live", given[1:]).params
    assert options["metrics_port"] == 9464
    assert options["metrics_host"] == "0.0.0.0"
    assert options["fleet"] == "/etc/maestro/fleet.yaml"
    assert (options["resume"], options["out"])[not begun] == tmp_path / "now"
    assert (options["resume"], options["out"])[begun] is None


def test_prometheus_finds_the_controller_under_its_name() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    (target,) = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    service = _documents("controller.yaml")["Service"]
    assert target == f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert target.split(":")[0] in _compose()


def test_grafana_is_given_files_that_there_are() -> None:
    for volume in (volume for service in _compose().values() for volume in service["volumes"]):
        source = volume.split(":")[0]
        if source.startswith("./") and "secrets" not in source and source != "./fleet.yaml":
            assert (DEPLOY / source).exists(), source
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards.yaml").read_text(encoding="utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert any(volume.split(":")[1].startswith(folder) for volume in _compose()["grafana"]["volumes"])
