"""Agents in Python on real servers, over stand-ins: asked like any policy, and replaced when they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import SHORT
from tests.real_backend.stand_in import StandIn

FILE = """
import numpy as np


class Last:
    tier = "cluster"

    def act(self, observation, mask):
        return int(np.flatnonzero(mask)[-1])


class Failing(Last):
    def act(self, observation, mask):
        raise ValueError("lost")
"""


@pytest.mark.filterwarnings("ignore:running the code")
@pytest.mark.parametrize(("name", "fails"), [("Last", False), ("Failing", True)])
def test_an_agent_runs_live_and_the_fallback_takes_over_when_it_fails(
    name: str, fails: bool, two_servers: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    fleet = yaml.safe_dump(fleet_of(two_servers).model_dump(mode="json"))
    (tmp_path / "fleet.yaml").write_text(fleet, encoding="utf-8")
    words = f"live --fleet fleet.yaml -w {SHORT} --load 0.3 --horizon 2 -p mine.py:{name} --out run".split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    routed = [event for event in events if event["event"] == "decision" and event["tier"] == "cluster"]
    assert len(routed) > 2
    if fails:
        assert all(event["by"] == "fallback" for event in routed)
        assert "line 14" in routed[0]["trouble"]
        assert "ValueError: lost" in routed[0]["trouble"]
    else:
        assert not any("by" in event for event in routed)
