"""Compile what a live run of a fleet calls, without its servers: ``python warm_cache.py a100``.

The image of the controller runs this once, so that no run of it begins, or pauses in its midst, to compile.
"""

import sys
import tempfile
from pathlib import Path

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config.live import load_fleet
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control import moves
from maestro_gym.real_backend.control.controller import FALLBACK_POLICY
from maestro_gym.real_backend.control.state import FleetState
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario


def main(name: str, policies: tuple[str, ...] = ("maestro", "searched")) -> None:
    """Open the policies on a fleet's state, and compile every move of it."""
    fleet = load_fleet(name)
    document = scenario_document(fleet, {"family": "live", "load": 0.8}, horizon_s=10.0, drain_s=60.0)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(write_scenario(document, Path(folder) / "scenario.yaml"))
        for policy in policies:
            episode, fallback = scenario.episode("test", 0, 0), load_policy(FALLBACK_POLICY, scenario)
            FleetState(fleet, scenario, episode, load_policy(policy, scenario), fallback)
    compiled = [move for move in vars(moves).values() if getattr(move, "fixed", None) is not None]
    for move in compiled:
        move.compile(move.fixed)
    print(f"compiled {len(compiled)} moves of a live run, for {', '.join(policies)} with {FALLBACK_POLICY}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
