"""The files of deploy/ parse and agree with the fleet file; the proxy lets through what the client uses, no more.

The proxy itself is not run here.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from maestro_gym.config.live import load_fleet

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROXY = (DEPLOY / "proxy.nginx.conf").read_text(encoding="utf-8")
VLLM = ROOT / "maestro_gym" / "real_backend" / "vllm"
CLIENT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(VLLM.glob("*.py")))


def _locations() -> dict[str, re.Pattern[str]]:
    """The patterns of the proxy by the role that they ask for."""
    found = re.findall(r"location ~ (\^\S+) \{\s+if \(\$may_(\w+) = 0\)", PROXY)
    return {role: re.compile(pattern.replace("?<", "?P<")) for pattern, role in found}


def _routes() -> set[str]:
    """Every path that the client asks for."""
    quoted = re.findall(r'f?"(/[a-z_0-9/]+)(?:\?[^"]*)?"', CLIENT)
    return set(quoted)


def test_the_proxy_has_a_door_for_each_role() -> None:
    assert set(_locations()) == {"request", "control"}


def test_every_route_of_the_client_is_let_through() -> None:
    routes = _routes()
    assert {"/v1/completions", "/metrics", "/sleep", "/wake_up", "/abort_requests"} <= routes
    for route in routes | {"/is_paused", "/load"}:
        assert any(pattern.match(f"/chat{route}") for pattern in _locations().values()), route


@pytest.mark.parametrize("route", ["/sleep", "/wake_up", "/pause", "/abort_requests", "/v1/load_lora_adapter"])
def test_what_moves_engines_needs_the_controllers_key(route: str) -> None:
    assert not _locations()["request"].match(f"/chat{route}")
    assert _locations()["control"].match(f"/chat{route}")


@pytest.mark.parametrize("engine", ["/chat", "", "/other"])
@pytest.mark.parametrize("route", ["/collective_rpc", "/docs", "/v1/../sleep", "/", ""])
def test_everything_else_is_shut(engine: str, route: str) -> None:
    assert not any(pattern.match(engine + route) for pattern in _locations().values())


@pytest.mark.parametrize("route", ["/sleep", "/health"])
def test_a_route_without_a_known_engine_is_shut(route: str) -> None:
    for path in (route, f"/other{route}"):
        assert not any(pattern.match(path) for pattern in _locations().values())


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def test_servers_publish_no_port_of_their_own() -> None:
    (compose,) = _documents("compose.yaml")
    ports = {name: service.get("ports") for name, service in compose["services"].items()}
    assert [name for name, open_ports in ports.items() if open_ports] == ["proxy"]
    pod = next(doc for doc in _documents("kubernetes/node.yaml") if doc["kind"] == "Deployment")["spec"]["template"]
    assert [c["name"] for c in pod["spec"]["containers"] if c.get("ports")] == ["proxy"]


def test_the_servers_are_those_of_the_fleet_file() -> None:
    fleet = load_fleet("a100")
    engines = {urlsplit(engine.url).path.strip("/"): engine.model for engine in fleet.nodes[0].engines}
    (compose,) = _documents("compose.yaml")
    assert set(compose["services"]) - {"proxy"} == set(engines)
    for name, service in compose["services"].items():
        if name == "proxy":
            continue
        words = " ".join(service["command"]).replace("=", " ")
        assert f"--served-model-name {engines[name]}" in words
        assert f"--gpu-memory-utilization {0.9 / fleet.limits['partitions']:.2f}" in words
        assert f"--max-num-seqs {fleet.limits['max_num_seqs']}" in words
        assert "--scheduling-policy priority" in words
        assert "--enable-sleep-mode" in words
        assert service["environment"]["VLLM_SERVER_DEV_MODE"] == "1"


def test_no_key_is_written_down() -> None:
    for path in [*DEPLOY.rglob("*.yaml"), DEPLOY / "proxy.nginx.conf"]:
        assert not re.search(r"Bearer [0-9a-fA-F]{8}", path.read_text(encoding="utf-8")), path
