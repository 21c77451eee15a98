"""What a server can do, asked of the server itself; what it cannot is named with what happens instead."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, fields

from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Request
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

PROBE_PROMPT = tuple(range(10, 26))

FALLBACKS = {
    "metrics": "KV use comes from the controller's books; policies that read kv_used_bytes are refused",
    "priority": "requests carry no order: the controller sends them in its own",
    "sleep": "models of this server are not demoted, or by ending its process",
    "pause": "the server cannot be frozen; requests are cut instead",
    "abort": "a request is aborted by closing its connection",
    "reset_prefix_cache": "cached prefixes stay until they are evicted",
    "lora": "no adapters",
    "token_ids": "outputs are not known as tokens: a stage that is cut begins anew, contexts share only prompts",
    "cached_tokens": "prefix hits are estimated",
    "engine_times": "calibration uses the controller's clock",
    "load": "the server's own count of requests is not read",
}
"""Capability: what is done without it."""


@dataclass
class Capabilities:
    """What one server can do.

    Attributes:
        version: Of vLLM, empty when it does not say.
        max_model_len: Longest context, None when it does not say.
        block_tokens: Tokens of a KV block, None without metrics.
        kv_tokens: KV tokens of its pool, None without metrics.
        metrics: ``/metrics`` with the gauges that are read.
        priority: It schedules by priority; None when it does not say.
        sleep: ``/sleep``, ``/wake_up``, ``/is_sleeping``.
        pause: ``/pause``, ``/resume``.
        abort: ``/abort_requests``.
        reset_prefix_cache: ``/reset_prefix_cache``.
        lora: ``/v1/load_lora_adapter``.
        load: ``/load``.
        token_ids: Streams hold token ids.
        cached_tokens: Usage tells cached prompt tokens.
        engine_times: Answers hold the engine's own times.
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
        """Names of what it can do."""
        return [f.name for f in fields(self) if getattr(self, f.name) is True]

    @property
    def missing(self) -> dict[str, str]:
        """What it cannot do, and what happens instead."""
        return {name: FALLBACKS[name] for name in FALLBACKS if not getattr(self, name)}


async def probe(client: NodeClient) -> Capabilities:
    """Ask a server what it can do; it makes one short completion.

    Args:
        client: Of the server.

    Returns:
        Its capabilities.

    Raises:
        NodeError: It does not answer.
        MaestroError: It does not serve the model that the fleet file names.
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
    found.priority = _priority(await client.server_info())
    found.sleep = await client.has_route("/is_sleeping") and await _posts(client, "/sleep")
    found.pause = await client.has_route("/is_paused") and await _posts(client, "/pause")
    found.abort = await _posts(client, "/abort_requests")
    found.reset_prefix_cache = await _posts(client, "/reset_prefix_cache")
    found.lora = await _posts(client, "/v1/load_lora_adapter")
    found.load = await client.has_route("/load")
    asleep = found.sleep and await client.is_sleeping()
    if asleep:
        found.notes.append("asleep: what its answers hold was not probed")
        return found
    answer = await client.complete(Request(f"probe-{uuid.uuid4().hex[:12]}", PROBE_PROMPT, 2))
    found.token_ids = bool(answer.token_ids)
    found.cached_tokens = answer.cached_tokens is not None
    found.engine_times = answer.engine is not None
    return found


async def _posts(client: NodeClient, path: str) -> bool:
    """Whether a route that acts exists, without acting: GET on it is "not allowed" (405), not "not found"."""
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


def _priority(info: bytes | None) -> bool | None:
    """Whether the server's configuration, which only development mode tells, schedules by priority."""
    if info is None:
        return None
    try:
        policy = json.loads(info)["vllm_config"]["scheduler_config"]["policy"]
    except (ValueError, KeyError, TypeError):
        return None
    return policy == "priority"
