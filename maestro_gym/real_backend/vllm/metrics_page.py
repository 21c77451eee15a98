"""The ``/metrics`` page of a vLLM server, read by Prometheus' own parser."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from maestro_gym.real_backend.vllm.keys import hide_keys
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

_GAUGES = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_usage",
}
_COUNTERS = (
    "vllm:num_preemptions_total",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:prefix_cache_queries_total",
    "vllm:prefix_cache_hits_total",
    "vllm:request_success_total",
    "vllm:admission_rejections_total",
)
_MOST_DIGITS = 12
_SLEEP, _CACHE = "vllm:engine_sleep_state", "vllm:cache_config_info"
_OURS = re.compile(
    rb"^(?:" + b"|".join(re.escape(name.encode()) for name in (*_GAUGES, *_COUNTERS, _SLEEP, _CACHE)) + rb")[{ ][^\n]*",
    re.MULTILINE,
)
"""The lines that are read. Of a page of a hundred thousand others the parser, which is slow, never hears."""

_MOST_LINES = 2_000
_LONGEST_LINE = 2**14


@dataclass
class EngineGauges:
    """What a server says of itself; None where it says nothing.

    Attributes:
        running: The number of sequences in the batch.
        waiting: The number of requests in the server's own queue.
        kv_usage: The part of the KV blocks that is in use, 0 to 1; unreferenced cached blocks do not count.
        sleep_state: One of awake, weights_offloaded and discard_all.
        block_tokens: The number of tokens of a KV block.
        kv_tokens: The number of tokens of the KV pool.
        prefix_caching: Whether the server reuses prefixes.
        counters: The totals since the server's start, each summed over its labels.
    """

    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    sleep_state: str | None = None
    block_tokens: int | None = None
    kv_tokens: int | None = None
    prefix_caching: bool | None = None
    counters: dict[str, float] = field(default_factory=dict)


def read_metrics(body: bytes) -> EngineGauges:
    """Parse an untrusted metrics page.

    Args:
        body: The page, whose size was already bounded.

    Returns:
        The numbers that the controller uses; those of data-parallel engines of one server are added up.

    Raises:
        NodeError: They are not in the Prometheus text format, cannot be true, or are too many or too long.
    """
    gauges = EngineGauges()
    engines = 0
    lines = list(itertools.islice((match[0] for match in _OURS.finditer(body)), _MOST_LINES + 1))
    if len(lines) > _MOST_LINES or max(map(len, lines), default=0) > _LONGEST_LINE:
        raise NodeError(Fault.MALFORMED, f"/metrics: more than {_MOST_LINES} lines, or one above {_LONGEST_LINE} bytes")
    try:
        body.decode()
        text = b"\n".join(lines).decode() + "\n"
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            if sample.name in _GAUGES:
                name = _GAUGES[sample.name]
                value = _number(sample.name, sample.value)
                setattr(gauges, name, (getattr(gauges, name) or 0.0) + value)
                engines += sample.name == "vllm:kv_cache_usage_perc"
            elif sample.name in _COUNTERS:
                value = _number(sample.name, sample.value)
                gauges.counters[sample.name] = gauges.counters.get(sample.name, 0.0) + value
            elif sample.name == _SLEEP and sample.value == 1.0:
                gauges.sleep_state = hide_keys(sample.labels.get("sleep_state", ""))[:64] or None
            elif sample.name == _CACHE:
                _read_cache(gauges, sample.labels)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise NodeError(Fault.MALFORMED, f"/metrics: {type(error).__name__} {error}") from None
    if gauges.kv_usage is not None:
        gauges.kv_usage /= engines
        if gauges.kv_usage > 1.0 + 1e-6:
            raise NodeError(Fault.MALFORMED, f"/metrics: kv_cache_usage_perc {gauges.kv_usage:g} is above 1")
    return gauges


def _number(name: str, value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise NodeError(Fault.MALFORMED, f"/metrics: {name} is {value}")
    return value


def _count(labels: dict[str, str], name: str) -> int | None:
    """A count that stands in a label; None where the server gives none."""
    text = labels.get(name, "")
    if not text.isdecimal():
        return None
    if len(text) > _MOST_DIGITS:
        raise NodeError(Fault.MALFORMED, f"/metrics: {name} has {len(text)} digits")
    return int(text)


def _read_cache(gauges: EngineGauges, labels: dict[str, str]) -> None:
    block, blocks, tokens = (_count(labels, name) for name in ("block_size", "num_gpu_blocks", "kv_cache_size_tokens"))
    gauges.block_tokens = block
    if tokens is not None:
        gauges.kv_tokens = tokens
    elif block is not None and blocks is not None:
        gauges.kv_tokens = block * blocks
    if "enable_prefix_caching" in labels:
        gauges.prefix_caching = labels["enable_prefix_caching"] == "True"
