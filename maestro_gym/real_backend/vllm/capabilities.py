"""What a server can do, found by asking the server itself; what it cannot do is named with what happens instead."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, fields

from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Request
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

PROBE_PROMPT = tuple(range(10, 26))

FALLBACKS = {
    "metrics": "KV use comes from the controller's reservations; policies that read kv_used_bytes are refused",
    "priority": "requests carry no priority: the controller sends them in its own order",
    "sleep": "the model of this server is not demoted, or only by ending its process",
    "pause": "the server cannot be frozen; requests are aborted instead",
    "abort": "a request is aborted by closing its connection",
    "reset_prefix_cache": "cached prefixes stay until they are evicted",
    "lora": "the server has no adapters",
    "token_ids": "outputs are not known as tokens: a stage that is aborted begins anew, contexts share only prompts",
    "cached_tokens": "prefix hits are estimated",
    "engine_times": "calibration uses the controller's clock",
    "load": "the server's own count of requests is not read",
}
"""What is done without each capability, by its name."""


@dataclass
class Capabilities:
    """What one server can do.

    Attributes:
        version: The version of vLLM; empty when the server does not say.
        max_model_len: The longest context; None when the server does not say.
        block_tokens: The number of tokens of a KV block; None without metrics.
        kv_tokens: The number of tokens of the KV pool; None without metrics.
        metrics: Whether ``/metrics`` has the gauges that are read.
        priority: Whether the server schedules by priority; None when it does not say.
        sleep: Whether it has ``/sleep``, ``/wake_up`` and ``/is_sleeping``.
        pause: Whether it has ``/pause`` and ``/resume``.
        abort: Whether it has ``/abort_requests``.
        reset_prefix_cache: Whether it has ``/reset_prefix_cache``.
        lora: Whether it has ``/v1/load_lora_adapter``.
        load: Whether it has ``/load``.
        token_ids: Whether its streams hold token ids.
        cached_tokens: Whether its usage records give the cached prompt tokens.
        engine_times: Whether its answers hold the engine's own times.
        notes: What could not be found out, and why.
    """

    version: str = ""
    max_model_len: int | None = None
    block_tokens: int | None = None
    kv_tokens: int | None = None
    metrics: bool = False
    priority: bool | None = None
    sleep: bool = False
    pause: bool = False
    abort: bool = False
    reset_prefix_cache: bool = False
    lora: bool = False
    load: bool = False
    token_ids: bool = False
    cached_tokens: bool = False
    engine_times: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def present(self) -> list[str]:
        """The names of what the server can do."""
        return [f.name for f in fields(self) if getattr(self, f.name) is True]

    @property
    def missing(self) -> dict[str, str]:
        """The names of what the server cannot do, each with what happens instead."""
        return {name: FALLBACKS[name] for name in FALLBACKS if not getattr(self, name)}


async def probe(client: NodeClient) -> Capabilities:
    """Ask a server what it can do, for which it makes one short completion.

    Args:
        client: The client of the server.

    Returns:
        The capabilities of the server.

    Raises:
        NodeError: The server does not answer.
        MaestroError: The server does not serve the model that the fleet file names.
    """
    found = Capabilities()
    await client.health()
    cards = {card.id: card for card in (await client.models()).data}
    wanted = client.engine.model
    if wanted not in cards:
        raise MaestroError(
            f"{client.engine.url} serves {', '.join(sorted(cards)) or 'no model'}, the fleet file says `{wanted}`. "
            "Start it with --served-model-name, or mend `model` of the engine."
        )
    found.max_model_len = cards[wanted].max_model_len
    try:
        found.version = await client.version()
    except NodeError as error:
        found.notes.append(f"/version: {error}")
    await _probe_metrics(client, found)
    await _probe_priority(client, found)
    found.sleep = await client.has_route("/is_sleeping") and await _posts(client, "/sleep")
    found.pause = await client.has_route("/is_paused") and await _posts(client, "/pause")
    found.abort = await _posts(client, "/abort_requests")
    found.reset_prefix_cache = await _posts(client, "/reset_prefix_cache")
    found.lora = await _posts(client, "/v1/load_lora_adapter")
    found.load = await client.has_route("/load")
    asleep = found.sleep and await client.is_sleeping()
    if asleep:
        found.notes.append("the engine sleeps: what its answers hold was not probed")
        return found
    answer = await client.complete(Request(f"probe-{uuid.uuid4().hex[:12]}", PROBE_PROMPT, 2))
    found.token_ids = bool(answer.token_ids)
    found.cached_tokens = answer.cached_tokens is not None
    found.engine_times = answer.engine is not None
    return found


async def _posts(client: NodeClient, path: str) -> bool:
    """Say whether a route that acts exists, without acting: a GET of it is "not allowed" (405), not "not found"."""
    try:
        await client.probe_route(path)
    except NodeError as error:
        return error.fault == Fault.REFUSED and error.detail.startswith("405")
    return True


async def _probe_metrics(client: NodeClient, found: Capabilities) -> None:
    try:
        gauges = await client.gauges()
    except NodeError as error:
        found.notes.append(f"/metrics: {error}")
        return
    found.metrics = gauges.running is not None and gauges.kv_usage is not None
    found.block_tokens, found.kv_tokens = gauges.block_tokens, gauges.kv_tokens


async def _probe_priority(client: NodeClient, found: Capabilities) -> None:
    try:
        info = await client.server_info()
    except NodeError as error:
        # vLLM's first answer gathers facts about the whole machine, for which a busy one takes too long.
        found.notes.append(f"/server_info: {error}")
        return
    policy = info.vllm_config.scheduler_config.policy if info.vllm_config is not None else ""
    found.priority = policy == "priority" if policy else None
