"""The dashboard, the alerts and the scrape file of deploy/, against the names that are exported, and by Prometheus.

Grafana itself is not run here: that a panel draws what its query answers is not shown.
"""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from maestro_gym.real_backend.prometheus.exported import EXPORTED
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import controller_of, during
from tests.real_backend.stand_in import StandIn

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "maestro-gym.json").read_text(encoding="utf-8"))
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
OF_PROMETHEUS = {"job", "instance", "le"}
SAMPLES = {sample: metric for metric in EXPORTED.values() for sample in metric.sample_names}

prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[tuple[str, str, str]]:
    """Where a query stands, the query, and the template of its legend or message."""
    for panel in _panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for rule in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"], rule["annotations"]["summary"].replace("$labels.", "")


def test_every_query_asks_for_metrics_and_labels_that_are_exported() -> None:
    for place, query, legend in _queries():
        names = set(re.findall(r"\bmaestro_[a-z_]+", query))
        assert names, place
        assert names <= set(SAMPLES), f"{place}: {names - set(SAMPLES)}"
        labels = {label for name in names for label in SAMPLES[name].labels} | OF_PROMETHEUS
        grouped = {word for group in re.findall(r"\bby \(([^)]*)\)", query) for word in re.findall(r"\w+", group)}
        selected = {word for inside in re.findall(r"\{([^}]*)\}", query) for word in re.findall(r"(\w+)\s*=", inside)}
        shown = set(re.findall(r"\{\{ ?(\w+) ?\}\}", legend))
        assert grouped | selected | shown <= labels, f"{place}: {(grouped | selected | shown) - labels}"
        if "sum" in query or "max" in query:
            assert shown <= grouped, f"{place}: {shown - grouped} are summed away"


def test_what_is_exported_is_on_the_dashboard() -> None:
    asked = {SAMPLES[name].name for _, query, _ in _queries() for name in re.findall(r"\bmaestro_[a-z_]+", query)}
    assert asked == set(EXPORTED)


def test_the_variable_of_the_dashboard_is_exported() -> None:
    source, job = DASHBOARD["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert job["query"]["query"] == "label_values(maestro_run_info, job)"
    for panel in _panels():
        assert panel["datasource"]["uid"] == "${source}"
        assert all('job=~"$job"' in target["expr"] for target in panel["targets"])


def test_panels_do_not_lie_on_each_other_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"].endswith(".") for panel in _panels())


@promtool
def test_prometheus_takes_its_files() -> None:
    for words in (("config", DEPLOY / "prometheus" / "prometheus.yml"), ("rules", ALERTS)):
        checked = subprocess.run(["promtool", "check", *map(str, words)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


@promtool
def test_each_alert_is_raised_by_what_it_is_about_and_by_nothing_else(tmp_path: Path) -> None:
    """promtool plays series of two minutes, a value every 15 s; all but one alert stay silent in each."""
    place = 'job="j", instance="i"'
    server = f'{place}, node="n", model="m"'
    series = {
        "MaestroPolicyReplaced": {f"maestro_policy_replaced{{{place}}}": "0x3 1x10"},
        "MaestroEngineDown": {f'maestro_engine_state{{{server}, state="down"}}': "0x2 1x10"},
        "MaestroDeadlinesAtRisk": {
            f'maestro_workflows_in_system{{{place}, class="batch", deadline="at_risk"}}': "3x10",
            f'maestro_workflows_in_system{{{place}, class="batch", deadline="on_time"}}': "11x10",
        },
        "MaestroDecisionsLate": {f'maestro_decision_troubles_total{{{place}, kind="late"}}': "0x4 1x10"},
        "MaestroServerMetricsOld": {f"maestro_server_scrape_age_seconds{{{server}}}": "1 16 31 46 61 76 91 106 121"},
        "": {
            f"maestro_policy_replaced{{{place}}}": "0x10",
            f'maestro_engine_state{{{server}, state="down"}}': "0 1 0x10",
            f'maestro_workflows_in_system{{{place}, class="batch", deadline="at_risk"}}': "2x10",
            f'maestro_workflows_in_system{{{place}, class="batch", deadline="on_time"}}': "9x10",
            f'maestro_decision_troubles_total{{{place}, kind="replaced"}}': "0 5x10",
            f"maestro_server_scrape_age_seconds{{{server}}}": "1x10",
        },
    }
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
    names = [rule["alert"] for rule in rules]
    assert set(series) - {""} == set(names)
    tests = []
    for raised, given in series.items():
        values = [{"series": name, "values": value} for name, value in given.items()]
        silent = [f"count(ALERTS{{alertname='{name}', alertstate='firing'}}) or vector(0)" for name in names]
        expected = [
            {"expr": query, "eval_time": "2m", "exp_samples": [{"labels": "{}", "value": int(name == raised)}]}
            for name, query in zip(names, silent, strict=True)
        ]
        tests.append({"interval": "15s", "input_series": values, "promql_expr_test": expected})
    path = tmp_path / "alerts_test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": tests}))
    checked = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@prometheus
def test_prometheus_scrapes_a_run_and_answers_every_query(two_servers: list[StandIn], tmp_path: Path) -> None:
    """The scrape file as it is deployed, but for its target and a shorter interval."""
    metrics, own = _free_port(), _free_port()
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    text = text.replace("controller:9464", f"127.0.0.1:{metrics}").replace("interval: 5s", "interval: 1s")
    text = text.replace("timeout: 4s", "timeout: 1s")
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    shutil.copy(ALERTS, tmp_path)
    words = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    controller = controller_of(fleet_of(two_servers), tmp_path / "run", metrics_port=metrics)
    seen = asyncio.Event()

    async def hold_until_seen() -> None:
        """A step of an engine, which begins to wait once some stages have finished."""
        await asyncio.sleep(0.002)
        while controller.begun and len(controller.traffic.finishes) >= 5 and not seen.is_set():
            await asyncio.sleep(0.02)

    for server in two_servers:
        server.pace = hold_until_seen
    answers: dict[str, list[Any]] = {}

    async def look() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}/api/v1", trust_env=False, timeout=60) as client:
            deadline = time.monotonic() + 120
            while not answers.get("scraped"):
                assert time.monotonic() < deadline, "Prometheus has scraped nothing"
                answers["scraped"] = await _ask(client, "count_over_time(maestro_run_info[1m]) >= 3")
                await asyncio.sleep(0.1)
            for place, query, _ in _queries():
                plain = query.replace("$__rate_interval", "1m").replace("$job", ".*")
                answers[f"{place}: {query}"] = await _ask(client, plain)
            answers["of a class"] = await _ask(client, "sum(maestro_workflows_arrived_total)")
        seen.set()

    with (tmp_path / "prometheus.log").open("w") as log:
        running = subprocess.Popen([*words, f"--web.listen-address=127.0.0.1:{own}"], stdout=log, stderr=log)
        try:
            during(controller, look)
        finally:
            running.terminate()
            running.wait(60)
    assert float(answers["of a class"][0]["value"][1]) > 0
    empty = {place.split(":")[0] for place, rows in answers.items() if not rows}
    # No server failed and nothing is alarming.
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert empty <= {"Faults", *(rule["alert"] for rule in rules)}


async def _ask(client: httpx.AsyncClient, query: str) -> list[Any]:
    try:
        answer = await client.get("/query", params={"query": query})
    except httpx.TransportError:
        return []  # it is starting
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []
    assert answer.json()["status"] == "success", f"{query}: {answer.json()}"
    return answer.json()["data"]["result"]
