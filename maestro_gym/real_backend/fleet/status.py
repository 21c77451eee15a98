"""The state of every server of a fleet, as rows of a table."""

from __future__ import annotations

import asyncio
from typing import Any

from maestro_gym.config.live import LiveEngineConfig, LiveFleetConfig, LiveNodeConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.fleet.processes import ServerNote, fleet_folder, read_notes
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError


def fleet_rows(fleet: LiveFleetConfig, *, probing: bool) -> list[dict[str, Any]]:
    """Ask every server for its state.

    Args:
        fleet: The fleet file.
        probing: Whether to find out also what each server can do, which costs it a short completion.

    Returns:
        One row per server.
    """
    return asyncio.run(_rows(fleet, probing))


async def _rows(fleet: LiveFleetConfig, probing: bool) -> list[dict[str, Any]]:
    notes = read_notes(fleet_folder(fleet))
    places = [(node, engine) for node in fleet.nodes for engine in node.engines]
    return list(await asyncio.gather(*(_row(fleet, node, engine, notes, probing) for node, engine in places)))


async def _row(
    fleet: LiveFleetConfig,
    node: LiveNodeConfig,
    engine: LiveEngineConfig,
    notes: dict[str, ServerNote],
    probing: bool,
) -> dict[str, Any]:
    note = notes.get(engine.url)
    row: dict[str, Any] = {
        "node": node.name,
        "model": engine.model,
        "url": engine.url,
        "pid": note.pid if note is not None and note.alive else None,
        "residency": "down",
        "running": None,
        "waiting": None,
        "kv_%": None,
        "kv_tokens": None,
        "version": None,
    }
    if probing:
        row |= {"can": None, "cannot": None}
    client = NodeClient(fleet, engine)
    try:
        await client.health()
        row["residency"] = "running"
        row["version"] = await client.version()
        gauges = await client.gauges()
        row["running"], row["waiting"] = _whole(gauges.running), _whole(gauges.waiting)
        row["kv_%"] = None if gauges.kv_usage is None else 100.0 * gauges.kv_usage
        row["kv_tokens"] = gauges.kv_tokens
        if gauges.sleep_state not in (None, "awake"):
            row["residency"] = "sleeping"
        if probing:
            found = await probe(client)
            row["can"], row["cannot"] = ", ".join(found.present), ", ".join(found.missing)
    except NodeError as error:
        if error.fault != Fault.UNREACHABLE:
            row["residency"] = f"{row['residency']}: {error}"
    except MaestroError as error:
        row["residency"] = str(error)
    finally:
        await client.close()
    return row


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
