"""Thousands of live stages under all faults mixed: how many are lost, and how many are done twice?

    python benchmarks/live_faults.py                              ten thousand stages on stand-ins, a few minutes
    python benchmarks/live_faults.py --vllm --stages 1000         on the servers that `maestro-gym fleet up` started

Two servers on real sockets: stand-ins that speak vLLM's protocol, or vLLM itself, each behind a proxy that spoils its
answers. One request in seven is dropped, garbled, miscounted, refused, failed or left hanging; servers turn slow, die
and come back; metrics pages are floods, lies, no pages, a label of two megabytes; the clocks of stand-ins are a day
ahead; the wall clock of the controller is set back; and the controller, a process of its own, is killed (SIGKILL) again
and again, and goes on from its log. Of vLLM one death in three is the SIGKILL of the server or of its engine, and a
new start; the others cut its network.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.real_backend.control import decide
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.event_log import EVENTS_FILE, read_events
from maestro_gym.real_backend.fleet.local import bring_up
from maestro_gym.real_backend.fleet.processes import fleet_folder, read_notes, stop_server
from tests.real_backend.conftest import fleet_of, impatient
from tests.real_backend.fault_plans import PROOFS, FaultPlan
from tests.real_backend.fault_proxy import FaultProxy
from tests.real_backend.runs import controller_of
from tests.real_backend.stand_in import StandIn

SEED = 14
STAGES_A_WORKFLOW = 2.9
KILLS = 5
PAGES = (
    None,
    b"".join(b'x{n="%d"} 1\n' % n for n in range(100_000)),
    b'vllm:cache_config_info{a="' + b"x" * 2_000_000 + b'"} 1\n',
    b"<html>Welcome</html>",
    b"vllm:kv_cache_usage_perc nan\n",
)
STAND_INS = {"rate_rps": 60.0, "stall_s": 1.0, "first_token_s": 4.0, "control_s": 4.0}
VLLM = {"rate_rps": 4.0, "stall_s": 3.0, "first_token_s": 10.0, "control_s": 10.0, "scrape_s": 0.5}


class _Vllm(FaultProxy):
    """A server of a fleet that is up, behind the proxy."""

    def __init__(self, fleet: LiveFleetConfig, node: int) -> None:
        engine = fleet.nodes[node].engines[0]
        super().__init__(engine.url, engine.model)
        self._fleet, self._stops, self._dead = fleet, 0, False
        self.kills = 0

    def stop(self) -> None:
        self._stops += 1
        if self._stops % 3 == 1:
            with _ONE_AT_A_TIME:
                self._kill()
        super().stop()

    def _kill(self) -> None:
        """Kill the whole server, or its engine only, after whose death the server ends itself."""
        folder = fleet_folder(self._fleet)
        note = read_notes(folder)[self._to_url]
        if self.kills % 2:
            for children in Path(f"/proc/{note.pid}/task").glob("*/children"):
                for child in children.read_text().split():
                    os.kill(int(child), signal.SIGKILL)
            end_s = time.monotonic() + 20.0
            while note.alive and time.monotonic() < end_s:
                time.sleep(0.1)
        else:
            os.killpg(note.pid, signal.SIGKILL)
        stop_server(folder, note)
        self.kills, self._dead = self.kills + 1, True

    def start(self) -> None:
        if self._dead:
            with _ONE_AT_A_TIME:
                bring_up(self._fleet, lambda _: None)
            self._dead = False
        super().start()


_ONE_AT_A_TIME = threading.Lock()
"""The notes of a fleet have one writer, and nobody kills a server for which another waits."""


def _trouble(server: StandIn | FaultProxy, chance: random.Random, over: threading.Event) -> None:
    """Bad pages, wrong clocks, slowness and deaths, one after the other, until it is over."""
    for page in itertools.cycle(PAGES):
        server.faults.metrics_body = page
        server.faults.clock_ahead_s = chance.choice((0.0, 86_400.0, -86_400.0))
        server.faults.late_s = chance.choice((0.0, 0.0, 0.05))
        if over.wait(chance.uniform(0.5, 2.0)):
            break
        if chance.random() < 0.3:
            server.stop()
            over.wait(chance.uniform(0.2, 1.0))
            server.start()
    server.faults.metrics_body, server.faults.late_s = None, 0.0


async def _beat(controller: Controller, delays: Path) -> None:
    """How late the loop of a controller is: what a bad page costs everybody."""
    while not controller.begun:
        await asyncio.sleep(0.01)
    with delays.open("a", encoding="utf-8", buffering=1) as stream:
        while True:
            begin = time.monotonic()
            await asyncio.sleep(0.01)
            stream.write(f"{time.monotonic() - begin - 0.01:.6f}\n")


async def _set_back(number: int) -> None:
    """Set the wall clock back by a minute more every second, further from the start in each controller."""
    wall = time.time
    for minutes in itertools.count(10 * number):
        time.time = lambda back_s=60.0 * minutes: wall() - back_s
        await asyncio.sleep(1.0)


def _control(fleet: LiveFleetConfig, folder: Path, number: int, settings: dict[str, Any]) -> None:
    """Run one controller, in a process of its own."""

    async def run() -> None:
        controller = controller_of(fleet, folder, resume=number > 0, **settings)
        beside = [asyncio.create_task(_beat(controller, folder / "delays.txt")), asyncio.create_task(_set_back(number))]
        await asyncio.sleep(0)  # so that the wall clock is wrong from the beginning
        await controller.run()
        for task in beside:
            task.cancel()

    decide.LATE_S = math.inf  # a busy machine is no fault of a policy
    asyncio.run(run())


def _count(log: Path, event: str) -> int:
    return log.read_bytes().count(f'{{"event": "{event}"'.encode()) if log.exists() else 0


def _session(
    servers: Sequence[StandIn | FaultProxy],
    fleet: LiveFleetConfig,
    folder: Path,
    number: int,
    settings: dict[str, Any],
) -> None:
    """Let a controller run amid trouble, and kill it once its share of the stages has finished; let the last one end.

    Raises:
        SystemExit: The controller ended by itself before.
    """
    log, over = folder / EVENTS_FILE, threading.Event()
    process = multiprocessing.get_context("spawn").Process(target=_control, args=(fleet, folder, number, settings))
    process.start()
    while process.is_alive() and _count(log, "run") + _count(log, "resume") <= number:
        time.sleep(0.05)
    chances = [random.Random(f"{SEED}/{number}/{place}") for place in range(len(servers))]
    threads = [
        threading.Thread(target=_trouble, args=(server, chance, over))
        for server, chance in zip(servers, chances, strict=True)
    ]
    for thread in threads:
        thread.start()
    share = (number + 1) / (KILLS + 1)
    while process.is_alive() and (share == 1 or _count(log, "finish") < share * next(read_events(log))["stages"]):
        time.sleep(0.25)
    process.kill()
    process.join()
    over.set()
    for thread in threads:
        thread.join()
    if process.exitcode != (0 if share == 1 else -signal.SIGKILL):
        raise SystemExit(f"controller {number + 1} ended with exit code {process.exitcode}")


def main() -> None:
    """Print what came of it, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stages", type=int, default=10_000, help="stages, about")
    parser.add_argument("--vllm", action="store_true", help="on the servers of `maestro-gym fleet up`")
    asked = parser.parse_args()
    begin = time.monotonic()
    plan = FaultPlan(SEED, list(PROOFS), share=1 / 7, most_tokens=6)
    client = dict(VLLM if asked.vllm else STAND_INS)
    rate_rps = client.pop("rate_rps")
    settings = {"rate_rps": rate_rps, "horizon_s": asked.stages / STAGES_A_WORKFLOW / rate_rps, "drain_s": 3600.0}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        real = [_Vllm(load_fleet("local_cpu"), node) for node in range(2)] if asked.vllm else []
        servers = [stack.enter_context(server) for server in real or [StandIn(max_num_seqs=8) for _ in range(2)]]
        for server in servers:
            server.faults.plan = plan
        fleet = impatient(fleet_of(servers), **client)
        for number in range(KILLS + 1):
            _session(servers, fleet, folder, number, settings)
            print(f"controller {number + 1}: {_count(folder / EVENTS_FILE, 'finish'):,} finished", file=sys.stderr)
        events = list(read_events(folder / EVENTS_FILE))
        delays = sorted(float(line) for line in (folder / "delays.txt").read_text().split())
        kills = sum(server.kills for server in real)
    ends = {"servers killed": kills, "wall time [s]": round(time.monotonic() - begin, 1)}
    print(json.dumps(_found(events, delays) | ends, indent=1))


def _found(events: list[dict[str, Any]], delays: list[float]) -> dict[str, Any]:
    """What the log of a run says."""
    finishes = Counter(event["stage"] for event in events if event["event"] == "finish")
    errors = Counter(str(e["error"]).partition(":")[0] for e in events if e["event"] == "fault")
    times = [event["time_s"] for event in events]
    return {
        "stages": events[0]["stages"],
        "lost": events[0]["stages"] - len(finishes),
        "done twice": sum(count > 1 for count in finishes.values()),
        "drained": events[-1].get("drained"),
        "times in order": times == sorted(times),
        "faults of stages and servers": dict(errors),
        "servers down": sum(event["event"] == "down" for event in events),
        "pages lost": sum(event["event"] == "metrics_lost" for event in events),
        "controllers": 1 + sum(event["event"] == "resume" for event in events),
        "loop late, median and 99.9 % and most [s]": [
            round(delays[min(len(delays) - 1, int(q * len(delays)))], 4) for q in (0.5, 0.999, 1.0)
        ],
    }


if __name__ == "__main__":
    main()
