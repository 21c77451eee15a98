"""Ten thousand live stages on stand-ins under all faults mixed: how many are lost, and how many are done twice?

    python benchmarks/live_faults.py                    ten thousand stages, a few minutes
    python benchmarks/live_faults.py --stages 1000

Two servers that speak vLLM's protocol on real sockets. One request in seven is dropped, garbled, miscounted, refused,
failed or left hanging; servers die and come back; metrics pages are floods, lies, no pages, a label of two megabytes;
their clocks are a day ahead; the wall clock of the controller is set back; and the controller itself is killed again
and again, and goes on from its log.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from maestro_gym.real_backend.control import decide
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.event_log import read_events
from tests.real_backend.conftest import fleet_of, impatient
from tests.real_backend.fault_plans import PROOFS, FaultPlan
from tests.real_backend.runs import controller_of
from tests.real_backend.stand_in import StandIn

SEED = 14
RATE_RPS = 60.0
STAGES_A_WORKFLOW = 2.9
KILLS = 5
PAGES = (
    None,
    b"".join(b'x{n="%d"} 1\n' % n for n in range(100_000)),
    b'vllm:cache_config_info{a="' + b"x" * 2_000_000 + b'"} 1\n',
    b"<html>Welcome</html>",
    b"vllm:kv_cache_usage_perc nan\n",
)


async def _trouble(servers: list[StandIn]) -> None:
    """Bad pages, wrong clocks and dead servers, one after the other, until the run is over."""
    chance, wall = random.Random(SEED), time.time
    for number, page in enumerate(itertools.cycle(PAGES)):
        server = servers[chance.randrange(2)]
        server.faults.metrics_body = page
        server.faults.clock_ahead_s = chance.choice((0.0, 86_400.0, -86_400.0))
        time.time = lambda back_s=60.0 * number: wall() - back_s
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        if chance.random() < 0.3:
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(chance.uniform(0.2, 1.0))
            await asyncio.to_thread(server.start)


async def _beat(delays: list[float]) -> None:
    """How late the loop is: what a bad page costs everybody."""
    while True:
        begin = time.monotonic()
        await asyncio.sleep(0.01)
        delays.append(time.monotonic() - begin - 0.01)


async def _session(controller: Controller, servers: list[StandIn], until: int, delays: list[float]) -> None:
    """Run, and die after so many stages."""
    run = asyncio.create_task(controller.run())
    beside = [asyncio.create_task(_trouble(servers)), asyncio.create_task(_beat(delays))]
    try:
        while not run.done() and (not controller.begun or len(controller.traffic.finishes) < until):
            await asyncio.sleep(0.05)
        if not run.done():
            run.cancel()
        await asyncio.gather(run, return_exceptions=run.cancelling() > 0)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        for server in servers:
            server.faults.metrics_body = None


def main() -> None:
    """Print what came of it, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stages", type=int, default=10_000, help="stages, about")
    asked = parser.parse_args()
    decide.LATE_S = math.inf  # a busy machine is no fault of a policy
    wall, begin = time.time, time.monotonic()
    delays: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        StandIn(max_num_seqs=8) as one,
        StandIn(max_num_seqs=8) as two,
    ):
        servers = [one, two]
        plan = FaultPlan(SEED, list(PROOFS), share=1 / 7, most_tokens=6)
        for server in servers:
            server.faults.plan = plan
        fleet = impatient(fleet_of(servers), stall_s=1.0, first_token_s=4.0, control_s=4.0)
        horizon_s = asked.stages / STAGES_A_WORKFLOW / RATE_RPS
        settings: dict[str, Any] = {"rate_rps": RATE_RPS, "horizon_s": horizon_s, "drain_s": 3600.0}
        for number in range(KILLS + 1):
            controller = controller_of(fleet, Path(folder), resume=number > 0, **settings)
            stages = len(controller.episode.stages)
            until = stages * (number + 1) // (KILLS + 1) if number < KILLS else stages + 1
            asyncio.run(_session(controller, servers, until, delays))
            time.time = wall
            print(f"controller {number + 1}: {len(controller.traffic.finishes):,} of {stages:,}", file=sys.stderr)
        events = list(read_events(Path(folder) / "events.jsonl"))
    finishes = Counter(event["stage"] for event in events if event["event"] == "finish")
    errors = Counter(str(e["error"]).partition(":")[0] for e in events if e["event"] == "fault")
    times = [event["time_s"] for event in events]
    delays.sort()
    print(
        json.dumps(
            {
                "stages": stages,
                "lost": stages - len(finishes),
                "done twice": sum(count > 1 for count in finishes.values()),
                "drained": events[-1].get("drained"),
                "times in order": times == sorted(times),
                "faults of stages and servers": dict(errors),
                "servers down": sum(event["event"] == "down" for event in events),
                "pages lost": sum(event["event"] == "metrics_lost" for event in events),
                "controllers": KILLS + 1,
                "loop late, median and 99.9 % and most [s]": [
                    round(delays[min(len(delays) - 1, int(q * len(delays)))], 4) for q in (0.5, 0.999, 1.0)
                ],
                "wall time [s]": round(time.monotonic() - begin, 1),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
