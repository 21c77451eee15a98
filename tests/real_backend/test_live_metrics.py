"""What a live run tells Prometheus: the page as it is scraped over HTTP, and its numbers against the log of the run."""

import asyncio
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.prometheus.exported import COUNTER, EXPORTED, exported_markdown
from maestro_gym.real_backend.prometheus.live_metrics import _standing
from maestro_gym.state import STAGE_QUEUED, STAGE_RUNNING
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import SHORT, assert_nothing_lost, controller_of, during, log_of, run
from tests.real_backend.stand_in import StandIn

PAGE = Path(__file__).resolve().parents[2] / "docs" / "live_metrics.md"


def _read(text: str) -> dict[str, Metric]:
    """The families of a page by the names under which they are declared; the parser cuts `_total` off."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {f"{name}_total" if family.type == "counter" else name: family for name, family in families.items()}


def _values(page: dict[str, Metric], name: str) -> dict[tuple[str, ...], float]:
    return {tuple(s.labels[label] for label in EXPORTED[name].labels): s.value for s in page[name].samples}


async def _scrape(controller: Controller) -> dict[str, Metric]:
    def ask() -> str:
        return httpx.get(f"http://127.0.0.1:{controller.metrics_port}/metrics", timeout=60, trust_env=False).text

    return _read(await asyncio.to_thread(ask))


def test_a_page_holds_what_is_declared_and_is_of_one_moment(two_servers: list[StandIn], tmp_path: Path) -> None:
    controller = controller_of(fleet_of(two_servers), tmp_path, "maestro", metrics_port=0)
    pages: list[dict[str, Metric]] = []

    async def look() -> None:
        pages.append(await _scrape(controller))

    during(controller, look)
    assert_nothing_lost(controller)
    _assert_declared(pages[0])
    _assert_of_one_moment(pages[0], len(controller.episode.stages))


def _assert_declared(page: dict[str, Metric]) -> None:
    assert set(page) == set(EXPORTED)
    for name, declared in EXPORTED.items():
        assert page[name].type == declared.kind, name
        assert page[name].documentation == declared.description
        for sample in page[name].samples:
            assert sample.name in declared.sample_names
            assert set(sample.labels) - {"le"} == set(declared.labels), name


def _assert_of_one_moment(page: dict[str, Metric], num_stages: int) -> None:
    """Stages, workflows, queues and batches add up, as they do at no moment but one."""
    arrived = _values(page, "maestro_workflows_arrived_total")
    ended, here = _values(page, "maestro_workflows_finished_total"), _values(page, "maestro_workflows_in_system")
    phases, finished = _values(page, "maestro_stages"), _values(page, "maestro_stages_finished_total")
    queues = _values(page, "maestro_queue_stages")
    assert 0 < sum(finished.values()) < num_stages
    for cls in ("interactive", "batch"):
        assert sum(n for (of, _), n in (ended | here).items() if of == cls) == arrived[cls,]
        assert queues["global", cls] == phases[cls, "ready"]
        assert sum(n for (queue, of), n in queues.items() if of == cls and queue != "global") == phases[cls, "queued"]
    running = sum(n for (_, phase), n in phases.items() if phase == "running")
    assert sum(_values(page, "maestro_engine_batch_stages").values()) == running
    gone = sum(n for (_, phase), n in phases.items() if phase in ("delivery", "gap"))
    assert sum(_values(page, "maestro_server_stages_finished_total").values()) == sum(finished.values()) + gone
    reserved, pool = _values(page, "maestro_kv_reserved_bytes"), _values(page, "maestro_kv_pool_bytes")
    assert all(0 <= reserved[place] <= pool[place] for place in pool)
    assert {place[2] for place, flag in _values(page, "maestro_engine_state").items() if flag} == {"running"}


def test_decisions_are_counted_as_the_log_has_them(server: StandIn, tmp_path: Path) -> None:
    controller = controller_of(fleet_of([server]), tmp_path, "edf", rate_rps=10.0)
    last: list[dict[str, Metric]] = []
    end = controller.metrics.end

    def end_after_a_look() -> None:
        last.append({f"{f.name}_total" if f.type == COUNTER else f.name: f for f in controller.metrics._of_decisions()})
        end()

    controller.metrics.end = end_after_a_look
    run(controller)
    logged = Counter(event["tier"] for event in log_of(controller) if event["event"] == "decision")
    counted = _values(last[0], "maestro_decisions_total")
    assert {tier: n for (tier, by), n in counted.items() if by == "policy"} == logged
    latency = last[0]["maestro_decision_latency_seconds"].samples
    assert {s.labels["tier"]: s.value for s in latency if s.name.endswith("_count")} == logged
    spent = sum(s.value for s in latency if s.name.endswith("_sum"))
    assert spent == pytest.approx(sum(controller.fleet_state.policies.latencies_s))


def test_trouble_is_counted_by_its_kind(server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # However quick the machine is, no decision takes less than no time.
    monkeypatch.setattr("maestro_gym.real_backend.control.decide.LATE_S", -1.0)
    controller = run(controller_of(fleet_of([server]), tmp_path, rate_rps=5.0))
    decisions = [event for event in log_of(controller) if event["event"] == "decision"]
    assert controller.metrics._troubles == {"late": 3, "illegal": 0, "failed": 0, "replaced": len(decisions) - 3}


def test_faults_of_servers_are_shown_by_their_kind(two_servers: list[StandIn], tmp_path: Path) -> None:
    two_servers[0].faults.plan = lambda name: ("drop", 2) if name.endswith("-0") else None
    controller = controller_of(fleet_of(two_servers), tmp_path, metrics_port=0)
    pages: list[dict[str, Metric]] = []

    async def look() -> None:
        while controller.servers[0].faults.get("dropped", 0) == 0:
            await asyncio.sleep(0.002)
        pages.append(await _scrape(controller))

    during(controller, look)
    faults = _values(pages[0], "maestro_server_faults_total")
    node = controller.servers[0].node_name
    assert faults[node, controller.servers[0].engine.model, "dropped"] >= 1
    assert {place[0] for place in faults} == {node}


def test_a_deadline_is_at_risk_when_what_is_left_would_miss_it(server: StandIn, tmp_path: Path) -> None:
    controller = run(controller_of(fleet_of([server]), tmp_path, rate_rps=5.0))
    state = controller.fleet_state
    stages, now_s = state.view.stages[0, : len(controller.episode.stages)], 100.0
    firsts = [int(row["first_stage"]) for row in controller.episode.workflows[:5]]
    per_token_s = float(state.view.world.service["decode_s_per_token"][stages["model"][firsts[0]]])
    state.view.workflows["deadline_s"][0, :5] = (110.0, 104.0, 99.0, 104.0, 104.0)
    stages["phase"][firsts] = (STAGE_QUEUED, STAGE_QUEUED, STAGE_QUEUED, STAGE_RUNNING, STAGE_RUNNING)
    stages["remaining_s_q50"][firsts] = 5.0
    # The fourth has generated more than a second's worth of the five; the fifth less.
    stages["generated_tokens"][firsts] = (0, 0, 0, np.ceil(1.5 / per_token_s), np.floor(0.5 / per_token_s))
    assert _standing(state, now_s)[:5].tolist() == ["on_time", "at_risk", "late", "on_time", "at_risk"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_the_verb_serves_the_page_while_it_runs_and_no_longer(
    two_servers: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(yaml.safe_dump(fleet_of(two_servers).model_dump(mode="json")), encoding="utf-8")
    url, pages, ended = f"http://127.0.0.1:{_free_port()}/metrics", [], threading.Event()

    def ask() -> None:
        while not ended.is_set() and not pages:
            try:
                text = httpx.get(url, timeout=60, trust_env=False).text
            except httpx.TransportError:
                text = ""
            if "maestro_run_info" in text:
                pages.append(_read(text))
            time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    words = ("live", "--fleet", fleet, "-w", SHORT, "--load", 0.3, "--horizon", 1, "-p", "edf", "--shadow", "fcfs")
    port = url.split(":")[2].split("/")[0]
    result = CliRunner().invoke(app, [*map(str, words), "--out", str(tmp_path / "run"), "--metrics-port", port])
    ended.set()
    asking.join()
    assert result.exit_code == 0, result.output
    (about,) = pages[0]["maestro_run_info"].samples
    assert (about.labels["policy"], about.labels["shadow"]) == ("edf", "fcfs")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_a_port_that_is_taken_is_one_paragraph(fleet: LiveFleetConfig, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        with pytest.raises(MaestroError, match=f"--metrics-port {port}: 127.0.0.1 cannot be listened on"):
            run(controller_of(fleet, tmp_path, metrics_port=port))


def test_the_page_of_the_docs_is_what_is_declared() -> None:
    assert PAGE.read_text(encoding="utf-8").rstrip() == exported_markdown().rstrip(), "run `make docs`"
