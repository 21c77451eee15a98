"""Fleet files: what is refused, and how a fleet becomes a scenario and command lines."""

from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.baselines.registry import load_policy
from maestro_gym.cli.app import app
from maestro_gym.config import config_names
from maestro_gym.config.limits import STOCK_ENGINE
from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.run import LiveRunner
from maestro_gym.real_backend.fleet.as_scenario import kv_pool_bytes, launch_words, scenario_document, write_scenario
from maestro_gym.real_backend.fleet.launch_trust import demand_launch_trust
from maestro_gym.real_backend.fleet.local import bring_up
from maestro_gym.real_backend.fleet.processes import fleet_folder
from tests.real_backend.runs import short_scenario

FLEETS = [name for name in config_names("live") if not name.endswith(".gpu")]


def _written(folder: Path, change: Any) -> str:  # noqa: ANN401 - a function on the document
    document = load_fleet("local_cpu").model_dump(mode="json")
    change(document)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", FLEETS)
def test_a_shipped_fleet_makes_a_scenario(name: str, tmp_path: Path) -> None:
    fleet = load_fleet(name)
    config = write_scenario(scenario_document(fleet), tmp_path / "scenario.yaml")
    assert config.fleet.num_nodes == len(fleet.nodes)
    assert config.limits.memory_mode == "partitioned"


def test_plain_http_is_for_loopback_only(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["clusters"][0]["hosts"][0]["nodes"][0]["engines"][0]["url"] = "http://10.0.0.7:8000"

    with pytest.raises(MaestroError, match=r"10\.0\.0\.7 is another machine: use https"):
        load_fleet(_written(tmp_path, change))


def test_a_key_in_an_address_is_refused(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["clusters"][0]["hosts"][0]["nodes"][0]["engines"][0]["url"] = "https://me:secret@host:8000"

    with pytest.raises(MaestroError, match="api_key_env") as caught:
        load_fleet(_written(tmp_path, change))
    assert "`api_key_env`" in str(caught.value)


def test_a_misspelt_key_names_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="Did you mean `link_latency_s`"):
        load_fleet(_written(tmp_path, lambda document: document.update(link_latencys=1)))


def test_an_engine_of_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["clusters"][0]["hosts"][0]["nodes"][0]["engines"][0]["model"] = "mit"

    with pytest.raises(MaestroError, match="Did you mean `mid`"):
        load_fleet(_written(tmp_path, change))


def test_elastic_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="only partitioned runs live"):
        load_fleet(_written(tmp_path, lambda document: document["limits"].update(memory_mode="elastic")))
    with pytest.raises(MaestroError, match="rejecting workflows is not live yet"):
        load_fleet(_written(tmp_path, lambda document: document["limits"].update(admission=True)))
    with pytest.raises(MaestroError, match="starting and stopping nodes is not live"):
        load_fleet(_written(tmp_path, lambda document: document["limits"].update(autoscaling={"period_s": 30})))
    with pytest.raises(MaestroError, match="holds no context on request"):
        load_fleet(_written(tmp_path, lambda document: document["limits"].update(context_hold_max_s=60)))
    with pytest.raises(MaestroError, match="decode on another is not live"):
        load_fleet(_written(tmp_path, lambda document: document.update(disaggregation={"prefill_nodes": 1})))
    with pytest.raises(MaestroError, match="regrouping the GPUs of a host is not live"):
        load_fleet(_written(tmp_path, lambda document: document["limits"].update(parallelism={"degrees": [1, 2]})))


def test_a_server_gets_the_memory_that_the_simulator_reckons_with(tmp_path: Path) -> None:
    fleet = load_fleet("local_cpu")
    config = write_scenario(scenario_document(fleet), tmp_path / "scenario.yaml")
    node = fleet.nodes[0]
    words = launch_words(fleet, config, node, node.engines[0], "weights")
    given = int(words[words.index("--kv-cache-memory-bytes") + 1])
    assert given == kv_pool_bytes(config, fleet, "mid")
    weights = config.architectures["tiny-llama-512"].weight_bytes
    assert given + weights == pytest.approx(config.node_pool_bytes(config.host_groups[0]), rel=1e-3)
    assert words[words.index("--max-num-seqs") + 1] == "4"
    assert words[words.index("--scheduling-policy") + 1] == "priority"


def test_engines_of_a_gpu_share_its_memory_by_parts(tmp_path: Path) -> None:
    fleet = load_fleet("a100")
    config = write_scenario(scenario_document(fleet), tmp_path / "scenario.yaml")
    for node in fleet.nodes:
        for engine in node.engines:
            words = launch_words(fleet, config, node, engine, "weights")
            share = float(words[words.index("--gpu-memory-utilization") + 1])
            assert share == pytest.approx(config.limits.gpu_memory_utilization / config.limits.partitions, abs=1e-3)


