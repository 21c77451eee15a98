"""Before the clock of a live run starts: servers are met, pools checked, an earlier controller's work taken over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.control import moves as ledger
from maestro_gym.real_backend.control.state import Books
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.node_error import NodeError
from maestro_gym.real_backend.vllm.server import Server

_LONGEST_AWAY_S = 3600.0
"""A controller that was away for longer goes on as if it had been so long: deadlines are over then anyway."""


async def meet_all(servers: Sequence[Server]) -> None:
    """Find out what the servers can do, and bring their engines to where the run begins.

    Args:
        servers: Their capabilities are filled in; those that shall have no process yet are left alone.

    Raises:
        MaestroError: One does not answer, serves another model, or cannot sleep although the fleet file says so.
    """
    # Sleepers first: others may need the memory that they leave.
    for awake in (False, True):
        group = [server for server in servers if server.wanted and server.engine.awake is awake]
        await asyncio.gather(*(_meet(server) for server in group))


async def _meet(server: Server) -> None:
    try:
        server.can = await probe(server.client)
        if server.can.sleep and server.engine.awake and await server.client.is_sleeping():
            await server.client.wake()
            server.can = await probe(server.client)
        if server.engine.residency == "sleep" and not server.can.sleep:
            raise MaestroError(
                f"{server.words} has residency `sleep` in the fleet file, but its server has no /sleep route for this "
                "controller. Start it with sleep mode behind the proxy of deploy/, or write another residency."
            )
        if server.can.reset_prefix_cache:
            await server.client.reset_prefix_cache()
        if server.engine.residency == "sleep" and not server.engine.awake:
            await server.client.sleep()
    except NodeError as error:
        raise MaestroError(
            f"{server.words} at {server.engine.url} does not answer as it should ({error}). `maestro-gym fleet up` "
            "starts the servers of a fleet file, `fleet status --probe` shows what each can do."
        ) from None


def take_pool(books: Books, server: Server) -> None:
    """Reckon with the KV pool that a server says it has, and see that it can hold any single stage of the workload.

    Args:
        books: The accounts.
        server: Its engine is RUNNING in them.

    Raises:
        MaestroError: It cannot: that stage would wait for ever.
    """
    tokens = books.set_pool(server.node, server.model, server.can)
    stages = books.episode.stages[books.episode.stages["model"] == server.model]
    need = int((stages["prompt_tokens"] + stages["max_output_tokens"]).max(initial=0))
    if need > tokens:
        raise MaestroError(
            f"{server.words} has room for {tokens:.0f} KV tokens, a stage of the workload may need {need}. Give the "
            "engine more memory, or shorten the workload (workload.overlong, max_model_len)."
        )


def catch_up(books: Books, history: Sequence[dict[str, Any]], path: Path) -> tuple[float, dict[int, int]]:
    """Take over what an earlier controller saw finish; everything else begins anew.

    Args:
        books: Fresh ones, of the same episode.
        history: The log so far.
        path: The log's, for messages.

    Returns:
        Time on the run's clock at which it goes on, and how often each finished stage was delivered.

    Raises:
        MaestroError: The log is of another workload, or damaged.
    """
    last_s = float(history[-1]["time_s"])
    books.integrated_s = last_s
    finishes: dict[int, int] = {}
    for event in history:
        # Every event is a moment at which the first controller kept its books.
        at_s = float(event["time_s"])
        books.advance(at_s)
        if event["event"] != "finish":
            continue
        stage = int(event["stage"])
        for name, value in event["times"].items():
            books.view.stages[name][0, stage] = value
        if not ledger.adopt_finished(books.engine, stage, int(event["tokens"]), at_s):
            raise MaestroError(
                f"{path}: stage {stage} finished in the log at {at_s:g} s, but was not ready then. The log belongs to "
                "another workload, or is damaged."
            )
        finishes[stage] = finishes.get(stage, 0) + 1
    # The wall clock tells how long nobody was there; it may have been set back, the log's own times not.
    away_s = time.time() - float(history[0]["started_unix_s"])
    offset_s = max(last_s, min(away_s, last_s + _LONGEST_AWAY_S))
    books.integrated_s = offset_s
    return offset_s, finishes