def test_servers_are_stock_where_the_file_says_nothing_else(tmp_path: Path) -> None:
    config = write_scenario(scenario_document(load_fleet("a100")), tmp_path / "scenario.yaml")
    limits = config.limits.model_dump()
    assert {name: limits[name] for name in STOCK_ENGINE} == STOCK_ENGINE
    world = Scenario(config).world
    assert world.params["schedule_ahead"] == 1
    assert world.params["growth_bytes"] == 1.0
    on_a_cpu = write_scenario(scenario_document(load_fleet("local_cpu")), tmp_path / "cpu.yaml").limits
    assert not on_a_cpu.schedule_ahead


def test_servers_that_do_not_schedule_ahead_are_not_simulated_so(tmp_path: Path) -> None:
    def told(document: dict[str, Any]) -> None:
        del document["limits"]["schedule_ahead"]
        document["launch"]["args"].append("--no-async-scheduling")

    def contradicting(document: dict[str, Any]) -> None:
        told(document)
        document["limits"]["schedule_ahead"] = True

    fleet = load_fleet(_written(tmp_path, told))
    assert not write_scenario(scenario_document(fleet), tmp_path / "scenario.yaml").limits.schedule_ahead
    demand_launch_trust(fleet, "mine.yaml", trust=False)
    with pytest.raises(MaestroError, match="remove one of the two"):
        load_fleet(_written(tmp_path, contradicting))


def test_the_fleet_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="models"):
        LiveFleetConfig.model_validate(load_fleet("local_cpu").model_dump(mode="json") | {"models": []})


@pytest.mark.parametrize("name", ["../../../ESCAPED", "/etc/ESCAPED", "..", "a\\..\\b"])
def test_the_name_of_a_fleet_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    fleet = load_fleet(_written(tmp_path, lambda document: document.update(name=name)))
    folder = fleet_folder(fleet)
    assert folder.parent == Path("runs") / "fleets"
    assert folder.name not in ("..", ".")


@pytest.mark.parametrize("name", ["", "two\nlines", "bell\x07", "n" * 1000])
def test_a_name_is_one_line_of_plain_signs(tmp_path: Path, name: str) -> None:
    with pytest.raises(MaestroError, match="`name`"):
        load_fleet(_written(tmp_path, lambda document: document.update(name=name)))


@pytest.mark.parametrize("name", FLEETS)
def test_a_shipped_fleet_starts_plain_vllm(name: str) -> None:
    demand_launch_trust(load_fleet(name), name, trust=False)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("launch", "command", ["sh", "-c", "touch ran"]),
        ("launch", "venv", "theirs"),
        ("launch", "package", "https://example.org/vllm.whl"),
        ("launch", "env", {"LD_PRELOAD": "theirs.so"}),
        ("launch", "env", {"PYTHONPATH": "theirs"}),
        ("launch", "args", ["--trust-remote-code"]),
        ("launch", "args", ["--middleware=theirs.Code"]),
        ("launch", "args", ["--distributed-executor-backend", "theirs.Executor"]),
        ("launch", "args", ["--block-size", "16", "--config", "theirs.yaml"]),
        ("engine", "args", ["--worker-cls", "theirs.Worker"]),
    ],
)
def test_what_is_not_plain_vllm_is_not_started_without_trust(
    tmp_path: Path, section: str, key: str, value: object
) -> None:
    def change(document: dict[str, Any]) -> None:
        engine = document["clusters"][0]["hosts"][0]["nodes"][0]["engines"][0]
        (engine if section == "engine" else document["launch"])[key] = value
        engine["residency"] = "process"

    path = _written(tmp_path, change)
    for words in (["fleet", "up"], ["live", "-p", "fcfs", "-o", str(tmp_path / "run")], ["validate"]):
        result = CliRunner().invoke(app, [*words, "--fleet", path])
        assert result.exit_code == 2, result.output
        assert ("args of an engine: what" if section == "engine" else f"launch.{key}: what") in result.stderr
        assert "--trust" in result.stderr
    fleet = load_fleet(path)
    demand_launch_trust(fleet, path, trust=True)
    # From Python the same question is asked, before a server is met.
    scenario = short_scenario(fleet, tmp_path / "from-python")
    acting = load_policy("fcfs", scenario)
    with pytest.raises(MaestroError, match="trust=True in Python"):
        LiveRunner(fleet, tmp_path / "from-python")(scenario, acting)
    with pytest.raises(MaestroError, match="trust=True in Python"):
        bring_up(fleet, lambda _: None)
    env = gym.make("Maestro/Live-Cluster-v0", fleet=fleet, folder=tmp_path / "env")
    with closing(env), pytest.raises(MaestroError, match="trust=True in Python"):
        env.reset(seed=0)
    assert not (tmp_path / "from-python" / "live-fcfs-test-0").exists()
